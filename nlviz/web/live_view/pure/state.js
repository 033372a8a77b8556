// Display options and the query that is hovered, pinned or resting, as data. Defaults and choices
// come with the header, made from nlviz.views.display.

import { lineOf, wordNamed } from "./pages.js";
import { isPainting } from "./painted.js";

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/**
 * Whether a view may hold this value in this field.
 * @param {string} field
 * @param {any} value
 * @param {Display} display
 * @param {string[]} sources keys of the sources
 */
function allowed(field, value, display, sources) {
  const { choices, most_links: mostLinks } = display;
  if (field in choices) return choices[field].includes(value);
  switch (field) {
    case "source":
      return sources.includes(value);
    case "head":
      return value === "mean" || value === "max" || (Number.isInteger(value) && value >= 0);
    case "links":
      return Number.isInteger(value) && value >= 0 && value <= mostLinks;
    case "strength":
      return isNumber(value) && value >= 0 && value <= 1;
    case "residual":
      return isNumber(value) && value >= 0 && value < 1;
    case "token":
      return typeof value === "string" && value.length <= 60;
    case "painted":
      return isPainting(value);
    case "top":
      return value === null || (isNumber(value) && value > 0);
    default:
      return false;
  }
}

/**
 * A view with the valid fields of `change` taken over; unknown fields and values are ignored.
 * @param {View} view
 * @param {Partial<View>|null|undefined} change
 * @param {Display} display
 * @param {string[]} sources
 * @returns {View}
 */
export function mergedView(view, change, display, sources) {
  const next = { ...view };
  for (const [field, value] of Object.entries(change ?? {})) {
    if (allowed(field, value, display, sources)) next[field] = value;
  }
  if (!sources.includes(next.source)) [next.source] = sources;
  return next;
}

/**
 * Whether no query has a place: a class token asks, or what a decoder looks for.
 * @param {Pick<Spec, "queries" | "keys" | "tokens">} spec
 */
export const asksWithoutPlace = ({ queries, keys, tokens }) => (tokens ?? []).length > 0
  && queries.shape[1] * queries.shape[2] === 1 && (queries.shape[0] === 1 || keys.shape[1] * keys.shape[2] > 1);

/**
 * The token without a place whose row a view shows, as an index of the source's tokens, or -1; where
 * none but tokens ask, the first.
 * @param {Spec} spec
 * @param {{token?: string}} view
 */
export function tokenOf(spec, view) {
  const found = view.token ? (spec.tokens ?? []).findIndex(({ name }) => name === view.token) : -1;
  return found < 0 && spec.token_rows && asksWithoutPlace(spec) ? 0 : found;
}

/**
 * The word that asks, or of whose key the column is shown, as a number among the words of the queries
 * or of the keys, or -1: the one under the pointer, else the one that the view names.
 * @param {Spec} spec
 * @param {View} view
 * @param {Query} query
 */
export function wordOf(spec, view, query) {
  if (query.word !== undefined) return query.word;
  const line = lineOf(view.direction === "to" ? spec.keys : spec.queries);
  return line && view.token ? wordNamed(line.words, view.token) : -1;
}

/**
 * Query on the screen: hovered, else pinned, else where the reader last was.
 * @param {State} state
 */
export function activeQuery(state) {
  if (state.reading) return state.pinned ?? state.resting;
  return state.hovered ?? state.pinned ?? state.resting;
}

/**
 * Where a query asks: in the clip that is shown, or in another one whose queries ask its keys.
 * @param {Query} query
 * @returns {{frame: number, y: number, x: number}}
 */
export const askedPlace = (query) => query.across ?? query;

export function sameQuery(a, b) {
  if (!a || !b) return a === b;
  const [p, q] = [askedPlace(a), askedPlace(b)];
  return p.frame === q.frame && p.y === q.y && p.x === q.x && a.word === b.word;
}

/**
 * Frame that is drawn large: the one the reader asked for, else the query's.
 * @param {State} state
 */
export function largeFrame(state) {
  return state.large ?? activeQuery(state).frame;
}

/**
 * What the page, tests and style sheets can read off the element.
 * @param {HTMLElement} element
 * @param {Query} query
 * @param {State} state
 * @param {string} source
 * @param {number} word that asks, or -1
 */
export function describe({ dataset }, query, state, source, word = -1) {
  dataset.query = `${query.frame},${Math.round(query.y)},${Math.round(query.x)}`;
  if (word >= 0) dataset.word = String(word);
  else delete dataset.word;
  dataset.pinned = String(state.pinned !== null);
  dataset.hovering = String(state.hovered !== null);
  dataset.source = source;
  dataset.waiting = String(Boolean(state.waiting));
}
