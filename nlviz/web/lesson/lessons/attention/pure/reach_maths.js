// Which cells of a clip a query is compared with under joint, divided and window attention, and after how
// many layers two places are connected. Cells are numbers t * h * w + y * w + x.

/** Keys that one query is compared with in a layer; divided attention compares twice, in time and in space. */
export function reachKeys(scheme, { t, h, w, side }) {
  if (scheme === "joint") return t * h * w;
  if (scheme === "divided") return t + h * w;
  return t * Math.min(side, h) * Math.min(side, w);
}

/** First row or column, and the one behind the last, of the window in which a row or column lies. */
function reachWindow(at, side, moved, size) {
  const first = Math.floor((at + moved) / side) * side - moved;
  return [Math.max(0, first), Math.min(size, first + side)];
}

/** By how many cells the windows of a layer lie off the first: by half a window in every second one. */
export const reachMoved = (layer, side, shifted) => (shifted && layer % 2 === 1 ? Math.floor(side / 2) : 0);

/**
 * What was reached by some cells is spread by one layer's attention to all cells that look at one of them.
 * @param {Uint8Array} inside 1 where a cell is reached
 */
export function reachLayer(scheme, inside, { t, h, w, side, shifted }, layer) {
  const out = Uint8Array.from(inside);
  if (scheme === "joint") return inside.includes(1) ? out.fill(1) : out;
  if (scheme === "divided") {
    reachTime(out, t, h * w);
    reachSpace(out, t, h * w);
    return out;
  }
  const moved = reachMoved(layer, side, shifted);
  for (let y = 0; y < h; y++) {
    const [y0, y1] = reachWindow(y, side, moved, h);
    if (y !== y0) continue;
    for (let x = 0; x < w; x++) {
      const [x0, x1] = reachWindow(x, side, moved, w);
      if (x !== x0) continue;
      reachFillBox(inside, out, { t, h, w, y0, y1, x0, x1 });
    }
  }
  return out;
}

/** Attention in time: a place of one frame reaches the same place of every frame. */
function reachTime(cells, t, area) {
  for (let at = 0; at < area; at++) {
    let any = 0;
    for (let f = 0; f < t; f++) any |= cells[f * area + at];
    if (any) for (let f = 0; f < t; f++) cells[f * area + at] = 1;
  }
}

/** Attention in space: a cell reaches its whole frame. */
function reachSpace(cells, t, area) {
  for (let f = 0; f < t; f++) {
    if (cells.subarray(f * area, (f + 1) * area).includes(1)) cells.fill(1, f * area, (f + 1) * area);
  }
}

/** A window over all frames: reached by one of its cells, it is reached as a whole. */
function reachFillBox(inside, out, { t, h, w, y0, y1, x0, x1 }) {
  const each = (does) => {
    for (let f = 0; f < t; f++) for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) does(f * h * w + y * w + x);
  };
  let any = 0;
  each((cell) => {
    any |= inside[cell];
  });
  if (any) each((cell) => {
    out[cell] = 1;
  });
}

/**
 * After how many layers each cell is reached from one: 0 for the cell itself, -1 for never.
 * @returns {Int16Array}
 */
export function reachSteps(scheme, size, from) {
  const count = size.t * size.h * size.w;
  const steps = new Int16Array(count).fill(-1);
  steps[from] = 0;
  /** @type {Uint8Array} */
  let inside = new Uint8Array(count);
  inside[from] = 1;
  // Where a layer brings nothing new, the shifted layer after it still may.
  for (let layer = 0, still = 0; still < 2; layer++) {
    inside = reachLayer(scheme, inside, size, layer);
    still += 1;
    for (let cell = 0; cell < count; cell++) {
      if (inside[cell] && steps[cell] < 0) {
        steps[cell] = layer + 1;
        still = 0;
      }
    }
  }
  return steps;
}

/** Cells that a query looks at in one layer, by how: 1 in time, 2 in space, 3 as one; 0 not at all. */
export function reachSeen(scheme, { t, h, w, side }, from) {
  const area = h * w;
  const seen = new Uint8Array(t * area);
  const [frame, place] = [Math.floor(from / area), from % area];
  if (scheme === "joint") return seen.fill(3);
  if (scheme === "divided") {
    seen.fill(2, frame * area, (frame + 1) * area);
    for (let f = 0; f < t; f++) seen[f * area + place] |= 1;
    return seen;
  }
  const [y0, y1] = reachWindow(Math.floor(place / w), side, 0, h);
  const [x0, x1] = reachWindow(place % w, side, 0, w);
  for (let f = 0; f < t; f++) for (let y = y0; y < y1; y++) seen.fill(3, f * area + y * w + x0, f * area + y * w + x1);
  return seen;
}
