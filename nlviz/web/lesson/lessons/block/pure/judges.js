// What is right in "The block", computed from costs, rows, answers and gradients.

import { blockCosts, convolutionCosts, countText } from "./costs.js";
import { blockGradients, freshBlock, gradientNorms } from "./descent.js";
import { rightOf, scaledRun } from "./recall.js";

/** The sizes that can be chosen in the figure of costs. */
export const BLOCK_SIZES = { channels: [16, 64, 256, 512, 1024], ratio: [4, 2, 1], frames: [1, 2, 4, 8, 16, 32], side: [7, 14, 28, 56], pool: [1, 2, 4] };

/** What the costs figure's state is for the counting. */
export const costsAbout = ({ channels, ratio, frames, side, pool, order }) => ({
  channels, inner: channels / ratio, grid: [frames, side, side], pool, first: order === "pool",
});

/** Find a grid on which the pairs cost more than all 1 x 1 convolutions. */
export function judgePairsLead({ state }) {
  const { keys, pairs, convolutions } = blockCosts(costsAbout(state));
  const values = { keys, channels: state.channels, twice: 2 * state.channels, pairs: countText(pairs), convolutions: countText(convolutions) };
  const right = pairs > convolutions;
  return { right, say: right ? "right" : "wrong", values };
}

/** What becomes of the rows at W_z = 0, from the rows that the network has there. */
export function judgeRowsAtZero({ given, state, data }) {
  const now = scaledRun(data, state.clip, state.factor);
  const whole = scaledRun(data, state.clip, 1);
  const sum = now.row.reduce((total, weight) => total + weight, 0);
  const change = now.row.reduce((most, weight, j) => Math.max(most, Math.abs(weight - whole.row[j])), 0);
  const most = Math.max(...now.row);
  const truth = sum < 1e-6 ? "zero" : most < 1.5 / now.row.length ? "uniform" : change < 1e-6 ? "same" : "other";
  const { right, clips } = rightOf(data, state.factor);
  const values = { factor: state.factor, sum, times: most * now.row.length, ratio: now.ratio, right, clips };
  if (state.factor > 0) return { right: false, say: "not-zero", values };
  return { right: given === truth, say: given === truth ? "right" : given === "zero" ? "not-none" : "not-even", values };
}

/** The mean over fresh blocks of how many pictures keep their class, and the likeness of logits, at a factor's number. */
export function keptAt(data, number) {
  const { data: kept, shape: [starts, pictures, factors] } = data.array("insert.kept");
  const near = data.array("insert.correlation").data;
  const by = [];
  let correlation = 0;
  for (let start = 0; start < starts; start++) {
    let sum = 0;
    for (let n = 0; n < pictures; n++) {
      sum += kept[(start * pictures + n) * factors + number];
      correlation += near[(start * pictures + n) * factors + number] / (starts * pictures);
    }
    by.push(sum);
  }
  return { mean: by.reduce((a, b) => a + b, 0) / starts, least: Math.min(...by), most: Math.max(...by), correlation, pictures };
}

/** How many pictures keep their class when W_z starts as other layers do. */
export function judgeInserted({ given, state, data }) {
  const factors = Array.from(data.array("insert.factors").data);
  const usual = keptAt(data, factors.indexOf(1));
  const own = keptAt(data, state.number);
  const values = { given, kept: usual.mean, least: usual.least, most: usual.most, pictures: usual.pictures, factor: factors[state.number], own: own.mean };
  const right = Math.abs(given - usual.mean) <= 1;
  return { right, say: right ? "right" : given > usual.mean ? "too-many" : "too-few", values };
}

/** Whose gradient is exactly zero before the first step. */
export function judgeFirstGradient({ given, state, data }) {
  const { gradients } = blockGradients(data, freshBlock(data));
  const norms = gradientNorms(gradients);
  const zero = Object.keys(norms).filter((name) => norms[name] === 0);
  const truth = zero.length === 4 ? "all" : zero.length === 0 ? "none" : zero.includes("out") ? "out" : zero.length === 3 ? "inside" : "other";
  const values = { out: norms.out, inside: norms.g + norms.theta + norms.phi, steps: state.steps };
  return { right: given === truth, say: given === truth ? "right" : given === "all" ? "dead" : "wrong", values };
}

/** What is left of four counts where the keys are pooled 2 x 2, as shares. */
export function leftOfPooling(about) {
  const whole = blockCosts({ ...about, pool: 1 });
  const pooled = blockCosts({ ...about, pool: 2 });
  return {
    pairs: pooled.pairCount / whole.pairCount, block: pooled.multiplyAdds / whole.multiplyAdds,
    parameters: pooled.parameters / whole.parameters, output: pooled.cells / whole.cells,
  };
}

/** Which of four counts falls to a quarter at every size that can be chosen, not at some alone. */
export function judgeQuarter({ given, state }) {
  const share = leftOfPooling(costsAbout(state));
  const most = { ...share };
  for (const channels of BLOCK_SIZES.channels) {
    for (const side of BLOCK_SIZES.side) {
      const other = leftOfPooling(costsAbout({ ...state, channels, side }));
      for (const name of Object.keys(most)) most[name] = Math.max(most[name], other[name]);
    }
  }
  const truth = Object.keys(most).filter((name) => most[name] <= 0.2501);
  const values = { ...share, given: share[given], most: most[given], channels: state.channels, side: state.side };
  const right = truth.length === 1 && given === truth[0];
  return { right, say: right ? "right" : given, values };
}

/** Find where the block costs more than the convolution. */
export function judgeBlockCostsMore({ state }) {
  const block = blockCosts(costsAbout(state));
  const convolution = convolutionCosts(costsAbout(state));
  const values = {
    block: countText(block.multiplyAdds), convolution: countText(convolution.multiplyAdds), share: block.multiplyAdds / convolution.multiplyAdds,
    keys: block.keys, cells: block.cells, channels: state.channels, reach: convolution.reach,
  };
  const right = block.multiplyAdds > convolution.multiplyAdds;
  return { right, say: right ? "right" : "wrong", values };
}
