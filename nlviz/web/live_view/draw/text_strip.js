// One text in a box that scrolls: words as the browser sets them, the row as colour behind them.

import { contextOf, element } from "../../shared/dom.js";
import { shareOf } from "../pure/colour.js";
import { fitCanvas } from "./marks.js";
import { layText, tokenAt } from "./text_layout.js";

const BEYOND = 0.75; // share of the box's height that is painted above and below it, for scrolling
const SPARSE = 60; // words up to which lines stand far apart, with room for arcs
const INK = "nlv-ink"; // name of the highlight in the style sheet
const PAD = 1.5;

/** The ranges whose ink is the other one; one set for all views of a page. */
function inkRanges() {
  const { highlights } = /** @type {any} */ (CSS);
  const Made = /** @type {any} */ (window).Highlight;
  if (!highlights || !Made) return null;
  const known = highlights.get(INK) ?? new Made();
  highlights.set(INK, known);
  return known;
}

/**
 * Build a strip.
 * @param {import("../pure/pages.js").Page} page
 * @param {{label: string, onScroll: () => void, signal: AbortSignal}} options
 */
export function createTextStrip(page, { label, onScroll, signal }) {
  const text = layText(page);
  const ground = element("canvas", { class: "nlv-words-ground", "aria-hidden": "true" });
  const sheet = element("div", { class: "nlv-sheet" }, ground, text.element);
  const scroller = element("div", { class: "nlv-words", tabindex: "0", role: "group", "aria-label": label }, sheet);
  scroller.classList.toggle("nlv-sparse", page.base.words.length <= SPARSE);
  const context = contextOf(ground);
  const inks = inkRanges();
  /** @type {Map<import("../pure/pages.js").Tokens, any>} */
  const laid = new Map();
  /** @type {Map<number, any>} */
  const ranges = new Map();
  /** @type {any} */
  let painted = null;
  let top = 0;
  let tall = 0;
  /** @type {CanvasPattern|null} */
  let stripes = null;

  scroller.addEventListener("scroll", () => {
    if (painted && (scroller.scrollTop < top || scroller.scrollTop + scroller.clientHeight > top + tall)) place();
    onScroll();
  }, { signal, passive: true });
  signal.addEventListener("abort", () => {
    for (const { range } of ranges.values()) if (range) inks?.delete(range);
    ranges.clear();
  });

  /** Fit the box: no higher than this, no wider than what it lies in. */
  function resize(width, maxHeight) {
    scroller.style.width = `${width}px`;
    scroller.style.maxHeight = `${maxHeight}px`;
    laid.clear();
  }

  /** Where tokens lie on the sheet; found once for each layout. */
  function laidOut(tokens) {
    let found = laid.get(tokens);
    if (!found) {
      found = text.measure(tokens);
      const offset = [text.element.offsetLeft, text.element.offsetTop];
      for (let i = 0; i < found.box.length; i += 4) {
        found.box[i] += offset[0];
        found.box[i + 1] += offset[1];
      }
      laid.set(tokens, found);
    }
    return found;
  }

  /**
   * Paint the weights of tokens.
   * @param {import("../pure/pages.js").Tokens|null} tokens null clears the sheet
   * @param {any} what values, from, to, skipFrom, skipTo, scale; fills and other of inksOf
   */
  function paint(tokens, what) {
    painted = tokens && { tokens, ...what };
    place();
  }

  /** Put the canvas behind what is to be seen, and paint it. */
  function place() {
    const high = scroller.clientHeight;
    const whole = Math.max(sheet.offsetHeight, 1);
    const beyond = Math.round(BEYOND * high);
    top = Math.max(0, scroller.scrollTop - beyond);
    tall = Math.min(whole, scroller.scrollTop + high + beyond) - top;
    const wide = sheet.offsetWidth;
    if (!wide || tall <= 0) return;
    fitCanvas(ground, wide, tall);
    ground.style.width = `${wide}px`;
    ground.style.height = `${tall}px`;
    ground.style.transform = `translateY(${top}px)`;
    const ratio = ground.width / wide;
    context.setTransform(ratio, 0, 0, ratio, 0, -top * ratio);
    context.clearRect(0, top, wide, tall);
    if (painted) fill();
    else reink(new Set());
  }

  function fill() {
    const { tokens, values, from, to, skipFrom, skipTo, scale, fills, other } = painted;
    const { first, box } = laidOut(tokens);
    const end = top + tall;
    /** @type {Set<number>} */
    const inked = new Set();
    for (let n = 0; n + 1 < first.length; n++) {
      const at = 4 * first[n];
      if (box[at + 1] > end || box[4 * (first[n + 1] - 1) + 1] + 80 < top) continue;
      const value = values[n];
      const outside = n < from || n >= to || Number.isNaN(value);
      const hidden = n >= skipFrom && n < skipTo;
      const step = outside || hidden ? 0 : Math.round(255 * shareOf(value, scale));
      context.fillStyle = outside || hidden ? striped(hidden) : fills[step];
      for (let i = first[n]; i < first[n + 1]; i++) {
        const [x, y, w, h] = box.subarray(4 * i, 4 * i + 4);
        if (w > 0 && h > 0) context.fillRect(x - (w > 4 ? PAD : 0), y, w + (w > 4 ? 2 * PAD : 0), h);
      }
      if (!outside && !hidden && other[step]) inked.add(n);
    }
    reink(inked);
  }

  /** Let these words be written in the other ink. */
  function reink(inked) {
    for (const [n, { range, chip, tokens }] of ranges) {
      if (inked.has(n) && tokens === painted?.tokens) continue;
      if (range) inks?.delete(range);
      chip?.classList.remove("nlv-inked");
      ranges.delete(n);
    }
    for (const n of inked) {
      if (ranges.has(n)) continue;
      const { tokens } = painted;
      const range = text.rangeOf(tokens, n);
      const chip = range ? null : text.chipOf(tokens, n);
      if (range) inks?.add(range);
      chip?.classList.add("nlv-inked");
      ranges.set(n, { range, chip, tokens });
    }
  }

  /** Stripes of words that are not reached, wider apart where one is hidden. */
  function striped(hidden) {
    if (hidden) return "rgb(128 128 128 / 0.35)";
    if (stripes) return stripes;
    const side = 8;
    const tile = element("canvas", { width: side, height: side });
    const lines = contextOf(tile);
    lines.strokeStyle = "rgb(128 128 128 / 0.42)";
    lines.lineWidth = 1;
    for (const shift of [-side, 0, side]) {
      lines.beginPath();
      lines.moveTo(shift - 1, side + 1);
      lines.lineTo(shift + side + 1, -1);
      lines.stroke();
    }
    stripes = context.createPattern(tile, "repeat");
    return stripes ?? "transparent";
  }

  /** The token at a point of the window, or -1. */
  function at(tokens, clientX, clientY) {
    const home = sheet.getBoundingClientRect();
    return tokenAt(laidOut(tokens), clientX - home.left, clientY - home.top);
  }

  /** Boxes of a token in the pixels of an element that holds the strip; null where it is scrolled away. */
  function boxesIn(tokens, n, holder) {
    const { first, box } = laidOut(tokens);
    const found = [];
    const [dx, dy] = [scroller.offsetLeft - scroller.scrollLeft + scroller.clientLeft, scroller.offsetTop - scroller.scrollTop + scroller.clientTop];
    const more = holder ?? { x: 0, y: 0 };
    for (let i = first[n]; i < first[n + 1]; i++) {
      found.push({ x: box[4 * i] + dx + more.x, y: box[4 * i + 1] + dy + more.y, w: box[4 * i + 2], h: box[4 * i + 3] });
    }
    return found;
  }

  /** Scroll so that a token is in sight. */
  function reveal(tokens, n) {
    const { first, box } = laidOut(tokens);
    const [y, h] = [box[4 * first[n] + 1], box[4 * first[n] + 3]];
    const room = h;
    if (y - room < scroller.scrollTop) scroller.scrollTop = y - room;
    else if (y + h + room > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = y + h + room - scroller.clientHeight;
  }

  /** Where the strip is, in pixels of its holder. */
  const seen = () => ({ x: scroller.offsetLeft, y: scroller.offsetTop, w: scroller.offsetWidth, h: scroller.offsetHeight });

  return { element: scroller, page, resize, paint, at, boxesIn, reveal, seen, laidOut };
}
