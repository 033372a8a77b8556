// Tokens that each have a place of their own: boxes on frames (frame, top, left, bottom, right), and
// nodes (y, x) of a drawing. The twin of nlviz/affinity/token_boxes.py and token_nodes.py.

const RADIUS = 12; // of a node in its drawing

/**
 * Whether tokens of a grid have places of their own rather than a cell each.
 * @param {{kind?: string}} grid
 */
export const isPlaced = ({ kind }) => kind === "boxes" || kind === "nodes";

/**
 * Centre of a token: {frame, y, x}.
 * @param {any} grid
 * @param {number} index
 */
export function placedCentre({ boxes, places }, index) {
  if (places) return { frame: 0, y: places[index][0], x: places[index][1] };
  const [frame, top, left, bottom, right] = boxes[index];
  return { frame, y: (top + bottom - 1) / 2, x: (left + right - 1) / 2 };
}

/**
 * (top, left, bottom, right) of a token in pixels of the clip, half-open.
 * @param {any} grid
 * @param {number} index
 */
export function placedEdges({ boxes, places }, index) {
  if (!places) return boxes[index].slice(1);
  const [y, x] = places[index];
  return [y - RADIUS + 0.5, x - RADIUS + 0.5, y + RADIUS + 0.5, x + RADIUS + 0.5];
}

const area = ([top, left, bottom, right]) => (bottom - top) * (right - left);

/** Numbers of the boxes of the nearest frame that has any; all nodes. */
function sameFrame({ boxes, places }, frame) {
  if (places) return [...places.keys()];
  const away = boxes.map(([own]) => Math.abs(own - frame));
  const least = Math.min(...away);
  return [...away.keys()].filter((n) => away[n] === least);
}

/**
 * The smallest box of the frame around a place, else the token of nearest middle; ties go to the
 * lower number.
 */
export function nearestPlaced(grid, { frame, y, x }) {
  const here = sameFrame(grid, frame);
  const least = (of, size) => of.reduce((best, n) => (size(n) < size(best) ? n : best));
  const around = grid.places ? [] : here.filter((n) => {
    const [top, left, bottom, right] = placedEdges(grid, n);
    return top <= y + 0.5 && y + 0.5 <= bottom && left <= x + 0.5 && x + 0.5 <= right;
  });
  if (around.length) return least(around, (n) => area(placedEdges(grid, n)));
  return least(here, (n) => {
    const centre = placedCentre(grid, n);
    return (centre.y - y) ** 2 + (centre.x - x) ** 2;
  });
}

/** A place that means this token: its middle, or where a smaller box covers that, near a corner. */
export function placeMeaning(grid, index) {
  const { frame, y, x } = placedCentre(grid, index);
  const [top, left, bottom, right] = placedEdges(grid, index);
  const [ys, xs] = [[top + 0.5, bottom - 1.5], [left + 0.5, right - 1.5]];
  const all = [[y, x], ...ys.flatMap((v) => xs.map((u) => [v, u])), ...ys.map((v) => [v, x]), ...xs.map((u) => [y, u])];
  const [v, u] = all.find(([b, a]) => nearestPlaced(grid, { frame, y: b, x: a }) === index) ?? [y, x];
  return { frame, y: v, x: u };
}

/** The next token up, down, left or right of one: what lies ahead counts more than what lies beside. */
export function placedAfter(grid, index, { dy, dx }) {
  const home = placedCentre(grid, index);
  let best = index;
  let least = Infinity;
  for (const n of sameFrame(grid, home.frame)) {
    const there = placedCentre(grid, n);
    const [v, u] = [there.y - home.y, there.x - home.x];
    const ahead = v * dy + u * dx;
    const far = ahead + 2 * Math.abs(v * dx - u * dy);
    if (ahead > 1e-6 && far < least) [best, least] = [n, far];
  }
  return best;
}
