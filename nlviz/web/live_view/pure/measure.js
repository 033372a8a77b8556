// What is read off a row once it is computed: shares by frame, its strongest keys, its scale.

import { logitScale, rowScale } from "./colour.js";
import { MOST_LINKS } from "./room.js";
import { leaveOut } from "./rows.js";
import { topIndices } from "./top_k.js";

const RANK_SHARE = 0.004;

/**
 * Mark the own cell or frame as left out and, in a row, renormalise the rest.
 * @param {Result} result
 * @param {string} what nothing, cell or frame
 */
export function skipOwn(result, what) {
  if (what === "nothing") return;
  const plane = result.grid.shape[1] * result.grid.shape[2];
  const start = what === "cell" ? result.own : Math.floor(result.own / plane) * plane;
  const end = what === "cell" ? start + 1 : start + plane;
  result.skipFrom = Math.max(start, result.from);
  result.skipTo = Math.max(result.skipFrom, Math.min(end, result.to));
  if (result.logits) return;
  const { values, from, to, skipFrom, skipTo, spec, column } = result;
  if (!column && !result.difference && spec.layer?.kind !== "together") {
    const left = leaveOut(values, from, to, skipFrom, skipTo, spec.softmax, result.apart, spec.kind !== "stored");
    result.excluded = left.excluded;
    result.apart *= left.scale;
    // C(x) runs over the keys that are left.
    if (spec.softmax) result.logC += Math.log(Math.max(1 - result.excluded, Number.MIN_VALUE));
    return;
  }
  let out = 0;
  let all = 0;
  for (let j = from; j < to; j++) all += Math.abs(values[j]) || 0;
  for (let j = skipFrom; j < skipTo; j++) out += Math.abs(values[j]) || 0;
  result.excluded = all > 0 ? out / all : 0;
}

/**
 * Write shares by frame, extremes and the strongest keys into a result.
 * @param {Result} result
 * @param {View} view
 */
export function measure(result, view) {
  const { gain } = measurePlanes(result);
  measureWords(result);
  const { side, values, from, to, skipFrom, skipTo, own, total } = result;
  const frames = side.mass.length;
  result.apartShare = total > 0 && !result.logits ? result.apart / (result.balanced ? 1 : total) : 0;
  result.moved = gain + Math.max(result.apart, 0);
  const ownSkipped = own >= skipFrom && own < skipTo;
  const ownSize = ownSkipped || own < from || own >= to ? 0 : Math.abs(values[own]) || 0;
  result.ownShare = total > 0 && !result.logits && !result.difference ? ownSize / total : 0;
  measureFrames(result);
  const limits = { from, to, skipFrom, skipTo, own };
  result.order = side.order;
  result.found = topIndices(values, Math.max(32, Math.min(view.links, MOST_LINKS)), side.order, limits);
  result.half = frames === 1 && !result.logits ? halfCount(result) : NaN;
}

/** Keys that are reached, mass, strongest key and its weight for every frame; the extremes of all. */
function measurePlanes(result) {
  const { side, values, from, to, skipFrom, skipTo, own, grid } = result;
  const plane = grid.shape[1] * grid.shape[2];
  let total = 0;
  let gain = 0;
  let least = Infinity;
  let most = -Infinity;
  for (let a = 0; a < grid.shape[0]; a++) {
    let mass = 0;
    let net = 0;
    let best = -1;
    let keys = 0;
    let high = -Infinity;
    const end = Math.min((a + 1) * plane, to);
    for (let j = Math.max(a * plane, from); j < end; j++) {
      const value = values[j];
      if (Number.isNaN(value)) continue;
      keys++;
      if (j >= skipFrom && j < skipTo) continue;
      mass += value < 0 ? -value : value;
      net += value;
      if (j === own) continue;
      if (value > high) {
        high = value;
        best = j;
      }
      if (value < least) least = value;
    }
    if (high > most) most = high;
    total += mass;
    gain += (mass + net) / 2;
    side.planeMass[a] = result.balanced ? net : mass;
    side.planeKeys[a] = keys;
    side.planeBest[a] = best;
    side.planeMost[a] = high;
  }
  result.total = total + Math.abs(result.apart);
  result.least = Number.isFinite(least) ? least : 0;
  result.most = Number.isFinite(most) ? most : 0;
  return { gain };
}

/** Words beside the picture stand on the scale of its cells: the extremes are those of both. */
function measureWords(result) {
  const { words, column } = result;
  words?.forEach((value) => {
    if (Number.isNaN(value)) return;
    if (value > result.most) result.most = value;
    if (value < result.least) result.least = value;
    if (column) result.total += Math.abs(value);
  });
}

/** Share and strongest key of every frame that has boxes. */
function measureBoxes({ side, values, total, balanced, logits, grid, own, skipFrom, skipTo }) {
  side.mass.fill(0);
  side.best.fill(-1);
  grid.boxes.forEach(([frame], n) => {
    const f = Math.round(frame);
    if (Number.isNaN(values[n]) || f < 0 || f >= side.mass.length || (n >= skipFrom && n < skipTo)) return;
    side.mass[f] += total === 0 ? 0 : balanced ? values[n] : Math.abs(values[n]) / total;
    if (n !== own && (side.best[f] < 0 || values[n] > values[side.best[f]])) side.best[f] = n;
  });
  if (logits) side.mass.fill(NaN);
}

/** Share and strongest key of every frame of the clip. */
function measureFrames(result) {
  const { side, total } = result;
  result.mass = side.mass;
  result.best = side.best;
  if (result.grid.kind === "boxes") measureBoxes(result);
  else for (let f = 0; f < side.mass.length; f++) {
    const a = side.covers[f];
    side.best[f] = a < 0 ? -1 : side.planeBest[a];
    const whole = result.balanced ? 1 : total;
    const share = a < 0 || total === 0 ? 0 : side.planeMass[a] / whole / side.shared[a];
    side.mass[f] = result.logits ? NaN : share;
  }
  // Gains and losses are small; their bars are shares of all that changes.
  result.barUnit = result.balanced ? side.mass.reduce((sum, share) => sum + Math.abs(share), 0) || 1 : 1;
}

/** How many of the strongest cells carry half of the weight on cells (for pictures only). */
function halfCount({ side, values, from, to, total, apart, skipFrom, skipTo }) {
  let kept = 0;
  for (let j = from; j < to; j++) {
    if ((j < skipFrom || j >= skipTo) && !Number.isNaN(values[j])) side.sizes[kept++] = Math.abs(values[j]);
  }
  const sizes = side.sizes.subarray(0, kept).sort(); // ascending, without a comparison in script
  let sum = 0;
  let n = 0;
  while (n < kept && sum < (total - Math.abs(apart)) / 2) sum += sizes[kept - ++n];
  return n;
}

/** Round as Python does: halves to the even number. */
function roundedEven(value) {
  const up = Math.round(value);
  return up - value === 0.5 && up % 2 === 1 ? up - 1 : up;
}

/** Put the weights of words among the strongest of the cells, largest first. */
function addWords(sorted, { words, signed, least }) {
  const size = signed && least < 0 ? Math.abs : (value) => value;
  for (const value of words) if (!Number.isNaN(value)) sorted.push(size(value));
  sorted.sort((a, b) => b - a);
}

/**
 * Colour scale of a measured row, by the view's choice.
 * @param {Result} result
 * @param {View} view
 * @returns {Scale}
 */
export function scaleOf(result, view) {
  if (result.logits) return logitScale(result.least, result.most);
  const { side, values, order, found, signed, uniform } = result;
  // Words, boxes and nodes are few: their scale ends at the strongest, or next to it.
  const few = (result.grid.kind ?? "grid") !== "grid";
  const rank = Math.min(24, few ? roundedEven(result.count / 16) : Math.max(4, roundedEven(RANK_SHARE * result.count)));
  side.sorted.length = 0;
  if (signed && result.least < 0) {
    for (let j = 0; j < values.length; j++) side.sizes[j] = Math.abs(values[j]);
    const kept = topIndices(side.sizes, rank + 1, side.ranked, result);
    for (let n = 0; n < kept; n++) side.sorted.push(side.sizes[side.ranked[n]]);
  } else {
    for (let n = 0; n < Math.min(found, rank + 1); n++) side.sorted.push(values[order[n]]);
  }
  if (result.words) addWords(side.sorted, result);
  return rowScale({
    sorted: side.sorted, rank, least: result.least, most: result.most,
    unit: uniform, signed, fixed: view.scale === "locked" ? view.top : null,
    floor: result.spec.softmax ? 1 : 0, logarithmic: view.scale === "log",
  });
}
