// What words are drawn on, and in: colours that are read on light paper, on dark paper, and beside
// pictures, where they are those of the pictures. Ink is dark or light, whichever stands out.

import { tableOf, toGround } from "../pure/colour.js";

/**
 * @typedef {object} Paper
 * @property {string} name light, dark or film
 * @property {number[]} rgb
 * @property {string} ink
 */

/** What lies under words beside pictures: mid-grey as it looks below a map, as under the colour bar. */
export function filmPaper(ground) {
  return { name: "film", rgb: [...toGround(Uint8ClampedArray.of(128, 128, 128, 255), ground).subarray(0, 3)], ink: "#fff" };
}

/** The paper of a text alone, by the background that it stands on. */
export function paperOn(rgb) {
  const dark = luminance(rgb) < 0.18;
  return { name: dark ? "dark" : "light", rgb, ink: dark ? "#fff" : "#000" };
}

/** Relative luminance as WCAG 2 has it. */
export function luminance(rgb) {
  const [r, g, b] = rgb.map((level) => (level <= 10 ? level / 255 / 12.92 : ((level / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Contrast of two luminances. */
export const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);

/**
 * The colours of Python's table in the order in which they are laid on a paper: on light paper the
 * strongest is the darkest, on dark paper the lightest; beside pictures as they are.
 * @param {Uint8Array} rgba (256, 4)
 * @param {Paper} paper
 * @param {boolean} diverging
 */
export function colourOrder(rgba, { name }, diverging) {
  const asIs = name === "film" || (name === "dark" ? !diverging : diverging);
  if (asIs) return rgba;
  const out = new Uint8Array(rgba.length);
  for (let i = 0; i < 256; i++) {
    // The ends of a diverging table are dark: each side runs from its saturated part to a light one.
    const side = Math.round(85 - 0.5 * Math.min(i, 255 - i));
    const from = !diverging ? 255 - i : i < 128 ? side : 255 - side;
    out.set(rgba.subarray(4 * from, 4 * from + 3), 4 * i);
    out[4 * i + 3] = rgba[4 * i + 3];
  }
  return out;
}

/**
 * Fills for the 256 steps of a scale on a paper, and whether each asks for the other ink.
 * @param {Uint8Array} rgba
 * @param {Paper} paper
 * @param {number} strength
 */
export function inksOf(rgba, paper, strength) {
  const words = tableOf(rgba, strength);
  const own = paper.ink === "#fff" ? 1 : 0;
  const fills = [];
  const other = new Uint8Array(256);
  words.forEach((word, i) => {
    const alpha = (word >>> 24) / 255;
    const mixed = [0, 8, 16].map((shift, n) => Math.round(alpha * ((word >>> shift) & 255) + (1 - alpha) * paper.rgb[n]));
    fills.push(`rgb(${mixed.join(" ")})`);
    const light = luminance(mixed);
    other[i] = contrast(light, own) < 5 && contrast(light, 1 - own) > contrast(light, own) ? 1 : 0;
  });
  return { fills, other, words };
}

/** @type {Map<string, number[]>} */
const coloursByName = new Map();

/** The colour behind an element, as numbers. */
export function backgroundOf(node) {
  const { backgroundColor } = getComputedStyle(node);
  const known = coloursByName.get(backgroundColor);
  if (known) return known;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d");
  if (!context) return [255, 255, 255];
  context.fillStyle = backgroundColor;
  context.fillRect(0, 0, 1, 1);
  const rgb = [...context.getImageData(0, 0, 1, 1).data.subarray(0, 3)];
  coloursByName.set(backgroundColor, rgb);
  return rgb;
}
