// The weighted mean y = sum_j f g / C, one key after the other.

import { topIndices } from "./top_k.js";

const MOST_STEPS = 2048; // keys that are added one by one

/** Offset of every key of a grid in a picture's values, (frames, rows, columns, channels). */
function offsetsOf({ shape, stride, origin }, pixels) {
  const [clipFrames, height, width, channels] = pixels;
  const [t, h, w] = shape;
  const along = (axis, last) => Int32Array.from({ length: shape[axis] }, (_, n) => (
    Math.min(Math.max(Math.ceil(origin[axis] + stride[axis] * n - 0.5), 0), last)));
  const [frames, rows, columns] = [along(0, clipFrames - 1), along(1, height - 1), along(2, width - 1)];
  return (index) => ((frames[Math.floor(index / (h * w)) % t] * height + rows[Math.floor(index / w) % h]) * width
    + columns[index % w]) * channels;
}

/**
 * The strongest keys of a row in order of weight, and the weighted mean of those up to each; where
 * keys are more than can be followed, the rest comes in one last step.
 * @param {{values: Float32Array, grid: Grid, from: number, to: number}} result what the engine computed
 * @param {Section} pixels the values that are averaged
 * @returns {Sums} keys; mean and sum of weights after each step;
 *   number of keys in the last; what is left of noise that is independent from pixel to pixel
 */
export function runningMean({ values, grid, from: first, to: end }, { data, shape }) {
  const channels = shape[3];
  const at = offsetsOf(grid, shape);
  const followed = new Int32Array(MOST_STEPS);
  const order = followed.subarray(0, topIndices(values, MOST_STEPS, followed, { from: first, to: end }));
  const means = [];
  const shares = [];
  const sum = new Float64Array(channels);
  let weight = 0;
  let squares = 0;
  const add = (index) => {
    for (let c = 0, place = at(index); c < channels; c++) sum[c] += values[index] * data[place + c];
    weight += values[index];
    squares += values[index] * values[index];
  };
  const note = () => {
    shares.push(weight);
    means.push(Array.from(sum, (v) => v / weight));
  };
  for (const index of order) {
    if (!(values[index] > 0)) break;
    add(index);
    note();
  }
  let count = means.length;
  if (count === MOST_STEPS) {
    count = 0;
    sum.fill(0);
    weight = 0;
    squares = 0;
    for (let index = first; index < end; index++) {
      if (!(values[index] > 0)) continue;
      add(index);
      count++;
    }
    if (count > MOST_STEPS) note();
  }
  return { order, means, shares, count, noise: Math.sqrt(squares) / weight };
}
