// Whether an answer of the lesson "paths" is right, computed from what the learner set and from the data.

import { pathsApart, pathsField, pathsLayersTo, pathsReached, pathsStack, pathsSteps } from "./reach.js";
import { pathsComputed, pathsLearned, pathsMoved } from "./weights.js";
import { pathsOutside, pathsWidth } from "./widths.js";

const PATHS_NEAREST = 5; // cells: below, the slider shows the answer
const PATHS_MOST_STEPS = 5;
const PATHS_CLOSE = 0.15; // of a width that was measured
const PATHS_HALF = 0.5;

/** How many 3 x 3 layers until the output at A depends on B. */
export function judgePathsLayers({ given, reading: { from, to } }) {
  const down = Math.abs(to[0] - from[0]);
  const across = Math.abs(to[1] - from[1]);
  const apart = pathsApart(from, to);
  const layers = pathsLayersTo(apart);
  const values = { given, down, across, seven: pathsLayersTo(apart, 7), diagonal: Math.min(down, across), width: 2 * given + 1, third: 3 * given };
  if (!Number.isInteger(given) || given < 1) return { right: false, say: "whole", values };
  if (apart < PATHS_NEAREST) return { right: false, say: "near", values: { ...values, apart, nearest: PATHS_NEAREST } };
  if (given === layers) return { right: true, say: "right", values };
  if (given === down + across) return { right: false, say: "added", values };
  if (given === Math.ceil(layers / 3) || given === Math.floor(layers / 3)) return { right: false, say: "third", values };
  return { right: false, say: given < layers ? "few" : "many", values };
}

/** Whether local layers connect A and B in few steps. */
export function judgePathsLine({ reading: { kind, layers, distance, places } }) {
  const stack = pathsStack(kind, layers);
  if (kind === "recurrent") return { right: false, say: "recurrent", values: { distance, most: PATHS_MOST_STEPS } };
  if (!stack) return { right: false, say: "wide", values: { places, distance } };
  const reached = pathsReached(stack);
  const reach = Math.max(...reached);
  const values = { layers, reach, distance, most: PATHS_MOST_STEPS, field: pathsField(stack), plain: pathsSteps("three", distance), recurrent: pathsSteps("recurrent", distance) };
  if (reached.includes(-distance)) return layers <= PATHS_MOST_STEPS ? { right: true, say: "right", values } : { right: false, say: "short", values };
  // The kind would do: more of its layers are allowed.
  if (reach < distance) return { right: false, say: pathsSteps(kind, distance) <= PATHS_MOST_STEPS ? "more" : "short", values };
  const before = Math.max(...reached.filter((place) => place < distance));
  return { right: false, say: "holes", values: { ...values, before, after: Math.min(...reached.filter((place) => place > distance)) } };
}

/** The width that holds 95 % of the measured gradient of a stack of random layers. */
export const pathsWidthOf = (data, depth) => pathsWidth(data.array(`plain_${depth}`).data, 2 * depth + 1);

/** How wide the effective field of the deepest stack is, which the slider does not reach. */
export function judgePathsWidth({ given, reading: { depth }, data }) {
  const depths = /** @type {number[]} */ (data.head.depths);
  const asked = depths[depths.length - 1];
  const found = pathsWidthOf(data, asked);
  // The learner's own depth, and the one of a quarter as many layers.
  const at = Math.min(Math.max(2, depths.indexOf(depth)), depths.length - 2);
  const [few, many] = [depths[at - 2], depths[at]];
  const [narrow, wide] = [pathsWidthOf(data, few), pathsWidthOf(data, many)];
  const values = { given, asked, few, many, narrow, wide, times: wide / narrow, fields: (2 * many + 1) / (2 * few + 1), field: 2 * asked + 1, now: 2 * many + 1 };
  if (Math.abs(given - found) <= PATHS_CLOSE * found) {
    return { right: true, say: "right", values: { ...values, found, share: (found / (2 * asked + 1)) ** 2 } };
  }
  if (Math.abs(given - (2 * asked + 1)) <= 2) return { right: false, say: "field", values };
  return { right: false, say: given > found ? "high" : "low", values };
}

/** Which of the maps is of a network whose gradient leaves what its convolutions reach. */
export function judgePathsBlock({ given, data, spec }) {
  const shares = spec.figure.maps.map(({ id, map }) => {
    const { data: values, shape } = data.array(`field_${map}`);
    const about = data.head.fields.find(({ name }) => name === map);
    return { id, about, outside: pathsOutside(values, shape, about) };
  });
  const most = shares.reduce((best, each) => (each.outside > best.outside ? each : best));
  const chosen = shares.find(({ id }) => id === given);
  const letter = given.toUpperCase();
  if (given !== most.id) {
    return { right: false, say: "inside", values: { letter, outside: chosen.outside, field: chosen.about.field, width: chosen.about.width } };
  }
  const of = (name) => shares.find(({ about }) => about.name === name);
  return {
    right: true, say: "right",
    values: {
      letter, outside: chosen.outside, twin: of("trained").id.toUpperCase(), twin_outside: of("trained").outside, width: of("trained").about.width, field: of("trained").about.field,
      untrained: of("untrained").id.toUpperCase(), untrained_width: of("untrained").about.width, residual: of("residual").id.toUpperCase(),
    },
  };
}

/** The block's row of a query on a picture of the data. */
export function pathsRowOf(data, picture, query) {
  const { rows, columns, scale } = data.head.block;
  return pathsComputed(data.array(`theta_${picture}`).data, data.array(`phi_${picture}`).data, query, rows * columns, scale);
}

/** Whether more than half of the block's row moved when the picture changed. */
export function judgePathsMoved({ reading: { kind, picture, query }, data }) {
  const [before, after] = ["first", picture].map((name) => pathsRowOf(data, name, query));
  const moved = pathsMoved(before, after);
  if (kind !== "nonlocal") return { right: false, say: "fixed", values: { moved: 0, half: PATHS_HALF } };
  if (moved > PATHS_HALF) return { right: true, say: "right", values: { moved, brighter: pathsMoved(pathsRowOf(data, "first", query), pathsRowOf(data, "brighter", query)) } };
  if (picture === "brighter") return { right: false, say: "brighter", values: { moved } };
  // What the cell keeps for itself on both pictures cannot move.
  const [kept, there] = [before[query], after[query]];
  const most = 1 - Math.min(kept, there);
  return { right: false, say: most > PATHS_HALF ? "little" : "kept", values: { moved, half: PATHS_HALF, most, kept, kept_there: there } };
}

/** By what factor the weights of a fully connected layer grow when both sides of the picture double. */
export function judgePathsGrowth({ given, data, spec }) {
  const cellsAt = (size) => {
    const { rows, columns } = data.head.sizes.find((each) => each.size === size);
    return rows * columns;
  };
  const [small, large] = spec.figure.asked;
  const [few, many] = [cellsAt(small), cellsAt(large)];
  const learned = (cells) => pathsLearned(cells, data.head.channels);
  const growth = learned(many).connected / learned(few).connected;
  const values = {
    given, small, large, few, many, growth, from: learned(few).connected, to: learned(many).connected, block: learned(few).nonlocal,
    uniform_few: 1 / few, uniform_many: 1 / many,
  };
  if (Math.abs(given - growth) <= 0.02 * growth) return { right: true, say: "right", values };
  if (Math.abs(given - large / small) < 0.01) return { right: false, say: "side", values };
  if (Math.abs(given - many / few) < 0.01) return { right: false, say: "cells", values };
  return { right: false, say: given < growth ? "low" : "high", values };
}
