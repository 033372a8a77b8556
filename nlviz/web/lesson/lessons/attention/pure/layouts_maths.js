// CoAtNet's layouts wherever a digit stands: what each answers there, and which changes its answer first.

/** The answers of one picture: those of each layout at every place, and where it begins. */
export function layoutsOf(data, number) {
  const { data: every, shape } = data.array("layouts.answers");
  const [, layouts, side] = shape;
  const { start, names, digits } = data.head.layouts;
  const at = (layout, y, x) => every[((number * layouts + layout) * side + y) * side + x];
  const first = names.map((_, layout) => at(layout, start[0], start[1]));
  return { names, side, start, digit: digits[number], at, first };
}

/** Whether each layout's answer at each place is the one from the beginning, (layouts) of (side * side) 0 or 1. */
export function layoutsKept({ names, side, at, first }) {
  return names.map((_, layout) => Uint8Array.from({ length: side * side }, (__, n) => Number(at(layout, Math.floor(n / side), n % side) === first[layout])));
}

/**
 * After how many pixels each layout first gives another answer, to the right or down; null where it never does.
 * @returns {(number|null)[]}
 */
export function layoutsChanges({ names, side, start, at, first }, way) {
  const [down, right] = way === "down" ? [1, 0] : [0, 1];
  const steps = side - 1 - (down ? start[0] : start[1]);
  return names.map((_, layout) => {
    for (let n = 1; n <= steps; n++) {
      if (at(layout, start[0] + down * n, start[1] + right * n) !== first[layout]) return n;
    }
    return null;
  });
}

/** Right where the layout that was chosen is the first to change its answer on the screen's way. */
export function judgeLayouts({ given, data, spec }) {
  const { picture, way } = spec.figure;
  const found = layoutsOf(data, picture);
  const after = layoutsChanges(found, way);
  const least = Math.min(...after.map((n) => n ?? Number.POSITIVE_INFINITY));
  const index = found.names.findIndex((name) => name.toLowerCase() === given);
  const pixels = after[index] ?? null;
  const values = { ...data.head.numbers, chosen: found.names[index], pixels, way: found.side - 1 - found.start[way === "down" ? 0 : 1] };
  if (pixels === null) return { right: false, say: "never", values };
  return { right: pixels === least, say: pixels === least ? "right" : "later", values };
}
