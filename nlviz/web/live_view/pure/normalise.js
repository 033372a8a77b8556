// From vectors to logits, and from logits to rows: f and C of equation (1).

/**
 * out[j] = scale * q . vectors[j] for j in [from, to), or vectors[cells[j]]; four sums at a time
 * keep the unit busy.
 */
export function dotProducts(out, q, vectors, base, d, scale, from, to, cells = null) {
  const even = d - (d % 4);
  for (let j = from; j < to; j++) {
    let at = base + (cells ? cells[j] : j) * d;
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

/**
 * Turns logits into exp(logit) / C in place; returns log C.
 * @param {Float32Array} apart logits of keys without a place, which share C, from index a to b
 */
export function softmaxInPlace(values, from, to, apart = values, a = 0, b = 0) {
  let top = -Infinity;
  for (let j = from; j < to; j++) if (values[j] > top) top = values[j];
  for (let j = a; j < b; j++) if (apart[j] > top) top = apart[j];
  if (top === -Infinity) return -Infinity;
  const total = expInPlace(values, from, to, top) + expInPlace(apart, a, b, top);
  const factor = 1 / total;
  for (let j = from; j < to; j++) values[j] *= factor;
  for (let j = a; j < b; j++) apart[j] *= factor;
  return top + Math.log(total);
}

function expInPlace(values, from, to, top) {
  let total = 0;
  for (let j = from; j < to; j++) {
    const f = Math.exp(values[j] - top);
    values[j] = f;
    total += f;
  }
  return total;
}

/** The normalisation of dot product and concatenation: divide by the number of keys. */
export function divideByCount(values, count, rectified, from, to) {
  const factor = 1 / count;
  for (let j = from; j < to; j++) {
    const value = values[j];
    values[j] = rectified && value < 0 ? 0 : value * factor;
  }
  return Math.log(count);
}
