// Judges of the lesson on averages: each computes from what the learner did.

import { partsOfError } from "./blurred.js";
import { noiseOfMeans } from "./draws.js";
import { paintedMean, windowOf } from "./painted_mean.js";
import { decibels, meansOfPatches, patchDistances } from "./patch_means.js";

/** Weights of a filter around a pixel by their offset, (2 reach + 1)^2, from the engine of the live view. */
function patternAt({ engine, view }, source, place, reach) {
  const { values, box, grid } = engine.compute(place, { ...view, source });
  const [, , columns] = grid.shape;
  const side = 2 * reach + 1;
  const pattern = new Float64Array(side * side);
  for (let dy = -reach; dy <= reach; dy++) {
    for (let dx = -reach; dx <= reach; dx++) {
      const [y, x] = [place.y + dy, place.x + dx];
      const inside = y >= box.b0 && y < box.b1 && x >= box.c0 && x < box.c1;
      if (inside) pattern[(dy + reach) * side + dx + reach] = values[(y - box.b0) * columns + x - box.c0];
    }
  }
  return pattern;
}

/** The share of a filter's weight that lies on other places around another pixel. */
export function weightMoved(reading, source, here, there, reach) {
  const a = patternAt(reading, source, here, reach);
  const b = patternAt(reading, source, there, reach);
  return a.reduce((all, weight, n) => all + Math.abs(weight - b[n]), 0) / 2;
}

/** Which filters weigh the same around every pixel? */
export function judgePattern({ given, reading, spec: { figure, question } }) {
  const [, rows, columns] = reading.head.sources[0].queries.shape;
  const { reach } = question;
  // Windows that leave the picture are mirrored into it: compare pixels whose windows do not.
  const inside = (value, count) => Math.min(count - 1 - reach, Math.max(reach, Math.round(value)));
  const placed = (y, x) => ({ frame: 0, y: inside(y, rows), x: inside(x, columns) });
  const here = placed(reading.query.y, reading.query.x);
  const opening = placed(figure.query[1], figure.query[2]);
  const same = here.y === opening.y && here.x === opening.x;
  const there = same ? placed(question.other[0], question.other[1]) : opening;
  const moved = Object.fromEntries(question.filters.map((name) => [name, weightMoved(reading, name, here, there, reach)]));
  const fixed = question.filters.filter((name) => moved[name] < 1e-4);
  const said = question.named[given] ?? [];
  const right = said.length === fixed.length && said.every((name) => fixed.includes(name));
  const values = {
    row: here.y, column: here.x, other_row: there.y, other_column: there.x,
    bilateral: moved.bilateral, means: moved["non-local-means"],
  };
  if (right) return { right, say: "right", values };
  // The first filter that was named and does change says why.
  return { right, say: said.includes("non-local-means") ? "means" : "bilateral", values };
}

/** How many pixels leave so much noise? */
export function judgeCount({ given, reading, spec: { question } }) {
  const { sigma, measured } = reading;
  const n = Math.max(1, Math.round(given));
  const left = sigma / Math.sqrt(n);
  // Beyond some thousand pixels a measurement takes seconds, and no text asks for it.
  const found = n <= 1000 ? noiseOfMeans(sigma, [n], measured.draws, measured.seed)[0] : left;
  const values = { given: n, left, sigma, target: question.target, factor: sigma / left, measured: found, draws: measured.draws };
  if (Math.abs(left - question.target) <= question.tolerance) return { right: true, say: "right", values };
  if (Math.abs(n - sigma / question.target) < 0.5) return { right: false, say: "linear", values };
  return { right: false, say: left > question.target ? "few" : "many", values };
}

/** Set s so that the error is smallest. */
export function judgeBlur({ reading, data, spec: { question } }) {
  const { data: clean, shape: [height, width] } = data.array("rim.clean");
  const { s, sigma, range: [least, most, step] } = reading;
  const at = (value) => partsOfError(clean, height, width, sigma, value);
  const own = at(s);
  let best = { s, ...own };
  for (let value = least; value <= most + 1e-9; value += step) {
    const found = at(value);
    if (found.error < best.error) best = { s: value, ...found };
  }
  const values = { s, ...own, sigma, best_s: best.s, best: best.error };
  if (own.error <= best.error * (1 + question.within)) return { right: true, say: "right", values };
  return { right: false, say: s < best.s ? "noise" : "blur", values };
}

/** Paint an average that is better than that of every filter. */
export function judgePainted({ reading, data, spec: { question } }) {
  const { clean, noisy, chosen, centre, sigma } = reading;
  const names = Object.keys(question.filters);
  const errors = names.map((name) => data.head.numbers[question.filters[name]]);
  const best = Math.min(...errors);
  if (!chosen.length) return { right: false, say: "nothing", values: { best } };
  const found = paintedMean(chosen, clean, noisy, centre, sigma);
  const values = { ...found, best, beaten: errors.filter((error) => found.error < error).length, filters: errors.length };
  if (found.error < best) return { right: true, say: "right", values };
  return { right: false, say: found.noise > found.blur ? "noise" : "blur", values };
}

/** The window that is painted, without noise and with it. */
export function paintedWindow(data, [row, column], side) {
  const { data: clean, shape: [, width] } = data.array("rim.clean");
  const { data: noisy } = data.array("rim.noisy");
  return { clean: windowOf(clean, width, [row, column], side), noisy: windowOf(noisy, width, [row, column], side) };
}

/** Set h so that the PSNR peaks. */
export function judgeStrength({ reading, data, spec: { question } }) {
  const { sigma, h, strengths } = reading;
  const { data: clean, shape: [height, width] } = data.array("small.clean");
  const { data: noisy } = data.array("small.noisy");
  const distances = patchDistances(noisy, height, width, reading.sides);
  const quality = (strength) => decibels(clean, meansOfPatches(distances, strength, sigma));
  const own = quality(h);
  // The curve has one peak: halve the range towards it.
  let [from, to] = [0, strengths.length - 1];
  while (from < to) {
    const middle = Math.floor((from + to) / 2);
    if (quality(strengths[middle]) < quality(strengths[middle + 1])) from = middle + 1;
    else to = middle;
  }
  const values = { h, psnr: own, before: decibels(clean, noisy), sigma, best: quality(strengths[from]), best_h: strengths[from], share: h / sigma };
  if (own >= values.best - question.within) return { right: true, say: "right", values };
  return { right: false, say: h < values.best_h ? "low" : "high", values };
}

/** Find a pixel that takes half of its weight from hardly any other. */
export function judgeRare({ reading: { engine, query, view, head }, spec: { question } }) {
  const result = engine.compute({ frame: 0, y: query.y, x: query.x }, view);
  const weights = Array.from(result.values.subarray(result.from, result.to)).sort((a, b) => b - a);
  let half = 0;
  for (let sum = 0; sum < 0.5 && half < weights.length; half++) sum += weights[half];
  const { sigma } = head.pixels;
  const values = {
    row: Math.round(query.y), column: Math.round(query.x), half, most: weights[0], sigma,
    left: sigma * Math.sqrt(weights.reduce((all, weight) => all + weight * weight, 0)),
  };
  return half <= question.most ? { right: true, say: "right", values } : { right: false, say: "many", values };
}
