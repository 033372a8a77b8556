// Non-local means over a whole small picture, for any h at once: distances of patches do not depend
// on h, so that they are computed once and a new h costs one exponential a pair.
//   y_i = sum_j f_ij x_j / sum_j f_ij,   f = exp(-max(d_ij - 2 sigma^2, 0) / h^2)
// The same formula, borders and order as nlviz.denoise.non_local_means.

import { mirroredPicture } from "../../../../live_view/pure/patch_rows.js";

/**
 * Distances of the patch around every pixel to the patches of its window.
 * @param {ArrayLike<number>} pixels
 * @param {number} height
 * @param {number} width
 * @param {{patch: number, window: number}} sides odd numbers of pixels
 */
export function patchDistances(pixels, height, width, { patch, window }) {
  const reach = (window - 1) / 2;
  const half = (patch - 1) / 2;
  const margin = reach + half;
  const padded = mirroredPicture(pixels, [1, height, width, 1], margin);
  const pitch = padded.width;
  const count = window * window;
  const apart = new Float32Array(count * height * width);
  const values = new Float32Array(count * height * width);
  const rows = height + 2 * half;
  const columns = width + 2 * half;
  const squares = new Float64Array(rows * columns);
  const across = new Float64Array(rows * width);
  for (let n = 0; n < count; n++) {
    const dy = Math.floor(n / window) - reach;
    const dx = (n % window) - reach;
    for (let y = 0; y < rows; y++) {
      const here = (y + reach) * pitch + reach;
      const there = here + dy * pitch + dx;
      for (let x = 0; x < columns; x++) squares[y * columns + x] = (padded.data[here + x] - padded.data[there + x]) ** 2;
    }
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < width; x++) {
        let sum = 0;
        for (let k = 0; k < patch; k++) sum += squares[y * columns + x + k];
        across[y * width + x] = sum;
      }
    }
    const base = n * height * width;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        let sum = 0;
        for (let k = 0; k < patch; k++) sum += across[(y + k) * width + x];
        apart[base + y * width + x] = sum / (patch * patch);
        values[base + y * width + x] = padded.data[(y + margin + dy) * pitch + x + margin + dx];
      }
    }
  }
  return { apart, values, count, pixels: height * width };
}

/**
 * The picture denoised with a strength.
 * @param {ReturnType<typeof patchDistances>} distances
 * @param {number} h
 * @param {number} sigma whose 2 sigma^2 is taken off each distance
 */
export function meansOfPatches({ apart, values, count, pixels }, h, sigma) {
  const sums = new Float64Array(pixels);
  const whole = new Float64Array(pixels);
  const strength = -1 / (h * h);
  const bias = 2 * sigma * sigma;
  for (let n = 0; n < count; n++) {
    const base = n * pixels;
    for (let i = 0; i < pixels; i++) {
      const f = Math.exp(strength * Math.max(apart[base + i] - bias, 0));
      sums[i] += f * values[base + i];
      whole[i] += f;
    }
  }
  return sums.map((sum, i) => sum / whole[i]);
}

/** Decibels of a picture beside the clean one: 10 log10(white^2 / mean square error). */
export function decibels(clean, other, white = 255) {
  let sum = 0;
  for (let n = 0; n < other.length; n++) sum += (other[n] - clean[n]) ** 2;
  return 10 * Math.log10((white * white * other.length) / sum);
}
