// From weights to colours: the scale of a row, and look-ups in the table that Python sent.

const STEPS = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];
const MOST_CLIPPED = 16;
const DECADES = 3; // of a logarithmic scale, as in render/colour_scale.py

/** The smallest round number that is not below a positive value: ends of scales stay readable. */
export function roundUp(value) {
  if (!(value > 0) || !Number.isFinite(value)) return 1;
  const unit = 10 ** Math.floor(Math.log10(value));
  const step = STEPS.find((s) => s * unit >= value * (1 - 1e-9)) ?? 10;
  return Number((step * unit).toPrecision(2));
}

/**
 * The colour table of a view as little-endian RGBA words: Python's 256 colours and opacities, the
 * opacities times the view's strength.
 * @param {Uint8Array} rgba (256, 4)
 * @param {number} strength in [0, 1]
 */
export function tableOf(rgba, strength, out = new Uint32Array(256)) {
  for (let i = 0; i < 256; i++) {
    const alpha = Math.floor(strength * rgba[4 * i + 3] + 0.5);
    out[i] = ((alpha << 24) | (rgba[4 * i + 2] << 16) | (rgba[4 * i + 1] << 8) | rgba[4 * i]) >>> 0;
  }
  return out;
}

/**
 * Turn the pixels of a frame, in place, into what is seen below a map: almost grey, a little darker.
 * @param {Uint8ClampedArray} pixels RGBA
 * @param {{kept: number, veil: number, ink: number[]}} ground
 */
export function toGround(pixels, { kept, veil, ink }) {
  const colour = (1 - veil) * kept;
  const grey = (1 - veil) * (1 - kept);
  const [r, g, b] = ink.map((level) => veil * level + 0.5);
  for (let i = 0; i < pixels.length; i += 4) {
    const luma = grey * (0.3 * pixels[i] + 0.59 * pixels[i + 1] + 0.11 * pixels[i + 2]);
    pixels[i] = Math.floor(colour * pixels[i] + luma + r);
    pixels[i + 1] = Math.floor(colour * pixels[i + 1] + luma + g);
    pixels[i + 2] = Math.floor(colour * pixels[i + 2] + luma + b);
  }
  return pixels;
}

/**
 * Where a value lies on a scale, from 0 to 1.
 * @param {number} value
 * @param {Scale} scale
 */
export function shareOf(value, { lo, hi, floor, diverging }) {
  let share = (value - lo) / (hi - lo);
  if (floor > 0) {
    const size = Math.log(Math.max(Math.abs(value), floor) / floor) / Math.log(hi / floor);
    share = diverging ? (1 + Math.sign(value) * size) / 2 : value > 0 ? size : 0;
  }
  return Math.min(1, Math.max(0, share));
}

/**
 * Colours cells [from, to) of a row into `words`, which starts at cell `from`.
 * Cells outside [reachFrom, reachTo) or inside [skipFrom, skipTo), those without a number, and
 * `own`, stay clear.
 */
export function paintCells(words, values, from, to, table, scale, limits) {
  const { reachFrom, reachTo, skipFrom, skipTo, own } = limits;
  const { lo, hi, floor } = scale;
  const factor = hi > lo ? 255 / (hi - lo) : 0;
  for (let j = from; j < to; j++) {
    const u = floor > 0 ? 255 * shareOf(values[j], scale) : (values[j] - lo) * factor;
    words[j - from] = table[u > 0 ? (u < 255 ? (u + 0.5) | 0 : 255) : 0];
  }
  for (let j = from; j < to; j++) {
    if (j === own || Number.isNaN(values[j]) || j < reachFrom || j >= reachTo || (j >= skipFrom && j < skipTo)) {
      words[j - from] = 0;
    }
  }
}

/**
 * The scale of one row.
 * @param {{sorted: number[], rank: number, least: number, most: number, unit: number, signed: boolean,
 *   fixed: number|null, floor?: number, logarithmic?: boolean}} about sorted: strongest values without the own cell, largest first;
 *   rank: which of them ends the scale; least and most: extremes; unit: what one multiple is;
 *   signed; fixed: top in units, or null; floor: the lowest top in units, so that next to nothing
 *   looks like next to nothing; logarithmic: up to the strongest, three decades above its lower end
 * @returns {Scale} in the row's own values
 */
export function rowScale({ sorted, rank, least, most, unit, signed, fixed, floor = 0, logarithmic = false }) {
  const diverging = signed && least < 0;
  const size = diverging ? Math.max(most, -least) : most;
  const ranked = sorted.length ? sorted[Math.min(rank, sorted.length - 1)] : size;
  // Where a handful of keys take everything the ranked one is next to nothing.
  const asked = Math.max(ranked, size / MOST_CLIPPED);
  // A few cells may stand far above the rest; they are clipped and marked, unless they barely do.
  const wanted = logarithmic || size <= 1.6 * asked ? size : asked;
  const hi = unit * (fixed ?? Math.max(floor, roundUp(wanted / unit)));
  const slack = 1 + 1e-6;
  return {
    lo: diverging ? -hi : 0,
    hi,
    floor: logarithmic ? hi / 10 ** DECADES : 0,
    diverging,
    clipped: most > hi * slack,
    clippedBelow: diverging ? least < -hi * slack : least < -1e-12,
  };
}

/** The scale of raw logits: around zero where they change sign, else from least to most. */
export function logitScale(least, most) {
  if (least < 0 && most > 0) {
    const hi = Math.max(-least, most);
    return { lo: -hi, hi, floor: 0, diverging: true, clipped: false, clippedBelow: false };
  }
  const hi = most > least ? most : least + 1;
  return { lo: least, hi, floor: 0, diverging: false, clipped: false, clippedBelow: false };
}
