// How far two rows on one grid agree, against what shifted rows give: the twin of
// analysis/agreement.py. Where a grid has more shifts than are tried, those here are spread evenly.

import { say } from "../../shared/language.js";

const SHIFTS = 499;
export const LEAST_CELLS = 24; // of fewer, ranks say next to nothing

/** Ranks of mean 0 and length 1, ties sharing theirs: the inner product of two is Spearman's. */
export function centredRanks(values) {
  const order = Array.from(values.keys()).sort((a, b) => values[a] - values[b]);
  const ranks = new Float64Array(values.length);
  for (let start = 0; start < order.length;) {
    let end = start + 1;
    while (end < order.length && values[order[end]] === values[order[start]]) end++;
    for (let n = start; n < end; n++) ranks[order[n]] = (start + end - 1) / 2;
    start = end;
  }
  const mean = (values.length - 1) / 2;
  let length = 0;
  for (let j = 0; j < ranks.length; j++) {
    ranks[j] -= mean;
    length += ranks[j] ** 2;
  }
  length = Math.sqrt(length);
  if (length > 0) for (let j = 0; j < ranks.length; j++) ranks[j] /= length;
  return ranks;
}

/**
 * The cells that both rows reach, as a box that can be shifted: its indices and its shape.
 * @param {any[]} laid
 * @param {number[]} shape
 */
function commonBox(laid, [t, h, w]) {
  const inside = [new Set(), new Set(), new Set()];
  for (let j = 0; j < t * h * w; j++) {
    if (!laid.every(({ reach }) => reach[j] > 1e-9)) continue;
    inside[0].add(Math.floor(j / (h * w)));
    inside[1].add(Math.floor(j / w) % h);
    inside[2].add(j % w);
  }
  const [a, b, c] = inside.map((set) => [...set].sort((x, y) => x - y));
  const cells = [];
  for (const i of a) for (const j of b) for (const k of c) cells.push((i * h + j) * w + k);
  return { cells, shape: [a.length, b.length, c.length] };
}

/**
 * The inner product of one row with another that is shifted over the box as a torus.
 * @param {Float64Array} one
 * @param {Float64Array} other
 * @param {number[]} box its shape
 * @param {number[]} shift
 */
function shiftedProduct(one, other, [t, h, w], [dt, dh, dw]) {
  let sum = 0;
  for (let a = 0; a < t; a++) {
    const from = ((a - dt + t) % t) * h;
    for (let b = 0; b < h; b++) {
      const [own, there] = [(a * h + b) * w, (from + ((b - dh + h) % h)) * w];
      for (let c = 0; c < w; c++) sum += other[own + c] * one[there + ((c - dw + w) % w)];
    }
  }
  return sum;
}

/** A quantile of sorted numbers, between two of them in proportion. */
function quantile(sorted, share) {
  const at = share * (sorted.length - 1);
  const low = Math.floor(at);
  return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
}

/**
 * Spearman's rank correlation of two rows on the cells that both reach, of their sizes, and the middle
 * 95 % of what shifted rows give.
 * @param {{weights: ArrayLike<number>, reach: ArrayLike<number>}[]} laid
 * @param {number[]} shape of the common grid
 * @returns {{correlation: number, low: number, high: number, cells: number}|null} null for too few cells
 */
export function agreementOf(laid, shape) {
  const { cells, shape: box } = commonBox(laid, shape);
  if (cells.length < LEAST_CELLS) return null;
  const [one, other] = laid.map(({ weights }) => centredRanks(Float64Array.from(cells, (j) => Math.abs(weights[j]))));
  const size = cells.length;
  const count = Math.min(size - 1, SHIFTS);
  const chance = Array.from({ length: count }, (_, n) => {
    const at = 1 + Math.floor((n * (size - 1)) / count);
    const shift = [Math.floor(at / (box[1] * box[2])), Math.floor(at / box[2]) % box[1], at % box[2]];
    return shiftedProduct(one, other, box, shift);
  }).sort((a, b) => a - b);
  return { correlation: shiftedProduct(one, other, box, [0, 0, 0]), low: quantile(chance, 0.025), high: quantile(chance, 0.975), cells: size };
}

/** The agreement in a sentence. */
export function agreementText(found) {
  if (!found) return say("Too few cells in common to say whether the two maps agree.");
  const [rank, low, high] = [found.correlation, found.low, found.high].map((value) => value.toFixed(2).replace(/^-0\.00$/, "0.00"));
  const says = found.correlation > found.high ? say("more alike than by chance")
    : found.correlation < found.low ? say("one is strong where the other is weak")
      : say("no more alike than by chance");
  return say("Rank correlation {rank} on {cells} cells, shifted maps {low} to {high}: {says}.", { rank, cells: found.cells.toLocaleString("en"), low, high, says });
}
