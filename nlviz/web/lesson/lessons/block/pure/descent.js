// A fresh block with W_z = 0 in front of a trained head: the loss, the gradient of every weight, and
// steps against it. Written out by hand; a test compares it with automatic differentiation.

import { blockForward, headAnswer, readShares } from "./recall.js";

export const DESCENT_RATE = 0.2;
const DESCENT_PARTS = ["out", "g", "theta", "phi"];

/** A fresh block: theta, phi and g as PyTorch starts them, W_z and its bias 0. */
export function freshBlock(data) {
  const of = (name) => ({
    weight: Float64Array.from(data.array(`fresh.${name}.weight`).data), bias: Float64Array.from(data.array(`fresh.${name}.bias`).data),
  });
  const { channels } = data.head;
  const g = of("g");
  return { theta: of("theta"), phi: of("phi"), g, out: { weight: new Float64Array(channels * g.bias.length), bias: new Float64Array(channels) } };
}

/** Adds a^T b to a gradient: a is (count, outputs), b (count, inputs). */
function addOuter(gradient, a, outputs, b, inputs) {
  const count = a.length / outputs;
  for (let n = 0; n < count; n++) {
    for (let o = 0; o < outputs; o++) {
      const factor = a[n * outputs + o];
      gradient.bias[o] += factor;
      if (factor === 0) continue;
      for (let k = 0; k < inputs; k++) gradient.weight[o * inputs + k] += factor * b[n * inputs + k];
    }
  }
}

/**
 * Loss, right answers and gradients over all clips.
 * @param {any} data the lesson's
 * @param {ReturnType<typeof freshBlock>} block
 */
export function blockGradients(data, block) {
  const [clips] = data.array("x").shape;
  const answers = data.array("answers").data;
  const head = data.array("head.weight").data;
  const gradients = Object.fromEntries(DESCENT_PARTS.map((name) => [name, {
    weight: new Float64Array(block[name].weight.length), bias: new Float64Array(block[name].bias.length),
  }]));
  let loss = 0;
  let right = 0;
  for (let clip = 0; clip < clips; clip++) {
    const forward = blockForward(data, clip, block);
    const chances = headAnswer(data, forward, 1);
    loss -= Math.log(chances[answers[clip]]) / clips;
    if (chances.indexOf(Math.max(...chances)) === answers[clip]) right += 1;
    addClip(gradients, forward, block, readShares(data, forward.last, forward.channels), chances.map((chance, n) => (chance - (n === answers[clip] ? 1 : 0)) / clips), head);
  }
  return { loss, right, clips, gradients };
}

function addClip(gradients, forward, block, shares, errors, head) {
  const { all, last, channels, inner, keys, theta, phi, g, rows, y } = forward;
  const queries = shares.length;
  const pooled = new Float64Array(channels);
  for (let n = 0; n < errors.length; n++) for (let k = 0; k < channels; k++) pooled[k] += errors[n] * head[n * channels + k];
  const added = new Float64Array(queries * channels);
  for (let i = 0; i < queries; i++) for (let k = 0; k < channels; k++) added[i * channels + k] = shares[i] * pooled[k];
  addOuter(gradients.out, added, channels, y, inner);
  // Through W_z: while it is zero, nothing comes through.
  const toY = new Float64Array(queries * inner);
  for (let i = 0; i < queries; i++) {
    for (let k = 0; k < channels; k++) {
      const factor = added[i * channels + k];
      for (let m = 0; m < inner; m++) toY[i * inner + m] += factor * block.out.weight[k * inner + m];
    }
  }
  const toG = new Float64Array(keys * inner);
  const toTheta = new Float64Array(queries * inner);
  const toPhi = new Float64Array(keys * inner);
  const toRow = new Float64Array(keys);
  for (let i = 0; i < queries; i++) {
    let mean = 0;
    for (let j = 0; j < keys; j++) {
      const weight = rows[i * keys + j];
      let sum = 0;
      for (let m = 0; m < inner; m++) {
        sum += toY[i * inner + m] * g[j * inner + m];
        toG[j * inner + m] += weight * toY[i * inner + m];
      }
      toRow[j] = sum;
      mean += weight * sum;
    }
    for (let j = 0; j < keys; j++) {
      const toLogit = rows[i * keys + j] * (toRow[j] - mean);
      for (let m = 0; m < inner; m++) {
        toTheta[i * inner + m] += toLogit * phi[j * inner + m];
        toPhi[j * inner + m] += toLogit * theta[i * inner + m];
      }
    }
  }
  addOuter(gradients.g, toG, inner, all, channels);
  addOuter(gradients.theta, toTheta, inner, last, channels);
  addOuter(gradients.phi, toPhi, inner, all, channels);
}

/** The length of each gradient of a matrix, by name. */
export function gradientNorms(gradients) {
  return Object.fromEntries(DESCENT_PARTS.map((name) => [name, Math.sqrt(gradients[name].weight.reduce((sum, value) => sum + value * value, 0))]));
}

/** One step against the gradient, in place. */
export function stepDown(block, gradients, rate = DESCENT_RATE) {
  for (const name of DESCENT_PARTS) {
    for (const kind of /** @type {("weight"|"bias")[]} */ (["weight", "bias"])) {
      const values = block[name][kind];
      for (let k = 0; k < values.length; k++) values[k] -= rate * gradients[name][kind][k];
    }
  }
}
