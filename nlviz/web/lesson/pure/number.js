// A number as people write it. No DOM.

const FULL_WIDTH = /[０-９．，－＋／％]/g;
const THOUSANDS = /^[-+]?[1-9]\d{0,2}([, \u00a0\u202f']\d{3})+(\.\d+)?$/;

/** One number: digits in groups of three, or with a comma or a point before the decimals. */
function oneNumber(text) {
  const digits = THOUSANDS.test(text) ? text.replace(/[, \u00a0\u202f']/g, "") : text.replace(",", ".");
  return digits === "" || /\s/.test(digits) ? Number.NaN : Number(digits);
}

/**
 * What a learner wrote as a number, NaN where it is none: 2.5, 2,5, 1,000, −1/4, 12 %, also in full width.
 * A percent sign says nothing: questions in percent ask for the number before it.
 */
export function numberIn(text) {
  const plain = text.trim().replace(FULL_WIDTH, (sign) => String.fromCharCode(sign.charCodeAt(0) - 0xfee0))
    .replace(/[−–]/g, "-").replace(/\s*%$/, "");
  const parts = plain.split("/").map((part) => oneNumber(part.trim()));
  if (parts.length === 1) return parts[0];
  return parts.length === 2 && parts[1] !== 0 ? parts[0] / parts[1] : Number.NaN;
}
