// A mean over pixels that somebody chose: what it leaves of noise, and what it blurs. Chosen pixels do not
// depend on the noise, so that the error over all its draws is known:
//   error^2 = sigma^2 / n + (mean of the chosen pixels without noise - pixel i without noise)^2

/**
 * @param {number[]} chosen indices of pixels of the window
 * @param {ArrayLike<number>} clean of the window, without noise
 * @param {ArrayLike<number>} noisy of the window
 * @param {number} centre index of pixel i
 * @param {number} sigma
 */
export function paintedMean(chosen, clean, noisy, centre, sigma) {
  const meanOf = (values) => chosen.reduce((all, j) => all + values[j], 0) / chosen.length;
  const n = chosen.length;
  const noise = sigma / Math.sqrt(n);
  const shift = meanOf(clean) - clean[centre];
  return { n, noise, shift, blur: Math.abs(shift), error: Math.hypot(noise, shift), mean: meanOf(clean), y: meanOf(noisy), truth: clean[centre] };
}

/** The window around a pixel of a picture, which lies inside it. */
export function windowOf(pixels, width, [row, column], side) {
  const reach = (side - 1) / 2;
  return Float32Array.from({ length: side * side }, (_, j) => pixels[(row - reach + Math.floor(j / side)) * width + column - reach + (j % side)]);
}
