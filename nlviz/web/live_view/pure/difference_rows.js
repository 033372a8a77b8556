// Parts of the block's own affinity, from what was sent for it anyway.
//   pairwise     theta minus the mean query, phi minus the mean key   (Yin et al. 2020, DNL)
//   difference   a row minus the mean row of all queries
// Where queries see only their group of frames, means are those of the group.

import { supportOf } from "./support.js";

/**
 * Vectors minus a mean, one mean for each group.
 * @param {Section} vectors (heads, tokens, d)
 * @param {Section} means (heads, groups, d)
 * @param {(token: number) => number} group of a token
 */
export function centredVectors(vectors, means, group) {
  const [heads, tokens, d] = vectors.shape;
  const groups = means.shape[1];
  const data = new Float32Array(vectors.data.length);
  for (let n = 0; n < heads; n++) {
    for (let i = 0; i < tokens; i++) {
      const at = (n * tokens + i) * d;
      const from = (n * groups + group(i)) * d;
      for (let k = 0; k < d; k++) data[at + k] = vectors.data[at + k] - means.data[from + k];
    }
  }
  return { data, shape: vectors.shape };
}

/**
 * Rows of a difference: those of another source minus their mean.
 * @param {Spec} spec
 * @param {Rows} base rows of the source that it is a part of
 * @param {ArrayOf} array
 * @returns {Rows}
 */
export function differenceRows(spec, base, array) {
  const { data, shape } = array(spec.mean);
  const [heads] = shape;
  const support = supportOf(spec);
  const { group, placeInGroup } = support;
  const place = spec.mean_cells && placeInGroup ? placeInGroup : (g, key) => g * shape[2] + key;
  const size = data.length / heads;
  const groups = spec.mean_cells ? support.groups : shape[1];
  let scratch = new Float32Array(0);

  const apart = spec.mean_apart ? array(spec.mean_apart).data : null;

  /** A number of one head, or its mean over heads; `at` is its place within `each` head. */
  function overHeads(numbers, each, head, at) {
    if (heads === 1) return numbers[at];
    if (typeof head === "number") return numbers[Math.min(head, heads - 1) * each + at];
    let sum = 0;
    for (let n = 0; n < heads; n++) sum += numbers[n * each + at];
    return sum / heads;
  }

  /** Mean row at a key: of one head, or over heads. */
  const mean = (head, query, key) => overHeads(data, size, head, place(group(query), key));
  /** What the mean row gives to keys without a place. */
  const meanApart = (head, query) => (apart ? overHeads(apart, groups, head, group(query)) : 0);

  /** `compute` fills values of one head or the mean; `meanAt(head, j)` is what is subtracted. */
  function subtracted(compute, meanAt, out, index, head) {
    if (head !== "max" || heads === 1) {
      const { from, to, apart: given } = compute(out, index, head, "rows");
      for (let j = from; j < to; j++) out[j] -= meanAt(head, j);
      return { from, to, logC: NaN, apart: given };
    }
    if (scratch.length !== out.length) scratch = new Float32Array(out.length);
    out.fill(0);
    let reached = { from: 0, to: 0 };
    for (let n = 0; n < heads; n++) {
      reached = compute(scratch, index, n, "rows");
      for (let j = reached.from; j < reached.to; j++) {
        const value = scratch[j] - meanAt(n, j);
        if (n === 0 || value > out[j]) out[j] = value;
      }
    }
    return { from: reached.from, to: reached.to, logC: NaN, apart: 0 };
  }

  function row(out, query, head) {
    const found = subtracted(base.row, (n, key) => mean(n, query, key), out, query, head);
    // The maximum over heads is taken for every key, so it has no share of keys without a place.
    if (head === "max" && heads > 1) return { ...found, apart: 0 };
    return { ...found, apart: found.apart - meanApart(head, query) };
  }
  const column = (out, key, head) => subtracted(
    base.column, (n, query) => mean(n, query, key), out, key, head);
  return { row, column: base.column ? column : null };
}
