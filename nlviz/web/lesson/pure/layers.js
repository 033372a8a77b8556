// What networks that run in a lesson are made of: maps of vectors and softmaxes. No DOM.

/**
 * W x + b of every vector x.
 * @param {ArrayLike<number>} x (count, inputs)
 * @param {number} inputs
 * @param {ArrayLike<number>} weight (outputs, inputs)
 * @param {ArrayLike<number>} bias (outputs)
 * @param {any} [Kind] of the result, (count, outputs); sums are taken in double precision
 */
export function linearRows(x, inputs, weight, bias, Kind = Float64Array) {
  const outputs = bias.length;
  const count = x.length / inputs;
  const out = new Kind(count * outputs);
  for (let n = 0; n < count; n++) {
    const from = n * inputs;
    for (let o = 0; o < outputs; o++) {
      const row = o * inputs;
      let sum = bias[o];
      for (let k = 0; k < inputs; k++) sum += weight[row + k] * x[from + k];
      out[n * outputs + o] = sum;
    }
  }
  return out;
}

/** Each row of (rows, columns) as a softmax, in place. */
export function softmaxRows(values, columns = values.length) {
  for (let at = 0; at < values.length; at += columns) {
    let most = -Infinity;
    for (let j = 0; j < columns; j++) most = Math.max(most, values[at + j]);
    let total = 0;
    for (let j = 0; j < columns; j++) {
      values[at + j] = Math.exp(values[at + j] - most);
      total += values[at + j];
    }
    for (let j = 0; j < columns; j++) values[at + j] /= total;
  }
  return values;
}
