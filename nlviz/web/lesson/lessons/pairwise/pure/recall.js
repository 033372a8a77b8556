// The block and the head of the recall networks, as nlviz.networks.recall computes them: embeddings, rows, answers.

import { linearRows, softmaxRows } from "../../../pure/layers.js";

export const CELLS = 64; // of a frame
export const KEYS = 320;
const WIDE = 48; // channels of the features
const INNER = 24; // channels of theta, phi and g
/** @type {WeakMap<object, Map<string, any>>} what was computed of a lesson's data */
const kept = new WeakMap();

function keptOf(data, key, make) {
  const known = kept.get(data) ?? new Map();
  kept.set(data, known);
  if (!known.has(key)) known.set(key, make());
  return known.get(key);
}

const weightsOf = (data, name, part) => data.array(`${name}.${part}`).data;

/** Features of a clip, (320 x 48). */
export function featuresOf(data, name, clip) {
  const { data: all } = data.array(data.head.nets[name].features);
  return all.subarray(clip * KEYS * WIDE, (clip + 1) * KEYS * WIDE);
}

/** theta, phi and g of all cells of a clip; of the concatenation theta and phi are one number each. */
export function embeddedCells(data, name, clip) {
  return keptOf(data, `${name} ${clip}`, () => {
    const x = featuresOf(data, name, clip);
    const through = (part) => linearRows(x, WIDE, weightsOf(data, name, `${part}.weight`), weightsOf(data, name, `${part}.bias`));
    const { f } = data.head.nets[name];
    const g = through("g");
    if (f === "gaussian") return { f, theta: x, phi: x, g, wide: WIDE };
    const [theta, phi] = [through("theta"), through("phi")];
    if (f !== "concatenation") return { f, theta, phi, g, wide: INNER };
    const w = weightsOf(data, name, "w_f");
    return {
      f, g, wide: 1,
      theta: linearRows(theta, INNER, w.subarray(0, INNER), [0]), phi: linearRows(phi, INNER, w.subarray(INNER), [0]),
    };
  });
}

/** The row f / C of a query, (320,). */
export function recallRow(data, name, clip, query) {
  const { f, theta, phi, wide } = embeddedCells(data, name, clip);
  const row = new Float64Array(KEYS);
  for (let j = 0; j < KEYS; j++) {
    if (f === "concatenation") {
      row[j] = Math.max(0, theta[query] + phi[j]) / KEYS;
      continue;
    }
    let sum = 0;
    for (let c = 0; c < wide; c++) sum += theta[query * wide + c] * phi[j * wide + c];
    row[j] = f === "dot_product" ? sum / KEYS : sum;
  }
  if (f === "dot_product" || f === "concatenation") return row;
  return softmaxRows(row);
}

/** What the head reads of each cell of the last frame: shares of 1, (64,). */
export function headShares(data, name, clip) {
  return keptOf(data, `shares ${name} ${clip}`, () => {
    const x = featuresOf(data, name, clip).subarray((KEYS - CELLS) * WIDE);
    const scores = linearRows(x, WIDE, weightsOf(data, name, "where.weight"), weightsOf(data, name, "where.bias"));
    return softmaxRows(scores);
  });
}

/**
 * Logits of the five colours.
 * @param {LessonData} data
 * @param {string} name of the network whose values and head count
 * @param {number} clip
 * @param {{giver?: string, factor?: number}} [change] giver: the network whose rows are taken; factor: of the rows
 */
export function recallLogits(data, name, clip, { giver = name, factor = 1 } = {}) {
  const shares = headShares(data, name, clip);
  const { g } = embeddedCells(data, name, clip);
  const x = featuresOf(data, name, clip);
  const read = new Float64Array(KEYS);
  const pooled = new Float64Array(WIDE);
  for (let n = 0; n < CELLS; n++) {
    const query = KEYS - CELLS + n;
    for (let c = 0; c < WIDE; c++) pooled[c] += shares[n] * x[query * WIDE + c];
    if (shares[n] < 1e-9) continue;
    const row = recallRow(data, giver, clip, query);
    for (let j = 0; j < KEYS; j++) read[j] += factor * shares[n] * row[j];
  }
  const y = new Float64Array(INNER);
  for (let j = 0; j < KEYS; j++) for (let c = 0; c < INNER; c++) y[c] += read[j] * g[j * INNER + c];
  const z = linearRows(y, INNER, weightsOf(data, name, "out.weight"), weightsOf(data, name, "out.bias"));
  for (let c = 0; c < WIDE; c++) pooled[c] += z[c];
  return linearRows(pooled, WIDE, weightsOf(data, name, "head.weight"), weightsOf(data, name, "head.bias"));
}

/** The colour that a network tells, and whether it is right. */
export function recallAnswer(data, name, clip, change = {}) {
  const { task, clips } = data.head.nets[name];
  const key = `answer ${name} ${clip} ${change.giver ?? name} ${change.factor ?? 1}`;
  const told = keptOf(data, key, () => {
    const logits = recallLogits(data, name, clip, change);
    return logits.indexOf(Math.max(...logits));
  });
  return { colour: data.head.colours[told], right: told === data.head.clips[clips][task][clip] };
}

/** In how many of the lesson's clips a network is right. */
export function rightOf(data, name, change = {}) {
  const { clips } = data.head.nets[name];
  const count = data.head.clips[clips].asked.length;
  let right = 0;
  for (let clip = 0; clip < count; clip++) right += Number(recallAnswer(data, name, clip, change).right);
  return { right, count };
}

/** Numbers of the keys with the largest weights. */
export function strongestKeys(row, count = 10) {
  return Array.from(row, (_, j) => j).sort((a, b) => row[b] - row[a] || a - b).slice(0, count);
}

/** How many of the strongest keys of one query are among those of another. */
export function keysKept(data, name, clip, one, other, count = 10) {
  const first = new Set(strongestKeys(recallRow(data, name, clip, one), count));
  return strongestKeys(recallRow(data, name, clip, other), count).filter((j) => first.has(j)).length;
}

/** Share of a row's absolute weight on the digit that was asked for, and the sum of the row. */
export function rowFigures(data, name, clip, query) {
  const row = recallRow(data, name, clip, query);
  const { clips } = data.head.nets[name];
  const { asked, covered } = data.head.clips[clips];
  let [total, sum, on, least, most] = [0, 0, 0, Infinity, -Infinity];
  for (const value of row) {
    total += Math.abs(value);
    sum += value;
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  for (const cell of covered[clip]) on += Math.abs(row[asked[clip] * CELLS + cell]);
  return { sum, share: on / Math.max(total, 1e-30), least, most, own: row[query] / Math.max(total, 1e-30) };
}
