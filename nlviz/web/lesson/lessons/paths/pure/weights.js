// Weights of one output place over all input places: fixed ones, and computed ones.

import { softmaxRows } from "../../../pure/layers.js";

/**
 * The row of a query of an embedded Gaussian: softmax over keys of scale x theta_i . phi_j.
 * @param {ArrayLike<number>} theta (cells x d)
 * @param {ArrayLike<number>} phi (cells x d)
 */
export function pathsComputed(theta, phi, query, cells, scale) {
  const d = theta.length / cells;
  const row = new Float32Array(cells);
  for (let j = 0; j < cells; j++) {
    let dot = 0;
    for (let k = 0; k < d; k++) dot += theta[query * d + k] * phi[j * d + k];
    row[j] = scale * dot;
  }
  return softmaxRows(row);
}

/**
 * A kernel laid around a query; what lies beyond the edge of the picture meets zeros.
 * @param {ArrayLike<number>} kernel (side x side)
 */
export function pathsConvolved(kernel, query, rows, columns) {
  const side = Math.sqrt(kernel.length);
  const middle = (side - 1) / 2;
  const [row, column] = [Math.floor(query / columns), query % columns];
  const out = new Float32Array(rows * columns);
  for (let a = 0; a < side; a++) {
    for (let b = 0; b < side; b++) {
      const [r, c] = [row + a - middle, column + b - middle];
      if (r >= 0 && r < rows && c >= 0 && c < columns) out[r * columns + c] = kernel[a * side + b];
    }
  }
  return out;
}

/**
 * The weights of one output of a fully connected layer that nobody trained: even in +-1/sqrt(cells), drawn for each
 * pair of places once, by a hash, so that the picture cannot play a part.
 */
export function pathsConnected(query, cells) {
  const out = new Float32Array(cells);
  let seed = Math.imul(query + 1, 0x9e3779b1) >>> 0;
  for (let j = 0; j < cells; j++) {
    seed = (seed + 0x6d2b79f5) >>> 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
    out[j] = (2 * (((t ^ (t >>> 14)) >>> 0) / 2 ** 32) - 1) / Math.sqrt(cells);
  }
  return out;
}

/** The share of a row's weight that lies elsewhere in another row: half the sum of differences, of sizes that sum to 1. */
export function pathsMoved(one, other) {
  let [sizeOne, sizeOther, moved] = [0, 0, 0];
  for (let j = 0; j < one.length; j++) {
    sizeOne += Math.abs(one[j]);
    sizeOther += Math.abs(other[j]);
  }
  for (let j = 0; j < one.length; j++) moved += Math.abs(one[j] / sizeOne - other[j] / sizeOther);
  return moved / 2;
}

/**
 * What layers between the cells of a grid have to learn.
 * @param {number} cells
 * @param {number} channels of the features, and of theta, phi and g
 * @returns {{convolution: number, connected: number, nonlocal: number}} weights: a 3 x 3 convolution and its bias;
 *   one for each pair of places, the same for all channels; theta, phi, g and W_z with their biases and a temperature
 */
export function pathsLearned(cells, channels) {
  return {
    convolution: 9 * channels ** 2 + channels,
    connected: cells ** 2,
    nonlocal: 4 * (channels ** 2 + channels) + 1,
  };
}
