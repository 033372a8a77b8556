// Numbers of a survey as text: three digits that count, and the unit's sign.

const SIGNS = { pixels: " px", seconds: " s", multiple: " ×", share: " %" };

/** A number with as many decimals as matter: 1,234, 56.7, 0.042, 3.1e-5. */
export function shortNumber(value) {
  const size = Math.abs(value);
  if (size < 5e-7) return "0";
  const text = size >= 999.5 ? Math.round(size).toLocaleString("en")
    : size >= 99.95 ? size.toFixed(0)
    : size >= 9.995 ? size.toFixed(1)
    : size >= 0.9995 ? size.toFixed(2)
    : size >= 0.00095 ? size.toFixed(3)
    : size.toExponential(1);
  return `${value < 0 ? "−" : ""}${text}`;
}

/** A number in its unit without the sign of it: shares in percent. */
export const unitless = (value, unit) => shortNumber(unit === "share" ? 100 * value : value);

/** The same with the unit's sign. */
export const withUnit = (value, unit) => `${unitless(value, unit)}${SIGNS[unit] ?? ""}`;

/** A difference: its sign is always there; of shares it is in percentage points. */
export const signedNumber = (value, unit) => `${value > 0 ? "+" : ""}${unitless(value, unit)}${unit === "share" ? " pp" : SIGNS[unit] ?? ""}`;

/** What stands in a cell of the atlas: no thousandths where there is no room for them. */
export function cellNumber(value, unit, signed = false) {
  const size = Math.abs(value);
  const sign = value < 0 ? "−" : signed && value > 0 ? "+" : "";
  if (unit === "share") {
    const percent = 100 * size;
    return `${sign}${percent >= 9.95 || percent < 0.005 ? percent.toFixed(0) : percent.toFixed(percent >= 0.095 ? 1 : 2)}${signed ? "" : "%"}`;
  }
  const text = size >= 9999.5 ? `${(size / 1000).toFixed(0)}k`
    : size >= 99.95 ? size.toFixed(0)
    : size >= 9.995 ? size.toFixed(1)
    : size >= 0.00995 || size === 0 ? size.toFixed(2)
    : size < 5e-5 ? "0" : size.toFixed(3).replace(/^0/, "");
  return `${sign}${text}`;
}
