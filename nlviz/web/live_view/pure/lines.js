// Keys on the lines through a query, along axes of the grid: the twin of nlviz/affinity/lines.py.
// Row and column of criss-cross attention, one place over time.

import { gridSize } from "./grid.js";

const AXES = ["t", "y", "x"];

/** The support of kind lines; queries and keys are the same tokens, so it is the same both ways. */
export function lines({ axes }, _queries, keys, prefix) {
  const { shape } = keys;
  const [, h, w] = shape;
  const step = [h * w, w, 1];
  const along = axes.map((axis) => AXES.indexOf(axis));
  const most = along.reduce((sum, axis) => sum + shape[axis] - 1, 1);
  const known = { token: -1, cells: new Int32Array(most) };

  /** The cells on the lines through a token, in order. */
  function cells(token) {
    if (known.token === token) return known.cells;
    const at = [Math.floor(token / (h * w)), Math.floor(token / w) % h, token % w];
    let n = 0;
    known.cells[n++] = token;
    for (const axis of along) {
      for (let i = 0; i < shape[axis]; i++) if (i !== at[axis]) known.cells[n++] = token + (i - at[axis]) * step[axis];
    }
    known.cells.sort();
    known.token = token;
    return known.cells;
  }

  /** The frames that hold them. */
  function frames(token) {
    const frame = Math.floor(token / (h * w));
    const [a0, a1] = axes.includes("t") ? [0, shape[0]] : [frame, frame + 1];
    return { a0, a1, b0: 0, b1: h, c0: 0, c1: w };
  }

  return {
    local: false,
    most: Math.min(most, gridSize(keys)),
    cells,
    cellsBack: cells,
    reached: frames,
    reaching: frames,
    apart: () => [0, prefix],
    group: () => 0,
    counted: () => most + prefix,
    choices: () => most,
  };
}
