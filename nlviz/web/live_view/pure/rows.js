// One row or column of the affinity from theta and phi: equation (1) of Wang et al. 2018,
// y_i = 1/C(x) sum_j f(x_i, x_j) g(x_j), with the weights f / C laid over the keys.
//   gaussian, embedded_gaussian   f = exp(logit), C = sum over the reachable keys   (softmax)
//   dot_product                   f = logit,      C = number of reachable keys
//   concatenation                 f = relu(logit), C = number of reachable keys
//   cosine                        f = logit of vectors of unit length, C = 1: a similarity, no share
// logit = scale * theta_i . phi_j + bias; for concatenation theta_i + phi_j.
// phi begins with the keys without a place (class token, registers): they take part in C and get a
// share of the row, but have no cell.

import { biasOf } from "./bias.js";
import { centredVectors } from "./difference_rows.js";
import { divideByCount, dotProducts, softmaxInPlace } from "./normalise.js";
import { rangeOfBox, supportOf } from "./support.js";
import { wordRows } from "./word_rows.js";

/**
 * Rows and columns of an embedded source.
 * @param {Spec} spec
 * @param {ArrayOf} array
 * @returns {Rows} both fill `out` (NaN within the reachable part where a key is not reached) and
 *   return {from, to, logC, apart, given}: the reachable part, log C(x) where there is one head and a
 *   softmax, and what a row gives to keys without a place, together and each
 */
export function embeddedRows(spec, array) {
  const vectors = (name, mean, group) => (mean ? centredVectors(array(name), array(mean), group) : array(name));
  const support = supportOf(spec);
  // Words that can be asked for stand before the queries with a place.
  const before = spec.query_prefix ?? 0;
  const theta = vectors(spec.theta, spec.theta_mean, (n) => support.group(Math.max(0, n - before)));
  const phi = vectors(spec.phi, spec.phi_mean, () => 0);
  const [heads, , d] = theta.shape;
  const queries = theta.shape[1] - before;
  const prefix = spec.prefix ?? 0;
  const allKeys = phi.shape[1];
  const bias = biasOf(spec, array);
  const lse = spec.log_normaliser ? array(spec.log_normaliser).data : null;
  const q = new Float32Array(d);
  const scratch = new Float32Array(Math.max(allKeys, queries));
  // Rows of sets of keys are computed for these alone, one after the other, and then laid out.
  const compact = support.cells ? new Float32Array(Math.max(allKeys, queries)) : scratch;
  const apart = new Float32Array(prefix);
  const mostApart = new Float32Array(prefix);
  const scale = spec.scale ?? 1;
  const concatenation = spec.pairwise === "concatenation";
  const similarity = spec.pairwise === "cosine";

  /**
   * Logits of `own` token `index` with `other` tokens [from, to), which begin at `skipped`, or with
   * those of a list.
   */
  function logits(target, head, index, own, other, skipped, from, to, cells = null) {
    const first = head * other.shape[1] + skipped;
    const at = head * own.shape[1] + index;
    if (concatenation) {
      for (let j = from; j < to; j++) target[j] = own.data[at] + other.data[first + (cells ? cells[j] : j)];
      return;
    }
    for (let k = 0; k < d; k++) q[k] = own.data[at * d + k];
    dotProducts(target, q, other.data, first * d, d, scale, from, to, cells);
  }

  function rowOfHead(target, index, head, values, from, to, cells) {
    logits(target, head, index + before, theta, phi, prefix, from, to, cells);
    if (bias) for (let j = from; j < to; j++) target[j] += bias.at(head, index, cells ? cells[j] : j);
    const [a, b] = support.apart(index);
    logits(apart, head, index + before, theta, phi, 0, a, b);
    if (bias) for (let j = a; j < b; j++) apart[j] += bias.apart(head, j, index);
    if (values === "logits") return NaN;
    // Keys that are not reached get nothing: exp(-Infinity), or 0 of a sum divided by its count.
    const none = spec.softmax ? -Infinity : 0;
    if (support.misses) for (let j = a; j < b; j++) if (support.misses(index, j)) apart[j] = none;
    if (spec.softmax) return softmaxInPlace(target, from, to, apart, a, b);
    if (similarity) return withinOne(target, from, to);
    const count = support.counted(index);
    divideByCount(apart, count, concatenation, a, b);
    return divideByCount(target, count, concatenation, from, to);
  }

  function columnOfHead(target, key, head, values, from, to, cells) {
    logits(target, head, key + prefix, phi, theta, before, from, to, cells);
    const queryAt = (i) => (cells ? cells[i] : i);
    if (bias) for (let i = from; i < to; i++) target[i] += bias.at(head, queryAt(i), key);
    if (values === "logits") return NaN;
    if (similarity) return withinOne(target, from, to);
    if (!spec.softmax) {
      if (!cells) return divideByCount(target, support.counted(from), concatenation, from, to);
      for (let i = from; i < to; i++) divideByCount(target, support.counted(cells[i]), concatenation, i, i + 1);
      return NaN;
    }
    const base = head * queries;
    for (let i = from; i < to; i++) target[i] = Math.exp(target[i] - lse[base + queryAt(i)]);
    return NaN;
  }

  /** A row or column of one head, their mean or maximum; where `cells` are listed, of these alone. */
  function listed(one, out, index, head, values, box, grid, cells) {
    if (!cells) {
      const [from, to] = rangeOfBox(box, grid);
      return overHeads(one, out, index, head, values, from, to, null);
    }
    const { logC } = overHeads(one, compact, index, head, values, 0, cells.length, cells);
    out.fill(NaN);
    for (let n = 0; n < cells.length; n++) out[cells[n]] = compact[n];
    return { from: cells.length ? cells[0] : 0, to: cells.length ? cells[cells.length - 1] + 1 : 0, logC };
  }

  function overHeads(one, out, index, head, values, from, to, cells) {
    if (cells) out.fill(0, from, to);
    else out.fill(0);
    if (typeof head === "number" || heads === 1) {
      const logC = one(out, index, Math.min(heads === 1 ? 0 : head, heads - 1), values, from, to, cells);
      return { from, to, logC };
    }
    for (let n = 0; n < heads; n++) {
      one(scratch, index, n, values, from, to, cells);
      overOne(out, scratch, n, head, from, to);
      overOne(mostApart, apart, n, head, 0, prefix);
    }
    apart.set(mostApart);
    return { from, to, logC: NaN };
  }

  /** Takes head n into the maximum or the mean over heads. */
  function overOne(out, values, n, head, from, to) {
    if (head !== "max") {
      const share = 1 / heads;
      if (n === 0) for (let j = from; j < to; j++) out[j] = values[j] * share;
      else for (let j = from; j < to; j++) out[j] += values[j] * share;
      return;
    }
    for (let j = from; j < to; j++) if (n === 0 || values[j] > out[j]) out[j] = values[j];
  }

  function row(out, query, head, values) {
    const cells = support.cells?.(query) ?? null;
    const found = listed(rowOfHead, out, query, head, values, support.reached(query), spec.keys, cells);
    // What is added hides a key from the heads that are shown: it is not reached.
    if (bias?.hides) for (let j = found.from; j < found.to; j++) if (bias.hides(query, j, head)) out[j] = NaN;
    let sum = 0;
    const [a, b] = support.apart(query);
    for (let j = a; j < b; j++) sum += apart[j];
    return { ...found, apart: values === "logits" ? 0 : sum, given: apart };
  }

  function column(out, key, head, values) {
    const cells = support.cellsBack?.(key) ?? null;
    return { ...listed(columnOfHead, out, key, head, values, support.reaching(key), spec.queries, cells), apart: 0 };
  }

  const hasColumn = !spec.softmax || lse !== null;
  return { row, column: hasColumn ? column : null, words: wordRows(spec, array, support, bias) };
}

/** A cosine is no more than 1, up to rounding, and is shared out over nothing: C = 1. */
function withinOne(values, from, to) {
  for (let j = from; j < to; j++) values[j] = Math.min(Math.max(values[j], -1), 1);
  return 0;
}

/**
 * Leaves entries [from, to) out of a row and scales the rest so that the row keeps its sum.
 * Rows divided by a count are divided by the smaller count instead.
 * @param {number} apart what the row gives to keys without a place; it is scaled, too
 * @param {boolean} divided whether rows that are no softmax were divided by a count; else they stay
 * @returns {{excluded: number, scale: number}} the share of |weight| that was left out, the factor
 */
export function leaveOut(values, reachFrom, reachTo, from, to, softmax, apart = 0, divided = true) {
  let total = Math.abs(apart);
  let out = 0;
  let sum = apart;
  let sumLeft = apart;
  let count = 0;
  let left = 0;
  for (let j = reachFrom; j < reachTo; j++) {
    const size = Math.abs(values[j]);
    if (Number.isNaN(size)) continue;
    count++;
    if (j < from || j >= to) left++;
    total += size;
    sum += values[j];
    if (j >= from && j < to) out += size;
    else sumLeft += values[j];
  }
  const factor = softmax ? sum / sumLeft : divided ? count / left : 1;
  const scale = Number.isFinite(factor) ? factor : 0;
  for (let j = reachFrom; j < reachTo; j++) values[j] = j >= from && j < to && !Number.isNaN(values[j]) ? 0 : values[j] * scale;
  return { excluded: total > 0 ? out / total : 0, scale };
}
