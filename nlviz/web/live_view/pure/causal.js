// Keys that come before a query in a sequence, itself among them: the twin of nlviz/affinity/causal.py.

import { gridSize } from "./grid.js";

/** The support of kind causal; tokens without a place come first among queries as among keys. */
export function causal({ queries_at: ofQueries, keys_at: ofKeys, nearest }, queries, keys, prefix) {
  const [size, count] = [gridSize(queries), gridSize(keys)];
  // Queries without a place may be other ones than the keys: their number follows from the places.
  const before = ofQueries.length ? ofQueries.length - size : (queries.prefix ?? prefix);
  const queryAt = ofQueries.length ? (query) => ofQueries[before + query] : (query) => before + query;
  const keyAt = ofKeys.length ? (key) => ofKeys[key] : (key) => key;
  const far = nearest ?? Number.POSITIVE_INFINITY;
  const reaches = (query, key) => query >= key && query - key < far;

  function cells(query) {
    const at = queryAt(query);
    const found = [];
    for (let key = 0; key < count; key++) if (reaches(at, keyAt(prefix + key))) found.push(key);
    return Int32Array.from(found);
  }

  function cellsBack(key) {
    const at = keyAt(prefix + key);
    const found = [];
    for (let query = 0; query < size; query++) if (reaches(queryAt(query), at)) found.push(query);
    return Int32Array.from(found);
  }

  /** The frames that hold some cells. */
  function frames({ shape: [, h, w] }, of) {
    const plane = h * w;
    if (!of.length) return { a0: 0, a1: 0, b0: 0, b1: h, c0: 0, c1: w };
    return { a0: Math.floor(of[0] / plane), a1: Math.floor(of[of.length - 1] / plane) + 1, b0: 0, b1: h, c0: 0, c1: w };
  }

  const misses = (query, apart) => !reaches(queryAt(query), keyAt(apart));
  const missed = (query) => {
    let n = 0;
    for (let apart = 0; apart < prefix; apart++) if (misses(query, apart)) n++;
    return n;
  };
  let most = -1;
  /** @type {Int32Array|null} keys with a place of each query, counted once */
  let counts = null;
  const countOf = (query) => {
    counts ??= Int32Array.from({ length: size }, (_, n) => cells(n).length);
    return counts[query];
  };
  return {
    local: false,
    get most() {
      if (most < 0) for (let query = 0; query < size; query++) most = Math.max(most, countOf(query));
      return most;
    },
    cells,
    cellsBack,
    reached: (query) => frames(keys, cells(query)),
    reaching: (key) => frames(queries, cellsBack(key)),
    apart: () => [0, prefix],
    misses,
    group: () => 0,
    counted: (query) => countOf(query) + prefix - missed(query),
    choices: (key) => cellsBack(key).reduce((n, query) => Math.max(n, countOf(query)), 0),
  };
}
