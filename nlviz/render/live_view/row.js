// One row or column of the affinity from theta and phi: equation (1) of Wang et al. 2018,
// y_i = 1/C(x) sum_j f(x_i, x_j) g(x_j), with the weights f / C laid over the keys.
//   gaussian, embedded_gaussian   f = exp(logit), C = sum over the reachable keys   (softmax)
//   dot_product                   f = logit,      C = number of reachable keys
//   concatenation                 f = relu(logit), C = number of reachable keys
// logit = scale * theta_i . phi_j + bias_j; for concatenation theta_i + phi_j.

import { centredVectors, groupOf } from "./parts.js";

/** out[j] = scale * q . vectors[j] for j in [from, to); four sums at a time keep the unit busy. */
function dotProducts(out, q, vectors, base, d, scale, from, to) {
  const even = d - (d % 4);
  for (let j = from; j < to; j++) {
    let at = base + j * d;
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    let k = 0;
    for (; k < even; k += 4, at += 4) {
      s0 += q[k] * vectors[at];
      s1 += q[k + 1] * vectors[at + 1];
      s2 += q[k + 2] * vectors[at + 2];
      s3 += q[k + 3] * vectors[at + 3];
    }
    for (; k < d; k++, at++) s0 += q[k] * vectors[at];
    out[j] = scale * (s0 + s1 + s2 + s3);
  }
}

/** Turns logits into exp(logit) / C in place; returns log C. */
export function softmaxInPlace(values, from, to) {
  let top = -Infinity;
  for (let j = from; j < to; j++) if (values[j] > top) top = values[j];
  if (top === -Infinity) return -Infinity;
  let total = 0;
  for (let j = from; j < to; j++) {
    const f = Math.exp(values[j] - top);
    values[j] = f;
    total += f;
  }
  const factor = 1 / total;
  for (let j = from; j < to; j++) values[j] *= factor;
  return top + Math.log(total);
}

/** The part [from, to) of `other` that a token of `grid` may reach under the source's support. */
export function reach(support, grid, index, other) {
  const all = other.shape[0] * other.shape[1] * other.shape[2];
  if (!support || support.kind !== "frame_groups") return [0, all];
  const frame = Math.floor(index / (grid.shape[1] * grid.shape[2]));
  const group = Math.floor(frame / support.size);
  const plane = other.shape[1] * other.shape[2];
  const from = Math.min(group * support.size * plane, all);
  return [from, Math.min((group + 1) * support.size * plane, all)];
}

/**
 * Rows and columns of an embedded source.
 * @param {object} spec the source of the header
 * @param {function(string): {data: Float32Array, shape: number[]}} array reader of sections
 * @returns {{row: function, column: function|null}} both fill `out` and return
 *   {from, to, logC}: the reachable part, and log C(x) where there is one head and a softmax
 */
export function embeddedRows(spec, array) {
  const vectors = (name, mean, group) => (mean ? centredVectors(array(name), array(mean), group) : array(name));
  const theta = vectors(spec.theta, spec.theta_mean, (i) => groupOf(spec.support, spec.queries, i));
  const phi = vectors(spec.phi, spec.phi_mean, () => 0);
  const [heads, queries, d] = theta.shape;
  const keys = phi.shape[1];
  const bias = spec.bias ? array(spec.bias) : null;
  const lse = spec.log_normaliser ? array(spec.log_normaliser).data : null;
  const q = new Float32Array(d);
  const scratch = new Float32Array(Math.max(keys, queries));
  const scale = spec.scale ?? 1;
  const concatenation = spec.pairwise === "concatenation";

  function logits(target, head, index, own, ownCount, other, otherCount, from, to) {
    if (concatenation) {
      const a = own[head * ownCount + index];
      const base = head * otherCount;
      for (let j = from; j < to; j++) target[j] = a + other[base + j];
      return;
    }
    const start = (head * ownCount + index) * d;
    for (let k = 0; k < d; k++) q[k] = own[start + k];
    dotProducts(target, q, other, head * otherCount * d, d, scale, from, to);
  }

  function biasOf(head) {
    return bias.shape[0] === 1 ? 0 : head * keys;
  }

  function rowOfHead(target, index, head, values, from, to) {
    logits(target, head, index, theta.data, queries, phi.data, keys, from, to);
    if (bias) {
      const base = biasOf(head);
      for (let j = from; j < to; j++) target[j] += bias.data[base + j];
    }
    if (values === "logits") return NaN;
    if (spec.softmax) return softmaxInPlace(target, from, to);
    return divideByCount(target, to - from, concatenation, from, to);
  }

  function columnOfHead(target, key, head, values, from, to) {
    logits(target, head, key, phi.data, keys, theta.data, queries, from, to);
    if (bias) {
      const b = bias.data[biasOf(head) + key];
      for (let i = from; i < to; i++) target[i] += b;
    }
    if (values === "logits") return NaN;
    if (!spec.softmax) {
      const count = reach(spec.support, spec.queries, from, spec.keys);
      return divideByCount(target, count[1] - count[0], concatenation, from, to);
    }
    const base = head * queries;
    for (let i = from; i < to; i++) target[i] = Math.exp(target[i] - lse[base + i]);
    return NaN;
  }

  function overHeads(one, out, index, head, values, from, to) {
    out.fill(0);
    if (typeof head === "number" || heads === 1) {
      const logC = one(out, index, Math.min(heads === 1 ? 0 : head, heads - 1), values, from, to);
      return { from, to, logC };
    }
    for (let n = 0; n < heads; n++) {
      one(scratch, index, n, values, from, to);
      if (head === "max") {
        for (let j = from; j < to; j++) if (n === 0 || scratch[j] > out[j]) out[j] = scratch[j];
      } else {
        for (let j = from; j < to; j++) out[j] += scratch[j] / heads;
      }
    }
    return { from, to, logC: NaN };
  }

  function row(out, query, head, values) {
    const [from, to] = reach(spec.support, spec.queries, query, spec.keys);
    return overHeads(rowOfHead, out, query, head, values, from, to);
  }

  function column(out, key, head, values) {
    const [from, to] = reach(spec.support, spec.keys, key, spec.queries);
    return overHeads(columnOfHead, out, key, head, values, from, to);
  }

  const hasColumn = !spec.softmax || lse !== null;
  return { row, column: hasColumn ? column : null };
}

/** The normalisation of dot product and concatenation: divide by the number of keys. */
function divideByCount(values, count, rectified, from, to) {
  const factor = 1 / count;
  for (let j = from; j < to; j++) {
    const value = values[j];
    values[j] = rectified && value < 0 ? 0 : value * factor;
  }
  return Math.log(count);
}

/**
 * Leaves entries [from, to) out of a row and scales the rest so that the row keeps its sum.
 * Rows divided by a count are divided by the smaller count instead.
 * @returns {number} the share of |weight| that was left out
 */
export function leaveOut(values, reachFrom, reachTo, from, to, softmax) {
  let total = 0;
  let out = 0;
  let sum = 0;
  let sumLeft = 0;
  for (let j = reachFrom; j < reachTo; j++) {
    const size = Math.abs(values[j]);
    total += size;
    sum += values[j];
    if (j >= from && j < to) out += size;
    else sumLeft += values[j];
  }
  const count = reachTo - reachFrom;
  const left = count - Math.max(0, Math.min(to, reachTo) - Math.max(from, reachFrom));
  const factor = softmax ? sum / sumLeft : count / left;
  const scale = Number.isFinite(factor) ? factor : 0;
  for (let j = reachFrom; j < reachTo; j++) values[j] = j >= from && j < to ? 0 : values[j] * scale;
  return total > 0 ? out / total : 0;
}
