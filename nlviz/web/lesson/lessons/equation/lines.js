// The worked sum in lines: f of one pair, its share of C, its product, and the sum of all.

import { element } from "../../../shared/dom.js";
import { formulaElement } from "../../rich.js";
import { cellNumber, cellShare, factor, plainNumber, spokenNumber } from "./pure/numbers.js";

const MOST = 4; // terms that are written out

/** @typedef {import("./pure/worked.js").Worked} Worked */

/** θ(x_i), written out where it is not x_i itself. @param {Worked} sum */
function thetaLine(sum) {
  const theta = sum.a * sum.x[sum.query] + sum.b;
  return line("\\theta(x_i) = a x_i + b", `= ${factor(sum.a)} × ${factor(sum.x[sum.query])} + ${factor(sum.b)} = ${plainNumber(theta)}`);
}

function pairLine(sum, { f }, withTheta, language) {
  const left = withTheta ? sum.a * sum.x[sum.query] + sum.b : sum.x[sum.query];
  const product = `${factor(left)} × ${factor(sum.x[sum.key])}`;
  const own = spokenNumber(f[sum.key], language);
  if (sum.pairwise === "dot_product") return line("f(x_i, x_j) = x_i x_j", `= ${product} = ${own}`);
  return line(`f(x_i, x_j) = exp(${withTheta ? "\\theta(x_i)" : "x_i"} x_j / T)`, `= exp(${product} / ${plainNumber(sum.temperature)}) = ${own}`);
}

function weightLine(sum, { f, c, weights }, hidden) {
  const share = sum.pairwise === "dot_product" ? plainNumber(weights[sum.key]) : cellShare(weights[sum.key]);
  return line("f / C", `= ${cellNumber(f[sum.key])} / ${cellNumber(c)} = ${hidden ? "?" : share}`);
}

function sumLine(sum, { weights, products, y }) {
  const order = products.map((_, j) => j).sort((a, b) => Math.abs(weights[b]) - Math.abs(weights[a]));
  const terms = order.slice(0, MOST).map((j) => {
    const share = sum.pairwise === "dot_product" ? plainNumber(weights[j]) : cellShare(weights[j]);
    return element("span", { class: j === sum.key ? "nlesson-equation-term nlesson-equation-term-key" : "nlesson-equation-term", text: `${share} × ${plainNumber(sum.g[j])}` });
  });
  const joined = terms.flatMap((term, n) => (n ? [" + ", term] : [term]));
  return element("p", {}, formulaElement("y_i"), " = ", ...joined, ` + … = `, element("strong", { text: y.toFixed(2).replace("-", "−") }));
}

function line(formula, text) {
  return element("p", {}, formulaElement(formula), ` ${text}`);
}

/**
 * The lines that a screen shows.
 * @param {string[]} which of theta, f, weight, y
 * @param {Worked} sum
 * @param {any} found what workedSum gives
 * @param {boolean} hidden whether the weight is asked for and not told
 * @param {string} language of the learner
 */
export function workedLines(which, sum, found, hidden, language) {
  const withTheta = which.includes("theta");
  return which.map((name) => ({
    theta: () => thetaLine(sum),
    f: () => pairLine(sum, found, withTheta, language),
    weight: () => weightLine(sum, found, hidden),
    y: () => sumLine(sum, found),
  })[name]?.() ?? "");
}
