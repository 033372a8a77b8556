// What is added to logits: the twin of nlviz/affinity/bias.py and position_terms.py. A number by key,
// by the offset from a query to a key, for each query by frame, row and column of the keys, or by a
// table of pairs, or for each set of keys and each key of it. Keys without a place come first among all keys.

import { supportOf } from "./support.js";

/**
 * @typedef {object} Bias
 * @property {(head: number, query: number, key: number) => number} at what is added
 * @property {(head: number, key: number, query: number) => number} apart what is added for a key
 *   without a place
 * @property {(query: number, key: number, head: number | string) => boolean} [hides] whether a key
 *   is hidden from the heads that are shown, where any is
 */

const BIASES = { key: keyBias, offset: offsetBias, axes: axisBias, pairs: pairBias, sets: setBias };

/**
 * The bias of a source of the header, or null.
 * @param {{bias?: Record<string, any> | null, keys: Grid, prefix?: number}} spec with its support,
 *   where numbers are by set of keys
 * @param {ArrayOf} array reader of sections
 * @returns {Bias | null}
 */
export function biasOf(spec, array) {
  const { bias = null, keys, prefix = 0 } = spec;
  if (!bias) return null;
  if (!(bias.kind in BIASES)) throw new Error(`a bias of kind ${bias.kind} is not known here`);
  return BIASES[bias.kind](array(bias.values), keys, prefix, bias, array, spec);
}

function keyBias({ data, shape: [heads, all] }, _, prefix) {
  const base = (head) => (heads === 1 ? 0 : head * all);
  return {
    at: (head, _query, key) => data[base(head) + prefix + key],
    apart: (head, key) => data[base(head) + key],
  };
}

/** Offsets beyond the table, and between its steps, have no number. */
function offsetBias({ data, shape }, { shape: [t, h, w] }, _prefix, { step = [1, 1, 1], apart = null }, array) {
  const [heads, deep, tall, wide] = shape;
  const plane = tall * wide;
  const each = deep * plane;
  const head0 = (head) => (heads === 1 ? 0 : head * each);
  const before = apart ? array(apart) : null;
  const apartAt = (head, key) => {
    if (!before) return 0;
    return before.data[(before.shape[0] === 1 ? 0 : head * before.shape[1]) + key];
  };
  const whole = deep === 2 * t - 1 && tall === 2 * h - 1 && wide === 2 * w - 1 && step.every((n) => n === 1);
  if (whole) {
    // The offset is a difference of places, and so is where its number stands in the table.
    const place = (n) => Math.floor(n / (h * w)) * plane + (Math.floor(n / w) % h) * wide + (n % w);
    const itself = (t - 1) * plane + (h - 1) * wide + w - 1;
    return { at: (head, query, key) => data[head0(head) + itself + place(key) - place(query)], apart: apartAt };
  }
  /** Where an offset along an axis stands in a table of `size`, or -1. */
  const along = (away, unit, size) => {
    if (away % unit !== 0) return -1;
    const found = away / unit + (size - 1) / 2;
    return found < size ? found : -1;
  };
  return {
    at(head, query, key) {
      const a = along(Math.floor(key / (h * w)) - Math.floor(query / (h * w)), step[0], deep);
      const b = along((Math.floor(key / w) % h) - (Math.floor(query / w) % h), step[1], tall);
      const c = along((key % w) - (query % w), step[2], wide);
      return a < 0 || b < 0 || c < 0 ? 0 : data[head0(head) + a * plane + b * wide + c];
    },
    apart: apartAt,
  };
}

/** Of each query the numbers of all frames, then of all rows, then of all columns. */
function axisBias({ data, shape: [heads, queries, each] }, { shape: [t, h, w] }) {
  return {
    at(head, query, key) {
      const base = ((heads === 1 ? 0 : head * queries) + query) * each;
      const [a, b, c] = [Math.floor(key / (h * w)), Math.floor(key / w) % h, key % w];
      return data[base + a] + data[base + t + b] + data[base + t + h + c];
    },
    apart: () => 0,
  };
}

function pairBias({ data, shape: [heads, rows, columns] }, _, prefix, bias, array) {
  const [{ data: rowOf }, { data: columnOf }] = [array(bias.rows), array(bias.columns)];
  const from = (head, query) => ((heads === 1 ? 0 : head * rows) + rowOf[query]) * columns;
  const at = (head, query, key) => data[from(head, query) + columnOf[prefix + key]];
  const every = [...Array(heads).keys()];
  const closed = (query, key, head) => (typeof head === "number" ? [Math.min(head, heads - 1)] : every)
    .every((one) => at(one, query, key) === -Infinity);
  return {
    at,
    apart: (head, key, query) => data[from(head, query) + columnOf[key]],
    hides: data.includes(-Infinity) ? closed : undefined,
  };
}

/** Numbers of all sets, each holding its own keys alone; what all queries of a set share. */
function setBias({ data, shape: [heads, each] }, _keys, prefix, bias, array, spec) {
  const { group, groups = 1, placeInGroup = (_, key) => key } = supportOf(spec);
  const before = array(bias.apart).data;
  const base = (head) => (heads === 1 ? 0 : head);
  return {
    at: (head, query, key) => data[base(head) * each + placeInGroup(group(query), key)],
    apart: (head, key, query) => before[(base(head) * groups + group(query)) * prefix + key],
  };
}
