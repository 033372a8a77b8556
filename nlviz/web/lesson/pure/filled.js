// Texts of lessons: the learner's language, and numbers in the places that wait for them.

// Braces of formulas come right after a sign, as in \sqrt{n} and x_{ij}.
const PLACE = /(?<![\w^\\])\{([a-z][a-z0-9_]*)(?::([^{}]+))?\}/gi;
const MINUS = "−";

/** The text in a language; in English where it has none. */
export const inLanguage = (text, language) => (typeof text === "string" ? text : text?.[language] ?? text?.en ?? "");

/** Three significant digits, without an exponent where that can be read. */
function shortNumber(value) {
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e6) return String(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(1);
  return String(Number(value.toPrecision(3)));
}

/**
 * A value as it is written: ".2f" fixed places, ".0%" percent (no line begins with its sign),
 * ",d" thousands apart, "+.1f" with its sign; without a form three significant digits.
 */
export function written(value, form = "") {
  if (typeof value !== "number") return String(value);
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "–" : value < 0 ? `${MINUS}∞` : "∞";
  const parts = /^(\+?)(,?)(?:\.(\d+))?([df%]?)$/.exec(form);
  if (!parts) throw new Error(`numbers are written as ".2f", ".0%", ",d" or "+.1f"; got "${form}"`);
  const [, plus, comma, places, kind] = parts;
  let text = kind === "%" ? `${(100 * value).toFixed(Number(places ?? 0))}\u00a0%`
    : kind === "f" ? value.toFixed(Number(places ?? 0))
    : kind === "d" ? String(Math.round(value))
    : places === undefined ? shortNumber(value) : String(Number(value.toPrecision(Number(places))));
  if (comma) text = text.replace(/^(-?\d+)/, (whole) => whole.replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f"));
  if (/^-[0.]+(\u00a0%)?$/.test(text)) text = text.slice(1); // nothing is not negative
  return (plus && value > 0 ? "+" : "") + text.replace("-", MINUS);
}

/**
 * A text with its numbers filled in, from the first of the sources that has each.
 * What no source has stays as it is written, so that a test sees it.
 */
export function filled(text, ...sources) {
  return text.replace(PLACE, (whole, name, form) => {
    const source = sources.find((each) => each && Object.hasOwn(each, name));
    return source ? written(source[name], form) : whole;
  });
}
