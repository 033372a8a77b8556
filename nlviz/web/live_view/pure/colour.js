// From weights to colours: one scale in multiples of uniform attention, opacity with the weight.

const STEPS = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];
const OPACITY_CURVE = 0.6;
const MOST_CLIPPED = 16;

/** The smallest round number that is not below a positive value: ends of scales stay readable. */
export function roundUp(value) {
  if (!(value > 0) || !Number.isFinite(value)) return 1;
  const unit = 10 ** Math.floor(Math.log10(value));
  const step = STEPS.find((s) => s * unit >= value * (1 - 1e-9));
  return Number((step * unit).toPrecision(2));
}

/**
 * 256 colours as little-endian RGBA words: the look-up table with opacity rising with the weight,
 * so that what carries no weight leaves the picture alone.
 */
export function colourTable(lut, strength, diverging, out = new Uint32Array(256)) {
  for (let i = 0; i < 256; i++) {
    const size = diverging ? Math.abs(i - 127.5) / 127.5 : i / 255;
    const alpha = Math.round(255 * strength * Math.min(1, 1.08 * size ** OPACITY_CURVE));
    out[i] = ((alpha << 24) | (lut[3 * i + 2] << 16) | (lut[3 * i + 1] << 8) | lut[3 * i]) >>> 0;
  }
  return out;
}

/**
 * Colours cells [from, to) of a row into `words`, which starts at cell `from`.
 * Cells outside [reachFrom, reachTo) or inside [skipFrom, skipTo), and `own`, stay clear.
 */
export function paintCells(words, values, from, to, table, lo, hi, limits) {
  const { reachFrom, reachTo, skipFrom, skipTo, own } = limits;
  const factor = hi > lo ? 255 / (hi - lo) : 0;
  for (let j = from; j < to; j++) {
    const u = (values[j] - lo) * factor;
    words[j - from] = table[u > 0 ? (u < 255 ? (u + 0.5) | 0 : 255) : 0];
  }
  for (let j = from; j < to; j++) {
    if (j === own || j < reachFrom || j >= reachTo || (j >= skipFrom && j < skipTo)) {
      words[j - from] = 0;
    }
  }
}

/**
 * The scale of one row.
 * @param {object} about sorted: strongest values without the own cell, largest first;
 *   rank: which of them ends the scale; least and most: extremes; unit: what one multiple is;
 *   signed; fixed: top in units, or null; floor: the lowest top in units, so that next to nothing
 *   looks like next to nothing
 * @returns {{lo, hi, diverging, clipped, clippedBelow}} in the row's own values
 */
export function rowScale({ sorted, rank, least, most, unit, signed, fixed, floor = 0 }) {
  const diverging = signed && least < 0;
  const size = diverging ? Math.max(most, -least) : most;
  const ranked = sorted.length ? sorted[Math.min(rank, sorted.length - 1)] : size;
  // Where a handful of keys take everything the ranked one is next to nothing.
  const asked = Math.max(ranked, size / MOST_CLIPPED);
  // A few cells may stand far above the rest; they are clipped and marked, unless they barely do.
  const wanted = size <= 1.6 * asked ? size : asked;
  const hi = unit * (fixed ?? Math.max(floor, roundUp(wanted / unit)));
  const slack = 1 + 1e-6;
  return {
    lo: diverging ? -hi : 0,
    hi,
    diverging,
    clipped: most > hi * slack,
    clippedBelow: diverging ? least < -hi * slack : least < -1e-12,
  };
}

/** The scale of raw logits: around zero where they change sign, else from least to most. */
export function logitScale(least, most) {
  if (least < 0 && most > 0) {
    const hi = Math.max(-least, most);
    return { lo: -hi, hi, diverging: true, clipped: false, clippedBelow: false };
  }
  const hi = most > least ? most : least + 1;
  return { lo: least, hi, diverging: false, clipped: false, clippedBelow: false };
}
