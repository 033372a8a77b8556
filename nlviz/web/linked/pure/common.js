// Two maps on one grid, and what the second gives more: the twin of analysis/common_grid.py and of
// the difference in analysis/compare.py.

import { texts } from "../../shared/language.js";
import { isSimilarity } from "../../live_view/pure/similarity.js";

/** Contract axis `axis` of values of this shape with (m, n) shares, n being its length. */
function alongAxis(values, shape, axis, shares) {
  const before = shape.slice(0, axis).reduce((a, b) => a * b, 1);
  const after = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const n = shape[axis];
  const m = shares.length;
  const out = new Float64Array(before * m * after);
  for (let j = 0; j < m; j++) {
    for (let i = 0; i < n; i++) {
      const share = shares[j][i];
      if (share === 0) continue;
      for (let b = 0; b < before; b++) {
        const [from, to] = [(b * n + i) * after, (b * m + j) * after];
        for (let a = 0; a < after; a++) out[to + a] += share * values[from + a];
      }
    }
  }
  return out;
}

/**
 * What of each cell lies in each cell of the common grid, summed.
 * @param {ArrayLike<number>} values of a (t, h, w) grid
 * @param {number[]} shape of it
 * @param {number[][][]|null} lay shares along t, y and x; null where the grids are the same
 */
export function laidOn(values, shape, lay) {
  if (!lay) return values;
  const now = [...shape];
  lay.forEach((shares, axis) => {
    values = alongAxis(values, now, axis, shares);
    now[axis] = shares.length;
  });
  return values;
}

/**
 * The row of a result on its whole grid: values, 0 where there is none, and 1 where a key is reached.
 * @param {Result} result
 */
export function wholeRow(result) {
  const { values, from, to, skipFrom, skipTo, box, column, spec } = result;
  const of = column ? spec.queries : spec.keys;
  const [t, h, w] = of.shape;
  const size = t * h * w;
  const weights = new Float64Array(size);
  const reach = new Float64Array(size);
  const width = box ? [box.b1 - box.b0, box.c1 - box.c0] : [h, w];
  for (let j = from; j < to; j++) {
    if (Number.isNaN(values[j]) || (j >= skipFrom && j < skipTo)) continue;
    let at = j;
    if (box) {
      const [high, wide] = width;
      const [a, b, c] = [Math.floor(j / (high * wide)), Math.floor(j / wide) % high, j % wide];
      at = ((a + box.a0) * h + b + box.b0) * w + c + box.c0;
    }
    weights[at] = values[j];
    reach[at] = 1;
  }
  return { weights, reach, shape: of.shape };
}

/** What a row holds: two kinds have no difference. */
export function heldBy(result) {
  if (isSimilarity(result.spec)) return texts("similarities");
  if (result.logits) return texts("logits");
  return result.difference ? texts("weights minus their mean row") : texts("weights");
}

/** Whether a row sums to 1, with what lies on no cell. */
const sumsToOne = (result, view) => !result.column && !result.difference && result.spec.softmax && !result.logits
  && (view.head !== "max" || result.spec.heads === 1);

/**
 * Both rows on the common grid.
 * @param {Result[]} results of A and B
 * @param {(number[][][]|null)[]} lay
 */
export function onCommon(results, lay) {
  return results.map((result, n) => {
    const { weights, reach, shape } = wholeRow(result);
    const count = laidOn(reach, shape, lay[n]);
    let sums = laidOn(weights, shape, lay[n]);
    if (["similarities", "logits"].includes(heldBy(result))) {
      sums = Float64Array.from(sums, (value, j) => value / Math.max(count[j], 1e-12));
    }
    return { weights: sums, reach: count };
  });
}

/**
 * B minus A on the common grid, NaN where neither reaches.
 * @param {Result[]} results of A and B
 * @param {{weights: ArrayLike<number>, reach: ArrayLike<number>}[]} laid
 * @param {View[]} views
 * @returns {{values: Float32Array, apart: number, balanced: boolean, shares: boolean}}
 */
export function secondMinusFirst(results, laid, views) {
  const whole = results.map((result, n) => sumsToOne(result, views[n]));
  const shares = heldBy(results[0]) === "weights" && whole[0] !== whole[1];
  const sizes = laid.map(({ weights }, n) => {
    if (!shares) return 1;
    let total = Math.abs(results[n].apart);
    for (let j = 0; j < weights.length; j++) total += Math.abs(weights[j]);
    return total || 1;
  });
  const [a, b] = laid;
  const values = new Float32Array(a.weights.length);
  for (let j = 0; j < values.length; j++) {
    const reached = a.reach[j] > 1e-9 || b.reach[j] > 1e-9;
    values[j] = reached ? b.weights[j] / sizes[1] - a.weights[j] / sizes[0] : NaN;
  }
  const balanced = (whole[0] && whole[1]) || (results[0].balanced && results[1].balanced);
  return { values, apart: results[1].apart / sizes[1] - results[0].apart / sizes[0], balanced, shares };
}
