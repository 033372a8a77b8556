// Arrays that maps are computed into, allocated once and used from query to query.

import { gridSize, tokenFrames } from "./grid.js";

/** Most of a row's strongest keys that are kept in order. */
export const MOST_LINKS = 512;

/** Allocate arrays for maps of up to `size` cells in `planes` frames of keys. */
export function roomFor(size, planes, frames) {
  return {
    values: new Float32Array(size),
    sizes: new Float32Array(size),
    planeKeys: new Int32Array(planes),
    planeMass: new Float64Array(planes),
    planeBest: new Int32Array(planes),
    planeMost: new Float64Array(planes),
    mass: new Float64Array(frames),
    best: new Int32Array(frames),
    order: new Int32Array(MOST_LINKS),
    ranked: new Int32Array(32),
    sorted: [],
  };
}

/** Everything that depends on the grid a map is laid on, in new arrays or in those of a room. */
export function sideOf(grid, frames, room = roomFor(gridSize(grid), grid.shape[0], frames)) {
  const covers = tokenFrames(grid, frames);
  const shared = new Int32Array(grid.shape[0]);
  for (const a of covers) if (a >= 0) shared[a]++;
  const size = gridSize(grid);
  const fitted = { values: room.values.subarray(0, size), sizes: room.sizes.subarray(0, size) };
  return { ...room, ...fitted, grid, covers, shared };
}
