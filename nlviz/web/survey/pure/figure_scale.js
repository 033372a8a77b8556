// The colour scale of a figure over all heads: where it begins and ends, and how a value becomes a colour.

import { roundUp } from "../../live_view/pure/colour.js";

const DECADES_APART = 30; // largest over smallest from which a scale is logarithmic
const TAILED = new Set(["keys", "multiple"]); // units whose values lie decades apart

/**
 * The scale that holds all values of a figure.
 * @param {number[]} values finite ones
 * @param {string} unit of the figure
 * @param {boolean} [signed] whether they are differences
 * @returns {{lo: number, hi: number, diverging: boolean, logarithmic: boolean}}
 */
export function figureScale(values, unit, signed = false) {
  const least = values.length ? Math.min(...values) : 0;
  const most = values.length ? Math.max(...values) : 0;
  if (signed || unit === "correlation" || least < 0) {
    const hi = roundUp(Math.max(-least, most, 1e-9));
    return { lo: -hi, hi, diverging: true, logarithmic: false };
  }
  if (TAILED.has(unit) && least > 0 && most / least > DECADES_APART) {
    return { lo: least, hi: roundUp(most), diverging: false, logarithmic: true };
  }
  const hi = roundUp(most);
  return { lo: 0, hi: unit === "share" ? Math.min(1, hi) : hi, diverging: false, logarithmic: false };
}

/** Where a value lies on a scale, from 0 to 1. */
export function placeOnScale(value, { lo, hi, logarithmic }) {
  const share = logarithmic ? Math.log(Math.max(value, lo) / lo) / Math.log(hi / lo) : (value - lo) / (hi - lo);
  return Math.min(1, Math.max(0, share));
}

/** The number at a place from 0 to 1 of a scale. */
export function numberAt(share, { lo, hi, logarithmic }) {
  return logarithmic ? lo * (hi / lo) ** share : lo + share * (hi - lo);
}

/**
 * The colour of a place on a scale, and the ink that is read on it.
 * @param {number} share from 0 to 1
 * @param {Uint8Array} table (256, 4) RGBA
 */
export function colourAt(share, table) {
  const at = 4 * Math.round(255 * share);
  const [r, g, b] = [table[at], table[at + 1], table[at + 2]];
  const [red, green, blue] = [r, g, b].map((level) => {
    const c = level / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  const light = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  // Black has the higher contrast from here on: (L + 0.05) / 0.05 = 1.05 / (L + 0.05).
  return { fill: `rgb(${r} ${g} ${b})`, ink: light > 0.179 ? "#000000" : "#ffffff" };
}
