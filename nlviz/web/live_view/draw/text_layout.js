// A text laid out by the browser, so that every script is shaped right, and where its tokens lie in it.

import { element } from "../../shared/dom.js";
import { isRightToLeft } from "../pure/pages.js";

const THINNEST = 1.5; // CSS pixels; what is thinner shares the box of its neighbour
const LINE_BREAK = /^[\r\n]+$/;
const BREAK_SIGN = /^[⏎↵\n]$/; // what a line break is called where it stands for no character

/**
 * Rectangles of the tokens of a text, in CSS pixels of the element that holds it. Token n has those
 * from `first[n]` up to `first[n + 1]`: several where it goes on in another line.
 * @typedef {object} Laid
 * @property {Int32Array} first
 * @property {Float32Array} box left, top, width, height of each
 */

/**
 * Lay out the text of a page. Tokens that stand for no character, and line breaks, are chips.
 * @param {import("../pure/pages.js").Page} page
 */
export function layText({ text, base }) {
  const node = element("div", { class: "nlv-text" });
  /** @type {{node: Text, from: number, to: number}[]} */
  const parts = [];
  /** @type {Map<string, HTMLElement[]>} */
  const chips = new Map();
  const order = [...base.words.keys()].filter((n) => isChip(base, n))
    .sort((a, b) => base.start[a] - base.start[b] || a - b);
  let at = 0;
  const write = (to) => {
    if (to <= at) return;
    const part = document.createTextNode(text.slice(at, to));
    parts.push({ node: part, from: at, to });
    node.append(part);
    at = to;
  };
  for (const n of order) {
    // The sign of a line break ends its line rather than begin the next.
    const back = BREAK_SIGN.test(base.words[n].trim()) && text[base.start[n] - 1] === "\n" && at < base.start[n];
    write(base.start[n] - (back ? 1 : 0));
    const word = base.start[n] === base.end[n] ? base.words[n].trim() || "·" : "↵";
    const chip = element("span", { class: "nlv-word-chip", text: word, dir: "auto" });
    node.append(chip);
    const key = chipKey(base, n);
    chips.set(key, [...chips.get(key) ?? [], chip]);
  }
  write(text.length);

  /** Whether a token is drawn as a chip. */
  function isChip({ start, end }, n) {
    return start[n] >= end[n] || LINE_BREAK.test(text.slice(start[n], end[n]));
  }

  function chipKey({ words, start, end }, n) {
    return `${start[n]} ${end[n] - start[n]} ${words[n]}`;
  }

  /** Text node that holds a place of the text, and the place in it. */
  function placeIn(place, back) {
    let [low, high] = [0, parts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (parts[middle].from < place || (!back && parts[middle].from === place)) low = middle;
      else high = middle - 1;
    }
    return [parts[low].node, Math.min(place, parts[low].to) - parts[low].from];
  }

  /** The characters of a token without the spaces around them, where there is more to it. */
  function inked({ start, end }, n) {
    const own = text.slice(start[n], end[n]);
    const inner = own.trim();
    if (!inner) return [start[n], end[n]];
    const lead = own.indexOf(inner);
    return [start[n] + lead, start[n] + lead + inner.length];
  }

  /** The range of a token in the page, or null for a chip. */
  function rangeOf(tokens, n) {
    if (isChip(tokens, n) || !parts.length) return null;
    const [from, to] = inked(tokens, n);
    const range = document.createRange();
    const [first, a] = placeIn(from, false);
    const [last, b] = placeIn(to, true);
    range.setStart(/** @type {Text} */ (first), /** @type {number} */ (a));
    range.setEnd(/** @type {Text} */ (last), /** @type {number} */ (b));
    return range;
  }

  /**
   * Where tokens lie now.
   * @param {import("../pure/pages.js").Tokens} tokens
   * @returns {Laid}
   */
  function measure(tokens) {
    const home = node.getBoundingClientRect();
    const first = new Int32Array(tokens.words.length + 1);
    /** @type {number[]} */
    const box = [];
    const used = new Map();
    for (let n = 0; n < tokens.words.length; n++) {
      first[n] = box.length / 4;
      const range = rangeOf(tokens, n);
      const key = chipKey(tokens, n);
      const turn = used.get(key) ?? 0;
      if (!range) used.set(key, turn + 1);
      const rects = range ? range.getClientRects() : chips.get(key)?.[turn]?.getClientRects() ?? [];
      for (const { left, top, width, height } of rects) box.push(left - home.left, top - home.top, width, height);
      if (box.length / 4 === first[n]) box.push(0, -1, 0, 0);
    }
    first[tokens.words.length] = box.length / 4;
    const laid = { first, box: Float32Array.from(box) };
    shareBoxes(laid, tokens, (n) => text.slice(tokens.start[n], tokens.end[n]));
    return laid;
  }

  /** The chip of a token, or null. */
  function chipOf(tokens, n) {
    const key = chipKey(tokens, n);
    let turn = 0;
    for (let other = 0; other < n; other++) if (chipKey(tokens, other) === key) turn++;
    return chips.get(key)?.[turn] ?? null;
  }

  return { element: node, measure, rangeOf, chipOf };
}

/**
 * Tokens within one sign (bytes of an emoji, a mark over a letter, a half of a ligature) have no width
 * of their own, or all the same box: they share it, in the direction in which it is read.
 * @param {Laid} laid
 * @param {import("../pure/pages.js").Tokens} tokens
 * @param {(n: number) => string} textOf
 */
export function shareBoxes({ first, box }, { start, end }, textOf) {
  const same = (a, b) => start[a] < end[b] && start[b] < end[a];
  const thin = (n) => box[4 * first[n] + 2] < THINNEST && start[n] < end[n] && textOf(n).trim() !== "";
  const touches = (a, b) => {
    const [p, q] = [4 * (first[a + 1] - 1), 4 * first[b]];
    return Math.abs(box[p + 1] - box[q + 1]) < 2 && box[q] <= box[p] + box[p + 2] + 1 && box[q] + box[q + 2] >= box[p] - 1;
  };
  for (let n = 0; n < start.length;) {
    let to = n + 1;
    while (to < start.length && start[to] < end[to] && start[n] < end[n] && (same(to - 1, to) || thin(to) || (thin(n) && to === n + 1)) && touches(to - 1, to)) to++;
    const count = to - n;
    if (count > 1) {
      const all = Array.from({ length: count }, (_, i) => 4 * first[n + i]);
      const left = Math.min(...all.map((at) => box[at]));
      const right = Math.max(...all.map((at) => box[at] + box[at + 2]));
      const backwards = isRightToLeft(textOf(n));
      all.forEach((at, i) => {
        const turn = backwards ? count - 1 - i : i;
        box[at] = left + ((right - left) * turn) / count;
        box[at + 2] = (right - left) / count;
      });
    }
    n = to;
  }
}

/** The token whose box holds a place, else the nearest of the same line, or -1 far from all. */
export function tokenAt({ first, box }, x, y) {
  let best = -1;
  let least = 14;
  for (let n = 0; n + 1 < first.length; n++) {
    for (let i = first[n]; i < first[n + 1]; i++) {
      const at = 4 * i;
      if (y < box[at + 1] - 6 || y > box[at + 1] + box[at + 3] + 6) continue;
      const away = Math.max(box[at] - x, x - box[at] - box[at + 2], 0) + Math.max(box[at + 1] - y, y - box[at + 1] - box[at + 3], 0);
      if (away < least) [best, least] = [n, away];
    }
  }
  return best;
}

/**
 * The token that an arrow key goes to: left and right are those of the eye, so that they follow the
 * direction of the text.
 * @param {Laid} laid
 * @param {number} n
 * @param {{dx?: number, dy?: number}} step
 * @param {boolean} backwards whether the text around is read from right to left
 */
export function tokenBeside({ first, box }, n, { dx = 0, dy = 0 }, backwards) {
  const last = first.length - 2;
  const at = 4 * first[n];
  if (dx) {
    for (const to of [n + 1, n - 1]) {
      if (to < 0 || to > last) continue;
      const [own, there] = to > n ? [4 * (first[n + 1] - 1), 4 * first[to]] : [at, 4 * (first[to + 1] - 1)];
      const line = Math.abs(box[own + 1] + box[own + 3] / 2 - box[there + 1] - box[there + 3] / 2) < box[own + 3] / 2;
      if (line && Math.sign(box[there] + box[there + 2] / 2 - box[own] - box[own + 2] / 2) === Math.sign(dx)) return to;
    }
    const forward = Math.sign(dx) * (backwards ? -1 : 1);
    return Math.min(Math.max(n + forward, 0), last);
  }
  const [middle, line] = [box[at] + box[at + 2] / 2, box[at + 1] + box[at + 3] / 2];
  let best = n;
  let least = Infinity;
  for (let to = 0; to <= last; to++) {
    const there = 4 * first[to];
    const far = (box[there + 1] + box[there + 3] / 2 - line) * dy;
    if (far < box[at + 3] / 2) continue;
    const away = 40 * far + Math.max(box[there] - middle, middle - box[there] - box[there + 2], 0);
    if (away < least) [best, least] = [to, away];
  }
  return best;
}
