// From a query and a view to everything that is drawn: the row, its scale, its strongest keys.

import { clipFrame, gridSize, nearestToken, tokenCentre } from "./grid.js";
import { differenceRows } from "./difference_rows.js";
import { measure, scaleOf, skipOwn } from "./measure.js";
import { headsAsOne } from "./heads_as_one.js";
import { isText, lineOf } from "./pages.js";
import { fillWord, ownCell, wordsGiven } from "./words_asked.js";
import { askedPlace, tokenOf, wordOf } from "./state.js";
import { patchRows } from "./patch_rows.js";
import { roomFor, sideOf } from "./room.js";
import { embeddedRows } from "./rows.js";
import { anyOf, composedRows, crossRows } from "./several_rows.js";
import { isSimilarity } from "./similarity.js";
import { storedRows } from "./stored_rows.js";
import { gridOfBox, supportOf } from "./support.js";
import { windowRows } from "./window_rows.js";

/** How many values of a part are those of keys that are reached. */
function reachedIn(values, from, to) {
  let count = 0;
  for (let j = from; j < to; j++) if (!Number.isNaN(values[j])) count++;
  return count;
}

/**
 * Compute rows of a container, reusing arrays from call to call.
 * @param {Container} container
 * @returns {Engine}
 */
export function createEngine(container) {
  const { head, array } = container;
  const frames = head.clip.frames;
  // What several sources have in common is sent with the first of them.
  for (const spec of head.sources) {
    if (spec.support?.of) spec.support = head.sources.find(({ key }) => key === spec.support.of)?.support;
  }
  /** @type {Map<string, any>} */
  const sources = new Map();
  /** @type {Map<string, Rows>} */
  const parts = new Map();

  function source(key) {
    const spec = head.sources.find((s) => s.key === key) ?? head.sources[0];
    const known = sources.get(spec.key);
    if (known) return known;
    /** @type {Record<string, any>} */
    const made = { spec, support: spec.kind === "together" ? anyOf(partsOf(spec), spec.prefix ?? 0) : supportOf(spec), rows: rowsOf(spec), from: null, to: null, room: null };
    made.canColumn = made.rows !== null && made.rows.column !== null;
    if (made.support.local) made.room = roomFor(made.support.most, spec.keys.shape[0], frames);
    else made.from = sideOf(spec.keys, frames);
    if (made.canColumn) made.to = sideOf(spec.queries, frames);
    sources.set(spec.key, made);
    return made;
  }

  function rowsOf(spec) {
    if (spec.server) return null;
    if (spec.kind === "difference") return differenceRows(spec, source(spec.of).rows, array);
    if (spec.kind === "patch") return patchRows(spec, array);
    if (spec.kind === "together") return crossRows(spec, partsOf(spec));
    if (spec.kind === "in_turn") return composedRows(partsOf(spec));
    if (spec.kind === "stored") return storedRows(spec, array);
    return supportOf(spec).local ? windowRows(spec, array) : embeddedRows(spec, array);
  }

  /** The parts of a source that is made of several, those sent for it alone among them. */
  function partsOf(spec) {
    return spec.parts.map((part) => {
      if (part.of) return { ...source(part.of), along: part.along };
      let rows = parts.get(part.key);
      if (!rows) {
        rows = embeddedRows(part, array);
        parts.set(part.key, rows);
      }
      return { spec: part, rows, along: part.along };
    });
  }

  /** Row of a server source where the container carries it, else null. */
  function carriedRow(spec, token, view) {
    if (!spec.row || (spec.layers && spec.residual !== view.residual) || nearestToken(spec.queries, askedPlace(head.query)) !== token) return null;
    return array(spec.row);
  }

  function fill(made, side, token, view, column, box) {
    const { spec, rows } = made;
    if (rows) {
      const compute = column ? rows.column : rows.row;
      return compute(side.values, token, view.head, view.values, box);
    }
    const carried = carriedRow(spec, token, view);
    if (!carried) return null;
    const size = side.values.length;
    const heads = carried.data.length / size;
    headsAsOne(side.values, carried.data, { heads, each: size, at: 0 }, view.head);
    return { from: 0, to: size, logC: NaN, apart: spec.row_apart ? apartOf(array(spec.row_apart), view.head) : 0 };
  }

  /**
   * What goes to keys without a place, of (heads, keys) shares.
   * @param {Section} shares
   * @param {number | "mean" | "max"} head
   */
  function apartOf({ data, shape: [heads, prefix] }, head, at = 0, each = prefix) {
    const given = new Float32Array(prefix);
    headsAsOne(given, data, { heads, each, at }, head);
    return given.reduce((sum, share) => sum + share, 0);
  }

  /** The row of a token without a place: it came as it is, and no cell is its own. */
  function rowOfToken(made, n, view) {
    const { spec } = made;
    const side = made.from ?? sideOf(spec.keys, frames);
    made.from = side;
    const { data, shape: [heads, names, size] } = array(spec.token_rows);
    const given = array(spec.token_apart);
    const prefix = given.shape[2];
    headsAsOne(side.values, data, { heads, each: names * size, at: n * size }, view.head);
    const apart = apartOf({ data: given.data, shape: [heads, prefix] }, view.head, n * prefix, names * prefix);
    const result = /** @type {Result} */ ({
      waiting: false, spec, token: 0, asked: spec.queries, column: false, logits: false, own: -1, box: null,
      side, grid: side.grid, values: side.values, logC: NaN, from: 0, to: size, skipFrom: 0, skipTo: 0,
      apart, leftOut: "nothing", excluded: 0, signed: spec.signed, difference: false,
      balanced: false, named: spec.tokens[n],
    });
    return finished(result, reachedIn(side.values, 0, size), view);
  }

  /** Measures a row whose keys, or queries, are `choices` in number for each that has one. */
  function finished(result, choices, view) {
    result.uniform = 1 / Math.max(1, choices);
    const skipped = reachedIn(result.values, result.skipFrom, result.skipTo);
    result.count = reachedIn(result.values, result.from, result.to) - skipped;
    measure(result, view);
    result.scale = scaleOf(result, view);
    return result;
  }

  /** The row of a word beside the pictures, or the column of one: what is asked for stands in no frame. */
  function rowOfWord(made, word, view) {
    const { spec } = made;
    const column = view.direction === "to";
    const [asked, grid] = column ? [spec.keys, spec.queries] : [spec.queries, spec.keys];
    const { words: name } = /** @type {any} */ (lineOf(asked));
    const waits = /** @type {Result} */ (/** @type {unknown} */ ({ waiting: true, spec, token: 0, asked, named: { name: name[word], own: false, word } }));
    const side = column ? made.to ?? sideOf(grid, frames) : made.from ?? sideOf(grid, frames);
    if (column) made.to = side;
    else made.from = side;
    const ofLine = asked.kind === "line";
    const words = grid.line ? new Float32Array(grid.line.words.length) : null;
    const filled = fillWord(made, { word, view, grid, values: side.values, words }, array);
    if (!filled) return waits;
    const logits = isSimilarity(spec) || (view.values === "logits" && !spec.word_rows && spec.kind !== "stored");
    const shown = lineOf(grid);
    const own = shown && shown.words.length === name.length && shown.words[word] === name[word] ? word : -1;
    const result = /** @type {Result} */ ({
      waiting: false, spec, token: ofLine ? word : 0, asked, column, logits, own: grid.kind === "line" ? own : -1, box: null,
      side, grid: side.grid, values: side.values, logC: filled.logC, from: filled.from, to: filled.to, skipFrom: 0, skipTo: 0,
      apart: filled.apart, leftOut: "nothing", excluded: 0, signed: spec.signed, difference: Boolean(spec.difference), balanced: false,
      named: { name: name[word], own: false, word }, words, ownWord: grid.kind === "line" ? -1 : own,
    });
    return finished(result, isSimilarity(spec) ? 1 : column ? gridSize(spec.keys) : reachedIn(side.values, filled.from, filled.to), view);
  }

  function compute(query, view) {
    const made = source(view.source);
    const { spec, support } = made;
    const onFilm = !isText(head);
    let word = wordOf(spec, view, query);
    // Where words alone ask of pictures, the n-th is the place x = n, as in Python.
    const wanted = view.direction === "to" ? spec.keys : spec.queries;
    if (onFilm && word < 0 && query.word === undefined && wanted.kind === "line") word = nearestToken(wanted, query);
    if (word >= 0 && (onFilm || view.token)) {
      if (onFilm) return rowOfWord(made, word, view);
      if (wanted.kind === "line") return compute({ ...tokenCentre(wanted, word), word: -1 }, view);
    }
    const named = query.word === -1 ? -1 : tokenOf(spec, view);
    if (named >= 0 && spec.token_rows && !(spec.layers && spec.residual !== view.residual)) return rowOfToken(made, named, view);
    if (named >= 0) return /** @type {Result} */ ({ waiting: true, spec, token: 0, asked: spec.queries });
    // Where words alone ask, a place of the pictures is a key: who looks at it?
    const keyOnly = onFilm && spec.queries.kind === "line" && query.word === -1 && spec.keys.kind !== "line";
    const column = (view.direction === "to" || keyOnly) && made.canColumn;
    const asked = column ? spec.keys : spec.queries;
    const token = nearestToken(asked, askedPlace(query));
    // A window is a grid of its own, so that nothing below passes over the rest.
    const box = support.local ? support.reached(token) : null;
    const side = box ? sideOf(gridOfBox(spec.keys, box), frames, made.room) : column ? made.to : made.from;
    const filled = fill(made, side, token, view, column, box);
    if (!filled) return /** @type {Result} */ ({ waiting: true, spec, token, asked });
    // Similarities are shown as logits are: as they are, without shares of a whole.
    const alike = isSimilarity(spec);
    const raw = view.values === "logits" && !spec.server && !spec.difference && !spec.parts && spec.kind !== "stored";
    const logits = alike || raw;
    const own = spec.across ? -1 : ownCell(asked, token, side.grid);
    let words = column ? null : wordsGiven(spec.keys, filled, support, token);
    if (column && spec.queries.line && made.rows?.words?.at) {
      words = new Float32Array(spec.queries.line.words.length);
      made.rows.words.at(words, token + (spec.prefix ?? 0), view.head, view.values);
    }
    const result = /** @type {Result} */ ({
      waiting: false, spec, token, asked, column, logits, own, box,
      side, grid: side.grid, values: side.values, logC: filled.logC,
      from: filled.from, to: filled.to, skipFrom: 0, skipTo: 0,
      // What goes to keys without a place: class token, registers.
      apart: filled.apart,
      parts: filled.parts ?? null,
      words, ownWord: -1,
      leftOut: view.leave_out, excluded: 0, signed: spec.signed, difference: Boolean(spec.difference),
      // Differences of rows that sum to 1 sum to 0: what one key gains another loses.
      balanced: Boolean(spec.balanced) && !column && (view.head !== "max" || spec.heads === 1),
    });
    skipOwn(result, view.leave_out);
    const reached = reachedIn(result.values, result.from, result.to);
    const left = reached - reachedIn(result.values, result.skipFrom, result.skipTo);
    return finished(result, alike ? 1 : column ? support.choices(token) : result.difference ? reached : left, view);
  }

  /** Whether the row of a word can be asked for here. */
  function hasWord(view) {
    const { spec, rows } = source(view.source);
    const column = view.direction === "to";
    const asked = column ? spec.keys : spec.queries;
    if (asked.kind === "line") return rows !== null && (!column || rows.column !== null);
    if (column) return Boolean(rows?.words?.column);
    return Boolean(rows?.words || spec.word_rows);
  }

  /** Frame of the clip in which a token of the map is shown. */
  const frameOf = (result, index) => clipFrame(result.grid, index, frames);

  return { head, array, source, compute, frameOf, hasWord };
}
