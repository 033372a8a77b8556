// Words: in which text they stand, which of them ask, and which are asked. Python counts characters,
// a browser counts units of UTF-16: spans are turned into these here, and nowhere else.

/** @typedef {{words: string[], spans?: [number, number][], special?: number[]}} Line */
/**
 * @typedef {object} Page a text, and the tokens that lie on it
 * @property {string} text
 * @property {Tokens} base what chips are drawn for
 * @typedef {object} Tokens
 * @property {string[]} words
 * @property {Int32Array} start in units of UTF-16
 * @property {Int32Array} end
 * @property {Set<number>} special numbers of those that are no part of what was written
 */

/** The words among the tokens of a grid: all of them, those without a place, or null. */
export const lineOf = (grid) => (grid.kind === "line" ? grid : grid.line ?? null);

/** Whether a view shows a text alone, without pictures. */
export const isText = ({ pictures }) => pictures?.kind === "text";

/** Whether a source has words among its queries or keys. */
export const hasWords = ({ queries, keys }) => lineOf(queries) !== null || lineOf(keys) !== null;

/** Units of UTF-16 before each character, and behind the last. */
function unitsOf(text) {
  const units = [0];
  for (const sign of text) units.push(units[units.length - 1] + sign.length);
  return units;
}

const looksSpecial = (word) => /^(<[^<>\s]+>|\[[A-Z_]+\])$/.test(word);

/**
 * @param {string} text
 * @param {Words} line
 * @returns {Tokens}
 */
function tokensOn(text, { words, spans, special }) {
  const units = unitsOf(text);
  const at = (n) => units[Math.min(Math.max(n, 0), units.length - 1)];
  const pairs = spans ?? [];
  return {
    words,
    start: Int32Array.from(pairs, ([from]) => at(from)),
    end: Int32Array.from(pairs, ([, to]) => at(to)),
    special: new Set(special ?? [...words.keys()].filter((n) => looksSpecial(words[n]))),
  };
}

/** Words with spaces between them, where their text is not known. */
function spelled(words) {
  /** @type {[number, number][]} */
  const spans = [];
  let at = 0;
  for (const word of words) {
    const long = [...word].length;
    spans.push([at, at + long]);
    at += long + 1;
  }
  return { text: words.join(" "), spans };
}

/** Whether tokens of a line are tokens of a text, or several of them merged into one. */
function liesOn({ words, spans, stride }, whole) {
  if (!spans || spans.length !== words.length) return false;
  const known = new Set(whole.tokens.map((word, n) => `${whole.spans[n]} ${word}`));
  if (spans.every((span, n) => known.has(`${span} ${words[n]}`))) return true;
  const [starts, ends] = [0, 1].map((side) => new Set(whole.spans.map((span) => span[side])));
  return (stride?.[2] ?? 1) > 1 && spans.every(([from, to]) => starts.has(from) && ends.has(to));
}

const sameLine = (a, b) => a.words.length === b.words.length && a.words.every((word, n) => word === b.words[n])
  && String(a.spans) === String(b.spans);

/**
 * The text that a network was given, where it is known.
 * @param {Head} head
 */
function wholeText({ text, clip }) {
  if (text) return text;
  const { text: own, tokens = [], spans = [], special } = clip;
  return own === undefined ? null : { text: own, tokens, spans, special };
}

/**
 * The texts of a source, one or two, and the tokens on them.
 * @param {Head} head
 * @param {Spec} spec
 * @returns {{pages: Page[], asking: {page: number, tokens: Tokens}|null, asked: {page: number, tokens: Tokens}|null}}
 *   asking: the queries that are words; asked: the keys that are
 */
export function pagesOf(head, { queries, keys }) {
  const known = pagesBySpec.get(queries)?.get(keys);
  if (known) return known;
  const whole = wholeText(head);
  const lines = [lineOf(queries), lineOf(keys)];
  /** @type {Page[]} */
  const pages = [];
  /** @type {{line: any, page: number}[]} */
  const made = [];
  let wholePage = -1;
  const found = lines.map((line) => {
    if (!line) return null;
    if (whole && liesOn(line, whole)) {
      if (wholePage < 0) wholePage = pages.push({ text: whole.text, base: tokensOn(whole.text, { ...whole, words: whole.tokens }) }) - 1;
      return { page: wholePage, tokens: tokensOn(whole.text, line) };
    }
    const same = made.find((other) => sameLine(other.line, line));
    const { text, spans } = spelled(line.words);
    const tokens = tokensOn(text, { ...line, spans });
    if (same) return { page: same.page, tokens };
    made.push({ line, page: pages.push({ text, base: tokens }) - 1 });
    return { page: pages.length - 1, tokens };
  });
  const result = { pages, asking: found[0], asked: found[1] };
  const byKeys = pagesBySpec.get(queries) ?? new WeakMap();
  byKeys.set(keys, result);
  pagesBySpec.set(queries, byKeys);
  return result;
}

/** @type {WeakMap<Grid, WeakMap<Grid, any>>} */
const pagesBySpec = new WeakMap();

const MOST_NAME = 60; // characters of a token's name in a view

/** A word as a view names it: number and name, so that repeated words are told apart. */
export function wordAddress(words, n) {
  const address = `${n}:${words[n]}`;
  return address.length <= MOST_NAME ? address : String(n);
}

/** The number of the word that a view names, or -1. */
export function wordNamed(words, name) {
  const [, number, rest] = /^(\d+):(.*)$/s.exec(name) ?? [];
  if (number !== undefined && words[Number(number)] === rest) return Number(number);
  const found = [...words.keys()].filter((n) => words[n] === name);
  if (found.length === 1) return found[0];
  return found.length === 0 && /^\d+$/.test(name) && Number(name) < words.length ? Number(name) : -1;
}

/** Where the words before it end and those behind it begin: a word of a right-to-left script? */
export const isRightToLeft = (text) => /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u.test(text);

const SHORT_NAME = 24;

/** A word in a sentence: quoted, kept apart from the direction of what surrounds it. */
export function quoted(word) {
  const unseen = /[\r\n]/.test(word) ? "line break" : { "\t": "tab", "": "nothing" }[word] ?? "space";
  const plain = word.trim() || unseen;
  const signs = [...plain.replace(/\s+/g, " ")];
  const short = signs.length > SHORT_NAME ? `${signs.slice(0, SHORT_NAME - 1).join("")}…` : signs.join("");
  return `\u2068“${short}”\u2069`;
}

/** @type {WeakMap<string[], Map<string, number>>} */
const countsOf = new WeakMap();

/** A word of a line; the number stands behind it where the line has it several times. */
export function wordText({ words }, n) {
  let counts = countsOf.get(words);
  if (!counts) {
    counts = new Map();
    for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
    countsOf.set(words, counts);
  }
  return `${quoted(words[n])}${(counts.get(words[n]) ?? 0) > 1 ? ` (${n})` : ""}`;
}
