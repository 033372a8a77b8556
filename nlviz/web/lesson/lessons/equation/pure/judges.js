// Judges of the lesson on equation (1): each computes from the learner's own state.

import { openingSum } from "./kept.js";
import { effectiveKeys, neighbours, normaliserOf, pairsOf, rowOf, rowsApart, weightsChanged, workedSum } from "./worked.js";

/** The sum that a screen opens with. */
const openedWith = (figure, data) => openingSum(figure, data.array(`${figure.picture}.x`).data, data.array(`${figure.picture}.g`).data);

/** Row and column of a pixel as people count them. */
const placeOf = (side, pixel) => ({ row: Math.floor(pixel / side) + 1, column: (pixel % side) + 1 });

/** Move the query to where all keys count alike. */
export function judgeAlike({ reading: sum }) {
  const f = pairsOf(sum);
  const least = Math.min(...f);
  const most = Math.max(...f);
  const strongest = f.indexOf(most);
  const values = { ...placeOf(sum.side, sum.query), x: sum.x[sum.query], other: sum.x[strongest], product: sum.x[sum.query] * sum.x[strongest], least, most };
  if (most - least < 1e-9) return { right: true, say: "right", values };
  return { right: false, say: "differ", values };
}

/** Predict the weight of the key j, in percent. */
export function judgeWeight({ given, data, spec: { figure, question } }) {
  const sum = { ...openedWith(figure, data), key: figure.ask };
  const f = pairsOf(sum);
  const c = normaliserOf(sum, f);
  const own = f[sum.key];
  const weight = (100 * own) / c;
  const values = { given, f: own, c, weight, n: f.length, uniform: 100 / f.length };
  if (Math.abs(given - weight) <= question.tolerance) return { right: true, say: "right", values };
  const near = (other) => Math.abs(given - other) <= question.tolerance;
  if (near(own)) return { right: false, say: "not-divided", values };
  if (near(100 / f.length)) return { right: false, say: "uniform", values };
  if (given < 1 && Math.abs(100 * given - weight) <= question.tolerance) return { right: false, say: "share", values };
  values.back = (given / 100) * c;
  return { right: false, say: given < weight ? "too-low" : "too-high", values };
}

/** Set one value so that y becomes the target. */
export function judgeTarget({ reading: sum, spec: { figure, question } }) {
  const { weights, y } = workedSum(sum);
  const key = sum.key;
  const [low, high] = figure.g_range;
  const values = { y, target: figure.target, g: sum.g[key], weight: weights[key], most: weights[key] * (high - low), ...placeOf(sum.side, key) };
  if (Math.abs(y - figure.target) <= question.tolerance + 1e-9) return { right: true, say: "right", values };
  // Could this pixel alone bring y there?
  const needed = sum.g[key] + (figure.target - y) / weights[key];
  if (needed < low || needed > high) return { right: false, say: "light", values };
  return { right: false, say: y > figure.target ? "too-high" : "too-low", values };
}

/** Which weights change when one pixel's x does? */
export function judgeChanged({ given, data, spec: { figure, question } }) {
  const sum = openedWith(figure, data);
  const { pixel, to } = question;
  const changed = weightsChanged(sum, pixel, to);
  const said = {
    none: [],
    one: [pixel],
    near: neighbours(sum.side, pixel),
    all: sum.x.map((_, j) => j),
  }[given] ?? [];
  const after = { ...sum, x: sum.x.with(pixel, to) };
  const far = sum.query;
  const values = {
    said: said.length, changed: changed.length, from: sum.x[pixel], to,
    c: normaliserOf(sum, pairsOf(sum)), after: normaliserOf(after, pairsOf(after)),
    weight: rowOf(sum)[pixel], weight_after: rowOf(after)[pixel],
    own: rowOf(sum)[far], own_after: rowOf(after)[far],
  };
  const right = said.length === changed.length && said.every((j) => changed.includes(j));
  return { right, say: right ? "right" : said.length > 1 ? "near" : "few", values };
}

/** Set the temperature so that one key has nearly all of the weight. */
export function judgeTemperature({ reading: sum, spec: { question } }) {
  const { weights, y } = workedSum(sum);
  const most = Math.max(...weights);
  const strongest = weights.indexOf(most);
  const values = {
    temperature: sum.temperature, most, least: Math.min(...weights), y, wanted: question.wanted,
    effective: effectiveKeys(weights), n: weights.length, g: sum.g[strongest], x: sum.x[strongest], own: sum.x[sum.query],
    mean: sum.g.reduce((all, g) => all + g, 0) / sum.g.length,
  };
  if (most >= question.wanted) return { right: true, say: "right", values };
  return { right: false, say: values.effective > 0.9 * weights.length ? "uniform" : "spread", values };
}

/** Predict a weight of the dot product: f / N, with its sign. */
export function judgeDot({ given, data, spec: { figure } }) {
  const sum = openedWith(figure, data);
  const f = pairsOf(sum)[figure.ask];
  const n = normaliserOf(sum, sum.x);
  const weights = rowOf(sum);
  const values = {
    given, f, n, xi: sum.x[sum.query], xj: sum.x[figure.ask], weight: f / n,
    sum: weights.reduce((all, w) => all + w, 0), negative: weights.filter((w) => w < 0).length,
  };
  const near = (other) => Math.abs(given - other) < 0.005;
  if (near(f / n)) return { right: true, say: "right", values };
  if (near(-f / n)) return { right: false, say: "sign", values };
  if (near(f) || near(-f)) return { right: false, say: "not-divided", values };
  values.back = given * n;
  return { right: false, say: "other", values };
}

/** Make the rows of all queries one, and not uniform. */
export function judgeSame({ reading: sum, spec: { question } }) {
  const { apart, here, there } = rowsApart(sum);
  const weights = rowOf(sum);
  const least = Math.min(...weights);
  const most = Math.max(...weights);
  const values = {
    a: sum.a, b: sum.b, apart, least, most, n: weights.length,
    here: sum.x[here], there: sum.x[there], theta_here: sum.a * sum.x[here] + sum.b, theta_there: sum.a * sum.x[there] + sum.b,
    y: workedSum(sum).y,
  };
  if (apart > question.apart) return { right: false, say: "differ", values };
  if (most - least < question.apart) return { right: false, say: "uniform", values };
  return { right: true, say: "right", values };
}

/** Which sentence is the equation? Each is a rule; its result is compared with y. */
export function judgeSentence({ given, data, spec: { figure } }) {
  const sum = openedWith(figure, data);
  const { f, y } = workedSum(sum);
  const meanOf = (keys) => keys.reduce((all, j) => all + f[j] * sum.g[j], 0) / keys.reduce((all, j) => all + f[j], 0);
  const every = sum.x.map((_, j) => j);
  const own = {
    near: () => meanOf(neighbours(sum.side, sum.query)),
    winner: () => sum.g[f.indexOf(Math.max(...f))],
    shares: () => meanOf(every),
    raw: () => every.reduce((all, j) => all + f[j] * sum.g[j], 0),
  }[given]?.() ?? Number.NaN;
  const right = Math.abs(own - y) < 1e-9;
  return { right, say: right ? "right" : "other", values: { own, y } };
}
