// A block and a 3 x 3 x 3 convolution as plain loops, a little at a time: so that both can be timed in
// the browser without blocking the page. They compute what they say; a test compares with PyTorch.

/** Numbers from 0 on that look drawn, the same every time, in [-0.5, 0.5). */
export function drawnNumbers(count, seed) {
  const out = new Float32Array(count);
  let state = seed >>> 0;
  for (let n = 0; n < count; n++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    out[n] = state / 2 ** 32 - 0.5;
  }
  return out;
}

/**
 * A 3 x 3 x 3 convolution with a border of zeros; one output cell at a time.
 * @param {{x: Float32Array, weight: Float32Array, channels: number, grid: number[]}} about
 *   x (cells, channels); weight (outputs, 3, 3, 3, inputs)
 */
export function* convolutionWork({ x, weight, channels, grid: [t, h, w] }) {
  const out = new Float32Array(x.length);
  for (let a = 0; a < t; a++) {
    for (let b = 0; b < h; b++) {
      for (let c = 0; c < w; c++) {
        const to = ((a * h + b) * w + c) * channels;
        for (let tap = 0; tap < 27; tap++) {
          const [i, j, k] = [a + Math.floor(tap / 9) - 1, b + (Math.floor(tap / 3) % 3) - 1, c + (tap % 3) - 1];
          if (i < 0 || i >= t || j < 0 || j >= h || k < 0 || k >= w) continue;
          const from = ((i * h + j) * w + k) * channels;
          for (let o = 0; o < channels; o++) {
            let sum = 0;
            const at = (o * 27 + tap) * channels;
            for (let n = 0; n < channels; n++) sum += weight[at + n] * x[from + n];
            out[to + o] += sum;
          }
        }
        yield out;
      }
    }
  }
}

/**
 * An embedded Gaussian block without biases; one query at a time, after theta, phi and g.
 * @param {{x: Float32Array, channels: number, inner: number, weights: Record<string, Float32Array>}} about
 *   weights: theta, phi and g (inner, channels), out (channels, inner)
 */
export function* blockWork({ x, channels, inner, weights }) {
  const cells = x.length / channels;
  const made = { theta: new Float32Array(cells * inner), phi: new Float32Array(cells * inner), g: new Float32Array(cells * inner) };
  const out = new Float32Array(x.length);
  for (const [name, values] of Object.entries(made)) {
    for (let n = 0; n < cells; n++) {
      for (let o = 0; o < inner; o++) {
        let sum = 0;
        for (let k = 0; k < channels; k++) sum += weights[name][o * channels + k] * x[n * channels + k];
        values[n * inner + o] = sum;
      }
      if (n % 16 === 0) yield out;
    }
  }
  const { theta, phi, g } = made;
  const row = new Float32Array(cells);
  const y = new Float32Array(inner);
  for (let i = 0; i < cells; i++) {
    let total = 0;
    for (let j = 0; j < cells; j++) {
      let sum = 0;
      for (let k = 0; k < inner; k++) sum += theta[i * inner + k] * phi[j * inner + k];
      row[j] = Math.exp(sum);
      total += row[j];
    }
    y.fill(0);
    for (let j = 0; j < cells; j++) for (let k = 0; k < inner; k++) y[k] += row[j] * g[j * inner + k];
    for (let o = 0; o < channels; o++) {
      let sum = 0;
      for (let k = 0; k < inner; k++) sum += weights.out[o * inner + k] * y[k];
      out[i * channels + o] = x[i * channels + o] + sum / total;
    }
    yield out;
  }
}
