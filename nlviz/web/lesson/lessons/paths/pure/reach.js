// Which places of the input an output depends on: stacks of layers along one axis, exactly.
// A layer is {width, dilation, stride}; a stack lists its layers from the input to the output. The
// output unit is the one whose middle lies on place 0; offsets of other places are counted from there.

/** @typedef {{width: number, dilation: number, stride: number}} PathsLayer */

const pathsPlain = (width) => ({ width, dilation: 1, stride: 1 });

/** Kinds of stacks of local layers, by name: the layers of a stack of n. */
const PATHS_STACKS = {
  three: (n) => Array.from({ length: n }, () => pathsPlain(3)),
  five: (n) => Array.from({ length: n }, () => pathsPlain(5)),
  holes: (n) => Array.from({ length: n }, () => ({ width: 3, dilation: 4, stride: 1 })),
  doubling: (n) => Array.from({ length: n }, (_, l) => ({ width: 3, dilation: 2 ** l, stride: 1 })),
  strided: (n) => Array.from({ length: n }, () => ({ width: 3, dilation: 1, stride: 2 })),
};

/**
 * The layers of a stack; null of what is no stack of local layers.
 * @param {string} kind
 * @param {number} layers
 * @returns {PathsLayer[]|null}
 */
export const pathsStack = (kind, layers) => PATHS_STACKS[kind]?.(layers) ?? null;

/** Offsets that one layer reads, in elements of its own input. */
const pathsTaps = ({ width, dilation }) => Array.from({ length: width }, (_, n) => dilation * (n - (width - 1) / 2));

/**
 * Units of every level that the output depends on, from the input (level 0) to the output.
 * @param {PathsLayer[]} stack
 * @returns {Set<number>[]} indices at each level; index i lies at place i times the strides below it
 */
export function pathsLevels(stack) {
  let reached = new Set([0]);
  const levels = [reached];
  for (const layer of [...stack].reverse()) {
    const below = new Set();
    for (const unit of reached) for (const tap of pathsTaps(layer)) below.add(unit * layer.stride + tap);
    levels.push(below);
    reached = below;
  }
  return levels.reverse();
}

/** Offsets of the input that the output depends on, in their order. */
export const pathsReached = (stack) => [...pathsLevels(stack)[0]].sort((a, b) => a - b);

/** How many places lie between the outermost that are reached, both counted: 1 + sum (k - 1) d x strides below. */
export function pathsField(stack) {
  let field = 1;
  let step = 1;
  for (const { width, dilation, stride } of stack) {
    field += (width - 1) * dilation * step;
    step *= stride;
  }
  return field;
}

/** Strides below each level, and of the output: how far apart neighbours of a level lie in places. */
export function pathsStrides(stack) {
  const steps = [1];
  for (const { stride } of stack) steps.push(steps[steps.length - 1] * stride);
  return steps;
}

/**
 * Connections on ways from one place of the input to the output; empty where there is none.
 * @param {PathsLayer[]} stack
 * @param {number} from offset of the place
 * @returns {[number, number, number, number][]} [level, place below, level + 1, place above], places of the input
 */
export function pathsWays(stack, from) {
  const levels = pathsLevels(stack);
  const steps = pathsStrides(stack);
  const ways = [];
  let reached = new Set(levels[0].has(from) ? [from] : []);
  stack.forEach((layer, level) => {
    const above = new Set();
    for (const unit of levels[level + 1]) {
      for (const tap of pathsTaps(layer)) {
        const below = unit * layer.stride + tap;
        if (!reached.has(below)) continue;
        above.add(unit);
        ways.push([level, below * steps[level], level + 1, unit * steps[level + 1]]);
      }
    }
    reached = above;
  });
  return /** @type {[number, number, number, number][]} */ (ways);
}

/** All connections that the output depends on, as of `pathsWays`. */
export function pathsCone(stack) {
  const levels = pathsLevels(stack);
  const steps = pathsStrides(stack);
  return /** @type {[number, number, number, number][]} */ (stack.flatMap((layer, level) =>
    [...levels[level + 1]].flatMap((unit) => pathsTaps(layer).map((tap) =>
      [level, (unit * layer.stride + tap) * steps[level], level + 1, unit * steps[level + 1]]))));
}

/** How far apart two cells are for kernels that are squares: the larger of rows and columns. */
export const pathsApart = (a, b) => Math.max(Math.abs(a[0] - b[0]), Math.abs(a[1] - b[1]));

/** Layers of square kernels of this width, stride 1, until an output depends on a cell so far away. */
export const pathsLayersTo = (apart, width = 3) => Math.ceil(apart / ((width - 1) / 2));

/**
 * Steps, one after the other, until what is at a distance arrives.
 * @param {string} kind of a stack, or "recurrent", "connected" or "nonlocal"
 * @param {number} distance at least 1
 * @param {number} [most] layers that are tried
 * @returns {number} Infinity where no such stack has a way
 */
export function pathsSteps(kind, distance, most = 64) {
  if (kind === "recurrent") return distance;
  if (kind === "connected" || kind === "nonlocal") return 1;
  for (let layers = 1; layers <= most; layers++) {
    const stack = pathsStack(kind, layers);
    if (!stack) break;
    if (pathsLevels(stack)[0].has(-distance)) return layers;
    if (pathsField(stack) > 8 * distance + 8) break;
  }
  return Number.POSITIVE_INFINITY;
}

/** Cells from one to another, one by one, both ends included: diagonally first, then straight. */
export function pathsCells([row, column], [toRow, toColumn]) {
  const cells = [[row, column]];
  let [r, c] = [row, column];
  while (r !== toRow || c !== toColumn) {
    r += Math.sign(toRow - r);
    c += Math.sign(toColumn - c);
    cells.push([r, c]);
  }
  return cells;
}
