// The weighted mean as a balance: each value stands on a scale, as heavy as its weight; y is where it balances.

import { element } from "../../../shared/dom.js";
import { plainNumber } from "./pure/numbers.js";
import { shape } from "./shape.js";

const [WIDE, HIGH, EDGE, LINE] = [520, 96, 26, 58];

/**
 * @param {[number, number]} range of the values
 * @param {number|null} target a mark to reach, or none
 */
export function createBalance([low, high], target) {
  const svg = shape("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, class: "nlesson-equation-balance", "aria-hidden": "true" });
  const along = (value) => EDGE + ((WIDE - 2 * EDGE) * (value - low)) / (high - low);

  /** @param {number[]} g @param {number[]} weights of sum 1 @param {number} y @param {number} key */
  function draw(g, weights, y, key) {
    const nodes = [shape("line", { x1: EDGE, x2: WIDE - EDGE, y1: LINE, y2: LINE, class: "nlesson-equation-beam" })];
    for (let tick = Math.ceil(low); tick <= high; tick++) {
      nodes.push(shape("text", { x: along(tick), y: HIGH - 4, "text-anchor": "middle" }, plainNumber(tick)));
    }
    // The strongest last: it lies over the faint ones.
    for (const [weight, j] of weights.map((each, n) => [each, n]).sort((a, b) => a[0] - b[0])) {
      const radius = 30 * Math.sqrt(weight);
      nodes.push(shape("circle", { cx: along(g[j]), cy: LINE - radius, r: Math.max(radius, 1), class: j === key ? "nlesson-equation-ball nlesson-equation-ball-key" : "nlesson-equation-ball" }));
    }
    if (target !== null) {
      nodes.push(shape("line", { x1: along(target), x2: along(target), y1: 4, y2: LINE + 6, class: "nlesson-equation-target" }));
    }
    const at = along(Math.min(high, Math.max(low, y)));
    nodes.push(shape("path", { d: `M${at} ${LINE + 1} l-9 15 h18 z`, class: "nlesson-equation-pivot" }));
    svg.replaceChildren(...nodes);
  }

  return { element: element("div", {}, svg), draw };
}
