// Figures of rows: what they have in common, how even they are, what keys receive. As in nlviz.analysis.row_origin.

import { honestRow, honestShares } from "./rows.js";

const MOST_OTHERS = 128; // queries over which a mean row is taken, as in Python
const FEW_KEYS = 0.01; // share of the keys that sinks are at most, but one at least

/** The weight that two rows have in common, sum_j min(p_j, q_j), in [0, 1]. */
export function inCommon(p, q) {
  let sum = 0;
  for (let j = 0; j < p.length; j++) sum += Math.min(p[j], q[j]);
  return sum;
}

/** Effective number of keys, exp(entropy), of shares. */
export function effectiveKeys(shares) {
  let entropy = 0;
  for (const p of shares) if (p > 0) entropy -= p * Math.log(p);
  return Math.exp(entropy);
}

export const sumOf = (row) => row.reduce((sum, weight) => sum + weight, 0);

/** An integer with halves to the even side, as torch rounds. */
function rounded(value) {
  const low = Math.floor(value);
  const rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low;
}

/**
 * The mean row of the other queries that have a place, at most 128 of them, evenly spread.
 * @param {import("./rows.js").HonestMap} map
 * @param {number} number of the query that is left out, those without a place first
 */
export function meanOfOthers(map, number) {
  let others = Array.from({ length: map.queries - map.prefix }, (_, n) => n + map.prefix).filter((n) => n !== number);
  if (others.length > MOST_OTHERS) {
    const every = others;
    others = Array.from({ length: MOST_OTHERS }, (_, n) => every[rounded((n * (every.length - 1)) / (MOST_OTHERS - 1))]);
  }
  const mean = new Float32Array(map.keys);
  for (const n of others) {
    const row = honestShares(honestRow(map, n));
    for (let j = 0; j < mean.length; j++) mean[j] += row[j] / others.length;
  }
  return mean;
}

/** What each key receives from all queries that have a place: the mean row. */
export function received(map) {
  const mean = new Float32Array(map.keys);
  const count = map.queries - map.prefix;
  for (let n = map.prefix; n < map.queries; n++) {
    const row = honestShares(honestRow(map, n));
    for (let j = 0; j < mean.length; j++) mean[j] += row[j] / count;
  }
  return mean;
}

/** Weight on the few keys that the other queries give most, of the row's own and of theirs. */
export function onSinks(row, mean) {
  const few = Math.max(1, Math.floor(FEW_KEYS * row.length));
  const order = Array.from(mean.keys()).sort((a, b) => mean[b] - mean[a]).slice(0, few);
  return Math.min(sumOf(order.map((j) => mean[j])), sumOf(order.map((j) => row[j])));
}

/** A row without one key, with a sum of 1. */
export function without(row, key) {
  const rest = Float32Array.from(row);
  if (key >= 0) rest[key] = 0;
  return honestShares(rest);
}

export const evenRow = (count) => new Float32Array(count).fill(1 / count);

export function median(values) {
  const sorted = Float64Array.from(values).sort();
  const half = (sorted.length - 1) / 2;
  return (sorted[Math.floor(half)] + sorted[Math.ceil(half)]) / 2;
}

/** Numbers of the largest value. */
export function strongestOf(values) {
  let best = 0;
  for (let j = 1; j < values.length; j++) if (values[j] > values[best]) best = j;
  return best;
}

/** Steps between two cells: the larger of those along y and x, and one for another frame. */
export function stepsBetween(map, a, b) {
  const [, h, w] = map.shape;
  const rows = Math.abs((Math.floor(a / w) % h) - (Math.floor(b / w) % h));
  const columns = Math.abs((a % w) - (b % w));
  return Math.max(rows, columns, Math.floor(a / (h * w)) === Math.floor(b / (h * w)) ? 0 : 1);
}

/** Links that are strong: a tenth of the strongest or more, at least `top`, at most half of all; 1 where one is. */
export function strongLinks(row, top = 20) {
  const order = Array.from(row.keys()).sort((a, b) => Math.abs(row[b]) - Math.abs(row[a]));
  const most = Math.abs(row[order[0]]);
  const many = order.filter((j) => Math.abs(row[j]) >= 0.1 * most).length;
  const cut = new Uint8Array(row.length);
  for (const j of order.slice(0, Math.min(Math.max(many, top), Math.max(1, Math.floor(row.length / 2))))) cut[j] = 1;
  return cut;
}

