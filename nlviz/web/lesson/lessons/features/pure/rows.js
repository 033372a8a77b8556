// Rows of three affinities on one clip: non-local means of pixel patches, raw features, and theta
// and phi as the block learned them, theta_i = W_theta x_i + b_theta of unit length.
// What is asked is where a row goes in the *other* frames: the query's own cell says nothing.

import { nearestToken } from "../../../../live_view/pure/grid.js";
import { patchRows } from "../../../../live_view/pure/patch_rows.js";
import { embeddedRows } from "../../../../live_view/pure/rows.js";
import { linearRows } from "../../../pure/layers.js";

export const FEATURE_LIGHTS = ["filmed", "darker"];

/** Vectors scaled to length 1, (count, width). */
export function unitVectors(values, width) {
  const out = new Float32Array(values.length);
  for (let at = 0; at < values.length; at += width) {
    let square = 0;
    for (let k = 0; k < width; k++) square += values[at + k] * values[at + k];
    const factor = 1 / Math.max(Math.sqrt(square), 1e-12);
    for (let k = 0; k < width; k++) out[at + k] = values[at + k] * factor;
  }
  return out;
}

/** The last half of the frames with less light, rounded as the recipe rounds. */
export function darkerPicture(values, frames, factor) {
  const out = Uint8Array.from(values);
  for (let k = Math.floor(frames / 2) * (values.length / frames); k < out.length; k++) {
    out[k] = Math.floor(values[k] * factor + 0.5);
  }
  return out;
}

/** What is made of the data once and then asked for by name. */
function madeSections(data) {
  const { head } = data;
  const made = new Map();
  const cells = (values, shape) => ({ data: values, shape: [1, ...shape] });

  function make(name) {
    const [light, what] = name.split(".");
    if (what === "picture") {
      const { data: values, shape } = data.array("picture");
      return light === "filmed" ? { data: values, shape }
        : { data: darkerPicture(values, shape[0], head.darker), shape };
    }
    const { data: x, shape } = data.array(`${light}.x`);
    if (what === "unit") return cells(unitVectors(x, shape[1]), shape);
    const bias = data.array(`${what}.bias`).data;
    const projected = linearRows(x, shape[1], data.array(`${what}.weight`).data, bias, Float32Array);
    return cells(unitVectors(projected, bias.length), [shape[0], bias.length]);
  }

  return (name) => {
    if (!made.has(name)) made.set(name, make(name));
    return made.get(name);
  };
}

/** A softmax over the keys outside one frame; 0 within it. Returns the place of the largest. */
export function softmaxElsewhere(logits, frame, frames) {
  const each = logits.length / frames;
  const inside = (j) => j >= frame * each && j < (frame + 1) * each;
  let most = -Infinity;
  let best = -1;
  for (let j = 0; j < logits.length; j++) {
    if (inside(j) || logits[j] <= most) continue;
    most = logits[j];
    best = j;
  }
  let total = 0;
  for (let j = 0; j < logits.length; j++) {
    logits[j] = inside(j) ? 0 : Math.exp(logits[j] - most);
    total += logits[j];
  }
  for (let j = 0; j < logits.length; j++) logits[j] /= total;
  return best;
}

const features = new WeakMap();

/**
 * Rows of a lesson's data; made once for each.
 * @param {any} data the lesson's
 */
export function featureRows(data) {
  if (!features.has(data)) features.set(data, createFeatureRows(data));
  return features.get(data);
}

function createFeatureRows(data) {
  const { head } = data;
  const { frames } = head.clip;
  const array = madeSections(data);
  const labels = data.array("labels.cells").data;
  const grid = head.sources.filmed.find((spec) => spec.key === "learned").queries;
  const made = new Map();

  function source(light, key) {
    const name = `${light}.${key}`;
    if (!made.has(name)) {
      const spec = head.sources[light].find((one) => one.key === key);
      const patches = spec.kind === "patch";
      made.set(name, {
        spec,
        rows: (patches ? patchRows : embeddedRows)(spec, array),
        labels: data.array(patches ? "labels.pixels" : "labels.cells").data,
        size: spec.keys.shape[0] * spec.keys.shape[1] * spec.keys.shape[2],
      });
    }
    return made.get(name);
  }

  /** The cell of the network's grid below a place of the clip, its centre, and the object it shows. */
  function cellAt(query) {
    const cell = nearestToken(grid, query);
    const [, h, w] = grid.shape;
    const frame = Math.floor(cell / (h * w));
    const y = grid.origin[1] + grid.stride[1] * (Math.floor(cell / w) % h);
    const x = grid.origin[2] + grid.stride[2] * (cell % w);
    return { cell, frame, y, x, object: labels[cell] };
  }

  /**
   * Where the row of a query goes in the other frames: its weights, which sum to 1 over them, the
   * shares on the same object and on its twin, and the largest weight in multiples of uniform.
   */
  function row(light, key, query) {
    const at = cellAt(query);
    const { spec, rows, labels: shown, size } = source(light, key);
    const values = new Float32Array(size);
    rows.row(values, nearestToken(spec.queries, at), 0, "logits", null);
    const best = softmaxElsewhere(values, at.frame, frames);
    const twin = head.twins[at.object];
    let same = 0;
    let other = 0;
    for (let j = 0; j < size; j++) {
      if (at.object && shown[j] === at.object) same += values[j];
      if (twin > 0 && shown[j] === twin) other += values[j];
    }
    const uniform = 1 / (size - size / frames);
    return { ...at, values, grid: spec.keys, same, twin: other, first: shown[best], best, brightest: values[best] / uniform };
  }

  return { grid, frames, cellAt, row };
}
