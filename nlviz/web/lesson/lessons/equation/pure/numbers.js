// How the numbers of the worked sum are written in cells of some four signs.

const minus = (text) => text.replace("-", "−");

/** Three digits or so: 148, 20.1, 7.39, 0.14; −0.25 with a true minus sign. */
export function cellNumber(value) {
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1000) return minus(String(value));
  if (size >= 1e6) return minus(value.toExponential(0)).replace("e+", "e");
  if (size < 0.005) return size === 0 ? "0" : "<.01";
  return minus(size >= 99.95 ? value.toFixed(0) : size >= 9.995 ? value.toFixed(1) : value.toFixed(2));
}

/** The same, but a number of millions and more in words: 26 billion, 260 亿, 260億. */
export function spokenNumber(value, language) {
  if (Math.abs(value) < 1e6) return cellNumber(value);
  const text = new Intl.NumberFormat(language, { notation: "compact", compactDisplay: "long", maximumSignificantDigits: 2 }).format(value);
  return minus(language === "zh" ? text.replace(/(\d)(?=\p{Script=Han})/u, "$1 ") : text); // Chinese texts part numbers from words
}

/** A weight in percent: 41%, 5.6%, <0.1%. */
export function cellShare(weight) {
  const percent = 100 * weight;
  if (percent > 0 && percent < 0.05) return "<0.1%";
  return `${percent >= 9.95 || percent === 0 ? percent.toFixed(0) : percent.toFixed(1)}%`;
}

/** A number of the picture, without places that say nothing. */
export const plainNumber = (value) => minus(String(Number(value.toFixed(3))));

/** A factor, in brackets where it is negative. */
export const factor = (value) => (value < 0 ? `(${plainNumber(value)})` : plainNumber(value));
