// Where tokens lie in the clip. Frames and pixels are 0-based, the centre of pixel (y, x) is at
// (y, x); token (a, b, c) is centred at origin + index * stride; flat order is t, then y, then x.
// Words of a text are a grid of one frame and one row; boxes and nodes have places of their own.

import { isPlaced, nearestPlaced, placedAfter, placedCentre, placedEdges, placeMeaning } from "./placed.js";

export function gridSize(grid) {
  return grid.shape[0] * grid.shape[1] * grid.shape[2];
}

/** Index on one axis of the token nearest to a place; ties go to the lower index. */
function nearestOnAxis(place, origin, stride, count) {
  return Math.min(Math.max(Math.ceil((place - origin) / stride - 0.5), 0), count - 1);
}

/** Flat index of the token nearest to a place in the clip. */
export function nearestToken(grid, { frame, y, x }) {
  if (isPlaced(grid)) return nearestPlaced(grid, { frame, y, x });
  const [t, h, w] = grid.shape;
  const a = nearestOnAxis(frame, grid.origin[0], grid.stride[0], t);
  const b = nearestOnAxis(y, grid.origin[1], grid.stride[1], h);
  const c = nearestOnAxis(x, grid.origin[2], grid.stride[2], w);
  return (a * h + b) * w + c;
}

/** Whether a place lies in a cell of the grid. */
export function onGrid(grid, { frame, y, x }) {
  return [frame, y, x].every((place, axis) => {
    const far = grid.stride[axis] / 2 + 1e-6;
    const last = grid.origin[axis] + grid.stride[axis] * (grid.shape[axis] - 1);
    return place >= grid.origin[axis] - far && place <= last + far;
  });
}

/** Centre of a token: {frame, y, x}; frame may lie between two frames of the clip. */
export function tokenCentre(grid, index) {
  if (isPlaced(grid)) return placedCentre(grid, index);
  const [, h, w] = grid.shape;
  const a = Math.floor(index / (h * w));
  return {
    frame: grid.origin[0] + grid.stride[0] * a,
    y: grid.origin[1] + grid.stride[1] * (Math.floor(index / w) % h),
    x: grid.origin[2] + grid.stride[2] * (index % w),
  };
}

/** Cell of a token as fractions of the picture: {left, top, width, height}. */
export function tokenBox(grid, index, clip) {
  if (isPlaced(grid)) {
    const [top, left, bottom, right] = placedEdges(grid, index);
    return { left: left / clip.width, top: top / clip.height, width: (right - left) / clip.width, height: (bottom - top) / clip.height };
  }
  const centre = tokenCentre(grid, index);
  const [, sy, sx] = grid.stride;
  return {
    left: (centre.x - sx / 2 + 0.5) / clip.width,
    top: (centre.y - sy / 2 + 0.5) / clip.height,
    width: sx / clip.width,
    height: sy / clip.height,
  };
}

/** All cells of one token frame as a box, in fractions of the picture. */
export function gridBox(grid, clip) {
  const [, h, w] = grid.shape;
  const first = tokenBox(grid, 0, clip);
  return { left: first.left, top: first.top, width: first.width * w, height: first.height * h };
}

/** Token frame that covers each frame of the clip, or -1 for an uncovered one. */
export function tokenFrames(grid, frames) {
  if (grid.kind === "boxes") {
    // All boxes are one plane; frames without a box show none of it.
    const own = new Set(grid.boxes.map(([frame]) => Math.round(frame)));
    return Int32Array.from({ length: frames }, (_, frame) => (own.has(frame) ? 0 : -1));
  }
  const [count] = grid.shape;
  const [stride] = grid.stride;
  const [origin] = grid.origin;
  return Int32Array.from({ length: frames }, (_, frame) => {
    const a = nearestOnAxis(frame, origin, stride, count);
    return Math.abs(frame - origin - stride * a) <= 0.5 * Math.max(stride, 1) + 1e-6 ? a : -1;
  });
}

/** Frame of the clip that shows a token best. */
export function clipFrame(grid, index, frames) {
  if (isPlaced(grid)) return Math.min(Math.max(Math.round(placedCentre(grid, index).frame), 0), frames - 1);
  const [, h, w] = grid.shape;
  const place = grid.origin[0] + grid.stride[0] * Math.floor(index / (h * w));
  return Math.min(Math.max(Math.ceil(place - 0.5), 0), frames - 1);
}

/** Where a point of the picture, in fractions of it, lies in clip pixels (rounded, inside). */
export function pixelAt(fx, fy, clip) {
  return {
    y: Math.min(Math.max(Math.round(fy * clip.height - 0.5), 0), clip.height - 1),
    x: Math.min(Math.max(Math.round(fx * clip.width - 0.5), 0), clip.width - 1),
  };
}

/** The query moved by cells and frames; it stays inside the clip and lands on a cell's centre. */
export function movedQuery(query, { dy = 0, dx = 0, df = 0 }, grid, clip) {
  const frame = Math.min(Math.max(query.frame + df, 0), clip.frames - 1);
  if (!dy && !dx) return { ...query, frame };
  if (isPlaced(grid)) {
    const next = placedAfter(grid, nearestToken(grid, query), { dy: Math.sign(dy), dx: Math.sign(dx) });
    return insideClip(placeMeaning(grid, next), clip);
  }
  const [, h, w] = grid.shape;
  const b = nearestOnAxis(query.y, grid.origin[1], grid.stride[1], h) + dy;
  const c = nearestOnAxis(query.x, grid.origin[2], grid.stride[2], w) + dx;
  const y = grid.origin[1] + grid.stride[1] * Math.min(Math.max(b, 0), h - 1);
  const x = grid.origin[2] + grid.stride[2] * Math.min(Math.max(c, 0), w - 1);
  return insideClip({ frame, y, x }, clip);
}

/** The nearest place inside the clip. */
export function insideClip({ frame, y, x }, clip) {
  // Hundredths of a pixel are enough, and read well in an address.
  const within = (value, last) => Math.round(100 * Math.min(Math.max(Number(value) || 0, 0), last)) / 100;
  return {
    frame: Math.round(within(frame, clip.frames - 1)),
    y: within(y, clip.height - 1),
    x: within(x, clip.width - 1),
  };
}
