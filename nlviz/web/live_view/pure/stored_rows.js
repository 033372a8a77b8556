// Rows and columns of weights that came as they are: the twin of nlviz/affinity/stored.py.
// Queries of a group share their keys; a weight has a group, a head, a place in it and a key of it.

import { supportOf } from "./support.js";

/**
 * @param {Spec} spec
 * @param {ArrayOf} array
 * @returns {Rows} the same contract as embeddedRows
 */
export function storedRows(spec, array) {
  const { data, shape: [groups, heads, places, width] } = array(spec.weights);
  const { data: groupOf } = array(spec.group_of);
  const { data: placeOf } = array(spec.place_of);
  const { data: keyOf } = array(spec.key_of);
  const prefix = spec.prefix ?? 0;
  // Words that can be asked for stand before the queries with a place.
  const before = spec.query_prefix ?? 0;
  const support = supportOf(spec);
  const given = new Float32Array(prefix);

  /** The weight of one head, their mean or their maximum. */
  function weight(query, column, head) {
    const first = groupOf[query] * heads * places * width + placeOf[query] * width + column;
    const step = places * width;
    if (typeof head === "number" || heads === 1) return data[first + Math.min(heads === 1 ? 0 : head, heads - 1) * step];
    let found = data[first];
    for (let n = 1; n < heads; n++) {
      const value = data[first + n * step];
      found = head !== "max" ? found + value : Math.max(found, value);
    }
    return head === "max" ? found : found / heads;
  }

  /** Zeros where a row or column reaches, and no number elsewhere. */
  function reach(out, cells, { a0, a1 }, { shape: [, h, w] }) {
    out.fill(NaN);
    if (cells) for (const cell of cells) out[cell] = 0;
    else out.fill(0, a0 * h * w, a1 * h * w);
  }

  /** Add the weights of a query, counted with the words first, to those of keys with and without a place. */
  function gather(out, words, query, head) {
    const base = groupOf[query] * width;
    let apart = 0;
    for (let n = 0; n < width; n++) {
      const key = keyOf[base + n];
      if (key < 0) continue;
      const share = weight(query, n, head);
      if (key < prefix) {
        apart += share;
        words[key] = (Number.isNaN(words[key]) ? 0 : words[key]) + share;
      } else if (!Number.isNaN(out[key - prefix])) out[key - prefix] += share;
    }
    return { from: 0, to: out.length, logC: NaN, apart, given: words };
  }

  function row(out, query, head) {
    reach(out, support.cells?.(query), support.reached(query), spec.keys);
    given.fill(NaN);
    return gather(out, given, query + before, head);
  }

  /** The row of a word: it reaches what it has weights for. */
  function rowOfWord(out, words, word, head) {
    out.fill(NaN);
    words.fill(NaN);
    for (let n = 0; n < width; n++) {
      const key = keyOf[groupOf[word] * width + n];
      if (key >= prefix) out[key - prefix] = 0;
    }
    return gather(out, words, word, head);
  }

  /** @type {Int32Array[]|null} queries of each group, once a column was asked for */
  let members = null;

  function column(out, key, head) {
    if (!members) {
      const lists = Array.from({ length: groups }, () => /** @type {number[]} */ ([]));
      for (let query = 0; query < groupOf.length; query++) lists[groupOf[query]].push(query);
      members = lists.map((list) => Int32Array.from(list));
    }
    reach(out, support.cellsBack?.(key), support.reaching(key), spec.queries);
    for (let at = 0; at < keyOf.length; at++) {
      if (keyOf[at] !== key + prefix) continue;
      const group = Math.floor(at / width);
      for (const query of members[group]) {
        if (query >= before && !Number.isNaN(out[query - before])) out[query - before] += weight(query, at - group * width, head);
      }
    }
    return { from: 0, to: out.length, logC: NaN, apart: 0 };
  }

  const words = before > 0 ? { row: rowOfWord, at: null, column: null } : null;
  return { row, column, words };
}
