// The recall network's block and head on cells that its trunk computed: z = x + s W_z y, and the
// colour that the head reads off the last frame.

import { linearRows, softmaxRows } from "../../../pure/layers.js";

/** (rows, inner) times (columns, inner) transposed. */
function crossProducts(a, b, inner) {
  const rows = a.length / inner;
  const columns = b.length / inner;
  const out = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      let sum = 0;
      for (let k = 0; k < inner; k++) sum += a[i * inner + k] * b[j * inner + k];
      out[i * columns + j] = sum;
    }
  }
  return out;
}

/** Weights (rows, columns) times values (columns, width). */
function weightedSums(weights, columns, values, width) {
  const rows = weights.length / columns;
  const out = new Float64Array(rows * width);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const weight = weights[i * columns + j];
      for (let k = 0; k < width; k++) out[i * width + k] += weight * values[j * width + k];
    }
  }
  return out;
}

/** Cells of one clip, (cells, channels), and of its last frame, the queries that the head reads. */
export function clipCells(data, clip) {
  const { data: x, shape: [, cells, channels] } = data.array("x");
  const [, h, w] = data.head.grid;
  const all = x.subarray(clip * cells * channels, (clip + 1) * cells * channels);
  return { all, last: all.subarray((cells - h * w) * channels), channels };
}

/**
 * A block on one clip, for the queries of the last frame.
 * @param {any} data the lesson's
 * @param {number} clip
 * @param {Record<string, {weight: ArrayLike<number>, bias: ArrayLike<number>}>} block theta, phi, g, out
 */
export function blockForward(data, clip, block) {
  const { all, last, channels } = clipCells(data, clip);
  const inner = block.theta.bias.length;
  const theta = linearRows(last, channels, block.theta.weight, block.theta.bias);
  const phi = linearRows(all, channels, block.phi.weight, block.phi.bias);
  const g = linearRows(all, channels, block.g.weight, block.g.bias);
  const keys = phi.length / inner;
  const rows = softmaxRows(crossProducts(theta, phi, inner), keys);
  const y = weightedSums(rows, keys, g, inner);
  const added = linearRows(y, inner, block.out.weight, block.out.bias);
  return { all, last, channels, inner, keys, theta, phi, g, rows, y, added };
}

/** Weights of the trained block, by name. */
export function trainedBlock(data) {
  return Object.fromEntries(["theta", "phi", "g", "out"].map((name) => [name, {
    weight: data.array(`${name}.weight`).data, bias: data.array(`${name}.bias`).data,
  }]));
}

/** How much of every cell of the last frame the head reads: a softmax over them. */
export function readShares(data, last, channels) {
  return softmaxRows(linearRows(last, channels, data.array("where.weight").data, [0]), last.length / channels);
}

/** What the head says of z = x + factor * added: the probabilities of the colours. */
export function headAnswer(data, { last, channels, added }, factor) {
  const shares = readShares(data, last, channels);
  const pooled = new Float64Array(channels);
  for (let i = 0; i < shares.length; i++) {
    for (let k = 0; k < channels; k++) pooled[k] += shares[i] * (last[i * channels + k] + factor * added[i * channels + k]);
  }
  const bias = data.array("head.bias").data;
  return softmaxRows(linearRows(pooled, channels, data.array("head.weight").data, bias), bias.length);
}

const forwards = new WeakMap();

/** The trained block on every clip, computed once. */
function forwardOf(data, clip) {
  if (!forwards.has(data)) forwards.set(data, new Map());
  const known = forwards.get(data);
  if (!known.has(clip)) known.set(clip, blockForward(data, clip, trainedBlock(data)));
  return known.get(clip);
}

/** What the trained network gives on a clip with W_z times a factor. */
export function scaledRun(data, clip, factor) {
  const forward = forwardOf(data, clip);
  const { last, added, rows, keys } = forward;
  let input = 0;
  let more = 0;
  for (let k = 0; k < last.length; k++) {
    input += last[k] ** 2;
    more += (factor * added[k]) ** 2;
  }
  const chances = headAnswer(data, forward, factor);
  const answer = chances.indexOf(Math.max(...chances));
  const [, , w] = data.head.grid;
  const places = data.array("places").data;
  const frames = data.head.grid[0];
  const at = 2 * (clip * frames + frames - 1);
  const query = places[at] * w + places[at + 1];
  return {
    chances, answer, right: answer === data.array("answers").data[clip], ratio: Math.sqrt(more / input),
    row: rows.subarray(query * keys, (query + 1) * keys), query: [places[at], places[at + 1]],
  };
}

/** On how many of the clips the answer is right, with W_z times a factor. */
export function rightOf(data, factor) {
  const [clips] = data.array("x").shape;
  let right = 0;
  for (let clip = 0; clip < clips; clip++) if (scaledRun(data, clip, factor).right) right += 1;
  return { right, clips };
}
