// Cells of the key grid that the reader painted, as the text that a view holds; nlviz.views.painted
// writes and reads the same. "2x3x4~1.2-5.1" are cells 1 and 2, then, five further on, cell 8, of a grid
// of 2 frames, 3 rows and 4 columns: how many are passed over, how many follow, in base 36.

export const MOST_TEXT = 2000; // characters: an address holds few more

const PATTERN = /^\d{1,4}x\d{1,4}x\d{1,4}~[0-9a-z.-]+$/;

/** Whether a text can say what is painted: nothing, or cells of some grid. */
export const isPainting = (text) => text === "" || (typeof text === "string" && text.length <= MOST_TEXT && PATTERN.test(text));

/**
 * Flat indices of the painted cells, in order; none where the text is of a grid of another shape.
 * @param {string|undefined} text
 * @param {number[]} shape (t, h, w)
 * @returns {number[]}
 */
export function paintedCells(text, shape) {
  if (!text || !isPainting(text)) return [];
  const [of, runs] = text.split("~");
  if (of !== shape.join("x")) return [];
  const size = shape[0] * shape[1] * shape[2];
  const cells = [];
  let at = 0;
  for (const run of runs.split("-")) {
    const [gap, count] = run.split(".").map((number) => Number.parseInt(number, 36));
    if (!(gap >= 0 && count > 0 && at + gap + count <= size)) return [];
    at += gap;
    for (const end = at + count; at < end; at++) cells.push(at);
  }
  return cells;
}

/**
 * The text of painted cells, or null where it is longer than a view holds.
 * @param {Iterable<number>} cells flat indices, each once
 * @param {number[]} shape (t, h, w)
 */
export function paintedText(cells, shape) {
  const sorted = [...cells].sort((a, b) => a - b);
  if (sorted.length === 0) return "";
  const runs = [];
  let end = 0;
  for (let first = 0, next = 1; first < sorted.length; first = next, next++) {
    while (next < sorted.length && sorted[next] === sorted[next - 1] + 1) next++;
    runs.push(`${(sorted[first] - end).toString(36)}.${(next - first).toString(36)}`);
    end = sorted[next - 1] + 1;
  }
  const text = `${shape.join("x")}~${runs.join("-")}`;
  return text.length <= MOST_TEXT ? text : null;
}

/**
 * Cells below a square brush, in the frame of its middle.
 * @param {number[]} shape (t, h, w)
 * @param {number} cell its middle
 * @param {number} size its side, in cells, odd
 */
export function below([, h, w], cell, size) {
  const [first, row, column] = [cell - (cell % (h * w)), Math.floor(cell / w) % h, cell % w];
  const half = (size - 1) / 2;
  const cells = [];
  for (let y = Math.max(row - half, 0); y <= Math.min(row + half, h - 1); y++) {
    for (let x = Math.max(column - half, 0); x <= Math.min(column + half, w - 1); x++) cells.push(first + y * w + x);
  }
  return cells;
}

/**
 * Cells on the way from one to another of the same frame, both ends among them; of another frame, the
 * other alone. A pointer that moves fast leaves none out.
 * @param {number[]} shape (t, h, w)
 */
export function between([, h, w], from, to) {
  const plane = h * w;
  if (from < 0 || Math.floor(from / plane) !== Math.floor(to / plane)) return [to];
  const first = to - (to % plane);
  const [y0, x0, y1, x1] = [Math.floor(from / w) % h, from % w, Math.floor(to / w) % h, to % w];
  const steps = Math.max(Math.abs(y1 - y0), Math.abs(x1 - x0), 1);
  return Array.from({ length: steps + 1 }, (_, n) => {
    const at = (a, b) => Math.round(a + ((b - a) * n) / steps);
    return first + at(y0, y1) * w + at(x0, x1);
  });
}

/**
 * The brush moved by cells and frames, inside the grid.
 * @param {number[]} shape (t, h, w)
 */
export function movedCell([t, h, w], cell, { dy = 0, dx = 0, df = 0 }) {
  const inside = (value, count) => Math.min(Math.max(value, 0), count - 1);
  const a = inside(Math.floor(cell / (h * w)) + df, t);
  const b = inside((Math.floor(cell / w) % h) + dy, h);
  return (a * h + b) * w + inside((cell % w) + dx, w);
}
