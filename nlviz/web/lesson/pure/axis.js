// Axes of charts: round ticks, and where a value lies.

/**
 * Round numbers inside a range, about as many as wanted.
 * @returns {number[]}
 */
export function ticksOf(least, most, wanted = 5) {
  const span = most - least;
  if (!(span > 0)) return [least];
  const raw = span / Math.max(1, wanted);
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * unit).find((each) => each >= raw * 0.999) ?? 10 * unit;
  const ticks = [];
  for (let n = Math.ceil(least / step - 1e-9); n * step <= most + 1e-9 * span; n++) ticks.push(Number((n * step).toPrecision(12)));
  return ticks;
}

/** Powers of ten, or of two where there are few, inside a range of positive numbers. */
export function powersOf(least, most) {
  const tens = [];
  for (let n = Math.ceil(Math.log10(least) - 1e-9); n <= Math.log10(most) + 1e-9; n++) tens.push(10 ** n);
  if (tens.length >= 2) return tens;
  const twos = [];
  for (let n = Math.ceil(Math.log2(least) - 1e-9); n <= Math.log2(most) + 1e-9; n++) twos.push(2 ** n);
  return twos;
}

/**
 * A function from values to shares of an axis, 0 to 1.
 * @param {{least: number, most: number, logarithmic?: boolean}} axis
 */
export function shareAlong({ least, most, logarithmic = false }) {
  const of = logarithmic ? Math.log : (value) => value;
  const span = of(most) - of(least) || 1;
  return (value) => (of(value) - of(least)) / span;
}

/** The least and the most of all numbers, with room around them; something where there are none. */
export function rangeOf(values, room = 0.06) {
  const known = values.filter(Number.isFinite);
  if (!known.length) return { least: 0, most: 1 };
  const least = Math.min(...known);
  const most = Math.max(...known);
  const more = (most - least || Math.abs(most) || 1) * room;
  return { least: least - more, most: most + more };
}
