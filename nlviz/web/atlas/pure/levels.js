// Levels of a tile: 0 for no key that is reached, 1 to 255 along the colour scale.

const STEPS = 254; // as payloads/atlas.py has them
const NOWHERE = 0x66808080; // half a grey, as little-endian RGBA

/**
 * The colours of levels, as words of RGBA.
 * @param {Uint8Array} rgba (256, 4) Python's table
 * @param {number} strength opacity of the strongest, in [0, 1]
 */
export function wordsOfLevels(rgba, strength) {
  const words = new Uint32Array(256);
  words[0] = NOWHERE;
  for (let level = 1; level < 256; level++) {
    const i = Math.floor(((level - 1) / STEPS) * 255 + 0.5);
    const alpha = Math.floor(strength * rgba[4 * i + 3] + 0.5);
    words[level] = ((alpha << 24) | (rgba[4 * i + 2] << 16) | (rgba[4 * i + 1] << 8) | rgba[4 * i]) >>> 0;
  }
  return words;
}

/**
 * The level of a multiple of uniform attention.
 * @param {number} multiple
 * @param {{top: number, floor: number, signed: boolean}} scale
 */
export function levelOf(multiple, { top, floor, signed }) {
  if (Number.isNaN(multiple)) return 0;
  let share = multiple / top;
  if (floor > 0) {
    share = Math.sign(multiple) * (Math.log(Math.max(Math.abs(multiple), floor) / floor) / Math.log(top / floor));
  }
  share = Math.min(1, Math.max(signed ? -1 : 0, share));
  return Math.floor((signed ? (share + 1) / 2 : share) * STEPS + 0.5) + 1;
}

/**
 * The levels of a row, laid as its tile.
 * @param {Uint8Array} out
 * @param {Int32Array} keyOf key of each pixel, -1 for none
 * @param {{values: ArrayLike<number>, uniform: number, own: number, from: number, to: number}} row
 * @param {{top: number, floor: number, signed: boolean}} scale
 */
export function fillLevels(out, keyOf, { values, uniform, own, from, to }, scale) {
  const none = levelOf(0, scale);
  for (let i = 0; i < out.length; i++) {
    const key = keyOf[i];
    out[i] = key < from || key >= to ? 0 : key === own ? none : levelOf(values[key] / uniform, scale);
  }
}
