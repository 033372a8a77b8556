// The state of the worked sum: what a screen opens with, what an address keeps, and what it may be.

/** @typedef {import("./worked.js").Worked} Worked */

const within = (value, [low, high]) => Math.min(high, Math.max(low, value));
const numberOr = (value, other) => (Number.isFinite(value) ? value : other);

/**
 * What a screen opens with.
 * @param {any} spec the screen's figure
 * @param {ArrayLike<number>} x
 * @param {ArrayLike<number>} g
 * @returns {Worked}
 */
export function openingSum(spec, x, g) {
  return {
    side: Math.round(Math.sqrt(x.length)), x: Array.from(x, rounded), g: Array.from(g, rounded), query: spec.query ?? 0, key: spec.key ?? 0,
    temperature: spec.temperature ?? 1, pairwise: spec.pairwise ?? "gaussian", a: spec.a ?? 1, b: spec.b ?? 0,
  };
}

// Pictures are held as float32; 0.1 of them is written as 0.1.
function rounded(value) {
  return Number(value.toFixed(4));
}

/** What differs from the opening, short enough for an address. @param {Worked} now @param {Worked} opening */
export function keptSum(now, opening) {
  /** @type {Record<string, any>} */
  const kept = {};
  for (const name of ["query", "key", "temperature", "a", "b"]) {
    if (now[name] !== opening[name]) kept[name] = Number(now[name].toFixed(4));
  }
  for (const name of ["x", "g"]) {
    const changed = now[name].map((value, j) => [j, value]).filter(([j, value]) => value !== opening[name][j]);
    if (changed.length) kept[name] = changed;
  }
  return kept;
}

/**
 * The opening with what was kept; what is no number, or out of its range, is left out.
 * @param {any} kept
 * @param {Worked} opening
 * @param {any} spec its x_range and g_range
 * @returns {Worked}
 */
export function restoredSum(kept, opening, spec) {
  const now = { ...opening, x: [...opening.x], g: [...opening.g] };
  if (typeof kept !== "object" || kept === null) return now;
  const last = opening.x.length - 1;
  for (const name of ["query", "key"]) now[name] = within(Math.round(numberOr(kept[name], opening[name])), [0, last]);
  now.temperature = within(numberOr(kept.temperature, opening.temperature), spec.temperature_range ?? [0.25, 64]);
  for (const name of ["a", "b"]) now[name] = within(numberOr(kept[name], opening[name]), [-1, 1]);
  for (const name of ["x", "g"]) {
    for (const [j, value] of Array.isArray(kept[name]) ? kept[name].filter(Array.isArray) : []) {
      if (Number.isInteger(j) && j >= 0 && j <= last && Number.isFinite(value)) now[name][j] = within(value, spec[`${name}_range`] ?? [-9, 9]);
    }
  }
  return now;
}
