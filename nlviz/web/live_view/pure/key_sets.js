// Sets of keys, each query reaching those of one: the twin of nlviz/affinity/key_sets.py. Windows of
// a network, one place over time, grids of far cells, all before a token.

import { gridSize } from "./grid.js";

/** The support of kind key_sets; tokens without a place come first among queries as among keys. */
export function keySets({ set_of: setOf, runs }, queries, keys, prefix) {
  const size = gridSize(queries);
  const before = setOf.length - size; // queries without a place
  const sets = runs.map((set) => ({ set, cells: null, apart: null }));
  const used = Array.from(new Set(setOf.slice(before))).sort((a, b) => a - b);
  const groups = new Map(used.map((set, n) => [set, n]));
  const ofQuery = (query) => readSet(sets[setOf[before + query]], prefix);
  const whole = ({ shape: [, h, w] }, cells) => {
    const plane = h * w;
    if (!cells.length) return { a0: 0, a1: 0, b0: 0, b1: h, c0: 0, c1: w };
    return { a0: Math.floor(cells[0] / plane), a1: Math.floor(cells[cells.length - 1] / plane) + 1, b0: 0, b1: h, c0: 0, c1: w };
  };

  function cellsBack(key) {
    const has = sets.map((set) => inRuns(set.set, prefix + key));
    const found = [];
    for (let query = 0; query < size; query++) if (has[setOf[before + query]]) found.push(query);
    return Int32Array.from(found);
  }

  /** Where each group's keys begin in a list of all groups' keys. */
  const starts = new Int32Array(used.length + 1);
  used.forEach((set, g) => {
    starts[g + 1] = starts[g] + readSet(sets[set], prefix).cells.length;
  });

  /** Where a key of a group stands in that list. */
  function placeInGroup(g, key) {
    const own = readSet(sets[used[g]], prefix).cells;
    let [low, high] = [0, own.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (own[middle] < key) low = middle + 1;
      else high = middle;
    }
    return starts[g] + low;
  }

  const cells = (query) => ofQuery(query).cells;
  return {
    local: false,
    most: used.reduce((most, set) => Math.max(most, readSet(sets[set], prefix).cells.length), 0),
    cells,
    cellsBack,
    reached: (query) => whole(keys, cells(query)),
    reaching: (key) => whole(queries, cellsBack(key)),
    apart: () => [0, prefix],
    misses: (query, apart) => ofQuery(query).apart[apart] === 0,
    group: (query) => groups.get(setOf[before + query]),
    groups: used.length,
    placeInGroup,
    counted: (query) => ofQuery(query).count,
    choices: (key) => Array.from(cellsBack(key)).reduce((most, query) => Math.max(most, cells(query).length), 0),
  };
}

/** The cells of a set, read off its runs once. */
function readSet(kept, prefix) {
  if (kept.cells) return kept;
  kept.apart = new Uint8Array(prefix);
  const cells = [];
  kept.count = 0;
  for (let n = 0; n < kept.set.length; n += 2) {
    const [first, count] = [kept.set[n], kept.set[n + 1]];
    kept.count += count;
    for (let key = first; key < first + count; key++) {
      if (key < prefix) kept.apart[key] = 1;
      else cells.push(key - prefix);
    }
  }
  kept.cells = Int32Array.from(cells);
  return kept;
}

function inRuns(runs, key) {
  for (let n = 0; n < runs.length; n += 2) if (key >= runs[n] && key < runs[n] + runs[n + 1]) return true;
  return false;
}
