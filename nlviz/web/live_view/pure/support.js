// Which keys a query may reach: the twin of nlviz/affinity/support.py, kind by kind.
// What a query reaches, and which queries reach a key, is a box of cells, or a list of cells within
// a box of whole frames (key_sets.js); keys without a place (class token, registers) are a range.

import { causal } from "./causal.js";
import { gridSize } from "./grid.js";
import { keySets } from "./key_sets.js";
import { lines } from "./lines.js";

/**
 * @typedef {{a0: number, a1: number, b0: number, b1: number, c0: number, c1: number}} Box
 * frames a, rows b, columns c: first one, and the one behind the last
 * @typedef {object} Support
 * @property {boolean} local whether rows are laid on the box that they reach rather than on all keys
 * @property {number} [rows] how far a window reaches, where it is local
 * @property {number} [columns]
 * @property {number} most keys that a query reaches at most, those without a place aside
 * @property {(query: number) => Box} reached the keys that a query reaches
 * @property {(key: number) => Box} reaching the queries that reach a key
 * @property {(query: number) => number[]} apart first key without a place that a query reaches, and
 *   the one behind the last
 * @property {(query: number, apart: number) => boolean} [misses] whether a query does not reach a key
 *   without a place in that range
 * @property {(query: number) => Int32Array} [cells] the keys that a query reaches, where they are
 *   not a whole box
 * @property {(key: number) => Int32Array} [cellsBack] the queries that reach a key, likewise
 * @property {number} [groups] how many groups there are, where keys are listed
 * @property {(group: number, key: number) => number} [placeInGroup] where a key of a group stands in
 *   a list of the keys of all groups
 * @property {(query: number) => number} counted keys that a query reaches, those without a place too
 * @property {(key: number) => number} choices keys with a place that each query reaching this key has
 * @property {(query: number) => number} group of queries that share a mean row, from 0
 */

const KINDS = { all: everything, frame_groups: frameGroups, window: localWindow, key_sets: keySets, lines, causal };

/**
 * The support of a source of the header; without one, every query reaches every key.
 * @returns {Support}
 */
export function supportOf(spec) {
  const { support, queries, keys, prefix = 0 } = spec;
  const kind = support?.kind ?? "all";
  if (!(kind in KINDS)) throw new Error(`a support of kind ${kind} is not known here`);
  const known = supports.get(spec);
  if (known) return known;
  const found = KINDS[kind](support, queries, keys, prefix);
  found.counted ??= (query) => boxSize(found.reached(query)) + found.apart(query)[1] - found.apart(query)[0];
  supports.set(spec, found);
  return found;
}

/** @type {WeakMap<object, Support>} */
const supports = new WeakMap();

/**
 * The part [from, to) of a grid that a box of whole frames is.
 * @param {Box} box
 * @param {{shape: number[]}} grid
 */
export function rangeOfBox({ a0, a1 }, { shape: [, h, w] }) {
  return [a0 * h * w, a1 * h * w];
}

/** Number of cells in a box. */
export function boxSize({ a0, a1, b0, b1, c0, c1 }) {
  return (a1 - a0) * (b1 - b0) * (c1 - c0);
}

/** The part of a grid that a box holds. */
export function gridOfBox({ stride, origin }, { a0, a1, b0, b1, c0, c1 }) {
  const first = [a0, b0, c0];
  return {
    shape: [a1 - a0, b1 - b0, c1 - c0],
    stride,
    origin: origin.map((from, axis) => from + stride[axis] * first[axis]),
  };
}

const framesOf = ({ shape: [, h, w] }, a0, a1) => ({ a0, a1, b0: 0, b1: h, c0: 0, c1: w });
const frameOfToken = ({ shape: [, h, w] }, token) => Math.floor(token / (h * w));

function everything(_, queries, keys, prefix) {
  return {
    local: false,
    most: gridSize(keys),
    reached: () => framesOf(keys, 0, keys.shape[0]),
    reaching: () => framesOf(queries, 0, queries.shape[0]),
    apart: () => [0, prefix],
    group: () => 0,
    choices: () => gridSize(keys),
  };
}

/** Groups of frames that see only each other; frames are counted on the grid of the queries. */
function frameGroups({ frames_per_group: size, own_prefix: own }, queries, keys, prefix) {
  const [t] = queries.shape;
  const [of] = keys.shape;
  const each = prefix / Math.ceil(t / size);
  const group = (query) => Math.floor(frameOfToken(queries, query) / size);
  // Keys may be pooled in time; key frame a stands for query frame floor(a t / of).
  const firstKey = (g) => Math.min(Math.ceil((g * size * of) / t), of);
  const groupOfKey = (key) => Math.floor(Math.floor((frameOfToken(keys, key) * t) / of) / size);
  const keysOf = (g) => framesOf(keys, firstKey(g), firstKey(g + 1));
  return {
    local: false,
    most: gridSize(keys),
    reached: (query) => keysOf(group(query)),
    reaching(key) {
      const g = groupOfKey(key);
      return framesOf(queries, Math.min(g * size, t), Math.min((g + 1) * size, t));
    },
    choices: (key) => boxSize(keysOf(groupOfKey(key))),
    apart: (query) => (own ? [group(query) * each, (group(query) + 1) * each] : [0, prefix]),
    group,
  };
}

/** Keys around a query, or around the block of queries that it belongs to, cut off at the border. */
function localWindow({ rows, columns, frames, block }, _queries, keys, prefix) {
  const [t, h, w] = keys.shape;
  const side = (far, of) => Math.min(of, block + 2 * far);
  /** Cells that are reached along an axis. */
  function span(at, far, step, of) {
    const first = Math.floor(at / step) * step;
    return far === null ? [0, of] : [Math.max(0, first - far), Math.min(of, first + step + far)];
  }
  /** Cells that reach this one: all of the first and of the last block that do, and what lies between. */
  function spanBack(at, far, step, of) {
    if (far === null) return [0, of];
    const first = Math.max(0, Math.ceil((at + 1 - far - step) / step));
    const last = Math.floor((at + far) / step);
    return [first * step, Math.min(of, (last + 1) * step)];
  }
  function boxAround(token, along) {
    const [a0, a1] = along(Math.floor(token / (h * w)), frames, 1, t);
    const [b0, b1] = along(Math.floor(token / w) % h, rows, block, h);
    const [c0, c1] = along(token % w, columns, block, w);
    return { a0, a1, b0, b1, c0, c1 };
  }
  return {
    local: true,
    rows,
    columns,
    most: (frames === null ? t : Math.min(t, 2 * frames + 1)) * side(rows, h) * side(columns, w),
    reached: (query) => boxAround(query, span),
    reaching: (key) => boxAround(key, spanBack),
    apart: () => [0, prefix],
    group: () => 0,
    choices: (key) => boxSize(boxAround(key, span)),
  };
}
