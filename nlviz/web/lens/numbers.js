// The values below a picture: grey levels, or red, green and blue.

const MINUS = "\u2212";

/** A number of the method noise in grey levels; at the ends of the scale it may be beyond. */
function noiseText(level, scale) {
  const value = scale === null ? level - 128 : ((level - 127.5) / 127.5) * scale;
  const rounded = level === 128 ? 0 : Math.round(value);
  const sign = rounded < 0 ? MINUS : rounded > 0 ? "+" : "";
  const beyond = { 0: "\u2264\u202f", 255: "\u2265\u202f" }[level] ?? "";
  return `${beyond}${sign}${Math.abs(rounded)}`;
}

/**
 * Grey level, or red, green and blue; in the method noise with their sign.
 * @param {number[]} levels
 * @param {string} show
 * @param {number|null} scale
 */
export function valueText(levels, show, scale) {
  const [r, g, b] = levels;
  const text = (level) => (show === "noise" ? noiseText(level, scale) : String(level));
  return r === g && g === b ? text(r) : `R ${text(r)}  G ${text(g)}  B ${text(b)}`;
}
