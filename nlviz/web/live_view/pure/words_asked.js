// Words that ask, or are asked, beside the cells of pictures.

import { nearestToken, tokenCentre } from "./grid.js";
import { headsAsOne } from "./heads_as_one.js";
import { isPlaced } from "./placed.js";

/**
 * The cell of a grid that is the token asked for, or -1: words of another text, boxes and nodes are
 * themselves alone.
 */
export function ownCell(asked, token, grid) {
  if (asked === grid) return token;
  if ((asked.kind === "line") !== (grid.kind === "line")) return -1;
  if (isPlaced(asked) || isPlaced(grid)) return asked.kind === grid.kind && asked.shape[2] === grid.shape[2] ? token : -1;
  const nearest = nearestToken(grid, tokenCentre(asked, token));
  if (grid.kind !== "line") return nearest;
  const [[a, b], [c, d]] = [asked.spans?.[token] ?? [0, 0], grid.spans?.[nearest] ?? [0, 0]];
  const overlaps = a === b || c === d ? asked.words[token] === grid.words[nearest] : a < d && c < b;
  return overlaps && (asked.shape[2] !== grid.shape[2] || asked.words[token] === grid.words[nearest]) ? nearest : -1;
}

/**
 * What a row gives to words without a place, NaN for those it does not reach; null where they are none.
 * @returns {Float32Array|null}
 */
export function wordsGiven(grid, filled, support, token) {
  if (!grid.line || !filled.given) return null;
  const words = Float32Array.from(filled.given);
  const [a, b] = support.apart(token);
  for (let n = 0; n < words.length; n++) if (n < a || n >= b || support.misses?.(token, n)) words[n] = NaN;
  return words;
}

/** The row of a word that came as it is. */
function storedWord(spec, values, words, word, view, array) {
  const { data, shape: [heads, all, size] } = array(spec.word_rows);
  headsAsOne(values, data, { heads, each: all * size, at: word * size }, view.head);
  const given = array(spec.word_apart);
  const prefix = given.shape[2];
  const to = words ?? new Float32Array(prefix);
  headsAsOne(to, given.data, { heads, each: all * prefix, at: word * prefix }, view.head);
  return { from: 0, to: values.length, logC: NaN, apart: to.reduce((sum, share) => sum + (share || 0), 0) };
}

/**
 * Fill in the row of a word, or the column of one.
 * @param {any} made source of the engine
 * @param {{word: number, view: View, grid: Grid, values: Float32Array, words: Float32Array|null}} into
 *   values of cells of the grid, and of its words without a place
 * @param {ArrayOf} array
 * @returns {Filled|null} null where it cannot be computed here
 */
export function fillWord({ spec, rows, support }, { word, view, grid, values, words }, array) {
  const column = view.direction === "to";
  const asked = column ? spec.keys : spec.queries;
  if (asked.kind === "line") {
    // Words alone ask, or are asked: they are cells of a grid of their own.
    const compute = support.local ? null : column ? rows?.column : rows?.row;
    const filled = compute ? compute(values, word, view.head, view.values, null) : null;
    if (filled && words) words.set(wordsGiven(grid, filled, support, word) ?? words.fill(NaN));
    return filled;
  }
  if (!column && rows?.words) {
    return rows.words.row(values, words ?? new Float32Array(spec.prefix), word, view.head, view.values);
  }
  if (column && rows?.words?.column) {
    if (words) rows.words.at(words, word, view.head, view.values);
    return rows.words.column(values, word, view.head, view.values);
  }
  const stored = spec.word_rows && !column && view.values !== "logits";
  return stored ? storedWord(spec, values, words, word, view, array) : null;
}
