// Rows of the maps of this lesson: equation (1) of Wang et al. 2018 from theta and phi, with links cut.

/**
 * A map of the lesson's data.
 * @typedef {{key: string, shape: number[], prefix: number, softmax: boolean, heads: number, d: number,
 *   queries: number, keys: number, first: number, theta: Float32Array, phi: Float32Array, query: number}} HonestMap
 * queries and keys count those without a place, which come first; first: the cell of the first query that is there
 */

/**
 * @param {any} data the lesson's data
 * @param {string} key name of the map
 * @returns {HonestMap}
 */
export function honestMap(data, key) {
  const spec = data.head.maps[key];
  const theta = data.array(`${key}.theta`);
  const phi = data.array(`${key}.phi`);
  const [heads, queries, d] = theta.shape;
  return {
    key, shape: spec.shape, prefix: spec.prefix, softmax: spec.softmax, heads, d, queries, keys: phi.shape[1],
    first: spec.from ?? 0, theta: theta.data, phi: phi.data, query: spec.query ?? 0,
  };
}

/** Whether a row can be computed of this cell. */
export const honestAsks = (map, cell) => cell >= map.first && cell < map.first + map.queries - map.prefix;

/**
 * One row: (keys,) weights, those without a place first; the mean over heads.
 * @param {HonestMap} map
 * @param {number} number of the query, those without a place first
 * @param {{cut?: ArrayLike<number>|null, temperature?: number}} [change] cut: 1 for keys whose link is cut; what a
 *   softmax leaves is shared out anew, what a sum divided by its count leaves stays; temperature: logits are divided
 */
export function honestRow(map, number, { cut = null, temperature = 1 } = {}) {
  const { heads, keys, queries, d, theta, phi, softmax } = map;
  const out = new Float32Array(keys);
  const logits = new Float64Array(keys);
  for (let head = 0; head < heads; head++) {
    const from = (head * queries + number) * d;
    let most = -Infinity;
    for (let j = 0; j < keys; j++) {
      const to = (head * keys + j) * d;
      let sum = 0;
      for (let k = 0; k < d; k++) sum += theta[from + k] * phi[to + k];
      logits[j] = sum / temperature;
      if (!cut?.[j] && logits[j] > most) most = logits[j];
    }
    let total = 0;
    for (let j = 0; j < keys; j++) {
      if (cut?.[j]) logits[j] = 0;
      else if (softmax) logits[j] = Math.exp(logits[j] - most);
      total += logits[j];
    }
    const whole = softmax ? total : keys;
    for (let j = 0; j < keys; j++) out[j] += whole > 0 ? logits[j] / whole / heads : 0;
  }
  return out;
}

/** A row by magnitude, with a sum of 1. */
export function honestShares(row) {
  let total = 0;
  for (const weight of row) total += Math.abs(weight);
  return Float32Array.from(row, (weight) => Math.abs(weight) / Math.max(total, 1e-30));
}

/** Shares of the row of a cell. */
export const honestSharesAt = (map, cell, change) => honestShares(honestRow(map, cell - map.first + map.prefix, change));

/** The weights of the cells of each frame, as parts of one row. */
export function honestFrames(map, row) {
  const [t, h, w] = map.shape;
  return Array.from({ length: t }, (_, n) => row.subarray(map.prefix + n * h * w, map.prefix + (n + 1) * h * w));
}

/** {frame, row, column} of a cell, and back. */
export function honestPlace(map, cell) {
  const [, h, w] = map.shape;
  return { frame: Math.floor(cell / (h * w)), row: Math.floor(cell / w) % h, column: cell % w };
}
export function honestCell(map, { frame, row, column }) {
  const [, h, w] = map.shape;
  return (frame * h + row) * w + column;
}
