// The words of a view: one text, or two where queries and keys stand in different ones; the row as
// colour behind the words, arcs above them, and the pointer on them. A stage of its own for a text,
// a panel below the pictures where a text stands beside them.

import { say } from "../../shared/language.js";
import { element, topOfPage } from "../../shared/dom.js";
import { tokenCentre } from "../pure/grid.js";
import { hasWords, isRightToLeft, isText, pagesOf } from "../pure/pages.js";
import { backgroundOf, colourOrder, filmPaper, inksOf, paperOn } from "./paper.js";
import { createShares } from "./shares.js";
import { tokenBeside } from "./text_layout.js";
import { createTextOverlay } from "./text_overlay.js";
import { createTextStrip } from "./text_strip.js";

const BESIDE = 1000; // CSS pixels from which the controls stand beside a text
const SIDE_ROOM = 348;
const MOST_WIDE = 900;

/** @typedef {ReturnType<typeof createTextStrip>} Strip */

/** Whether two pages are drawn alike. */
const samePage = (a, b) => a.text === b.text && a.base.words.length === b.base.words.length && a.base.words.every((word, n) => word === b.base.words[n]);

/**
 * Build the words of a view.
 * @param {Head} head
 * @param {Handlers} on hover(place | null), pin(query), pinWord(word)
 * @param {{spec: () => Spec, view: () => View, hasWord: () => boolean, home: () => HTMLElement|null}} now
 *   the source and the view that are shown; whether rows of words can be asked for; what the readout
 *   lies in, where that is not the words themselves
 * @param {AbortSignal} signal
 */
export function createTextStage(head, on, now, signal) {
  const alone = isText(head);
  const shares = createShares(head);
  /** @type {{strips: Strip[], found: any}} */
  const shown = { strips: [], found: { pages: [], asking: null, asked: null } };
  const holder = element("div", { class: "nlv-strips" });
  const root = element("div", { class: alone ? "nlv-stage nlv-text-stage" : "nlv-words-panel" }, holder, shares.element);
  const overlay = createTextOverlay(root, shown, alone);
  holder.append(overlay.element, overlay.further);
  let width = 0;
  let high = 0;
  let plan = { width: 0, height: 0, large: { x: 0, y: 0, w: 0, h: 0 }, tiles: [], beside: false };
  /** @type {Result|null} */
  let last = null;
  /** @type {State|null} */
  let lastState = null;
  let inkFor = "";
  /** @type {any} */
  let ink = null;
  let revealed = "";
  let waiting = false;

  const controller = new AbortController();
  signal.addEventListener("abort", () => controller.abort());

  /** Show the texts of a source. */
  function sync(spec) {
    const next = pagesOf(head, spec);
    if (next === shown.found) return;
    const kept = next.pages.length === shown.strips.length && next.pages.every((page, n) => samePage(page, shown.strips[n].page));
    shown.found = next;
    revealed = "";
    if (kept) return;
    for (const strip of shown.strips) strip.element.remove();
    shown.strips = shown.found.pages.map((page, n) => createTextStrip(page, { label: labelOf(n), onScroll: scrolled, signal: controller.signal }));
    shown.strips.forEach((strip, n) => {
      listen(strip, n);
      holder.insertBefore(strip.element, overlay.element);
    });
    fit();
  }

  function labelOf(n) {
    const what = shown.found.pages.length < 2 ? say("Text") : n === shown.found.asking?.page ? say("Text of the queries") : say("Text of the keys");
    return say("{what}. Arrow keys move the query by one word, Home and End to the first and the last, Enter pins, Escape unpins.", { what });
  }

  function scrolled() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      if (last && lastState) drawOver(last, lastState);
    });
  }

  /** The words that are asked for, by the view's direction. */
  const asked = () => (now.view().direction === "to" ? shown.found.asked : shown.found.asking);

  function listen(strip, n) {
    const placeOf = (event) => {
      const query = asked()?.page === n && (alone || now.hasWord()) ? strip.at(asked().tokens, event.clientX, event.clientY) : -1;
      const line = last && overlay.shownBy(last);
      const key = line?.page === n ? strip.at(line.tokens, event.clientX, event.clientY) : -1;
      if (query < 0 && key < 0) return null;
      const { left, top } = (now.home() ?? root).getBoundingClientRect();
      return { ...placeOfWord(query), number: query, key, strip: n, asks: query >= 0, px: event.clientX - left, py: event.clientY - top, large: true };
    };
    strip.element.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "touch") on.hover(placeOf(event));
    }, { signal });
    strip.element.addEventListener("pointerleave", () => on.hover(null), { signal });
    strip.element.addEventListener("click", (event) => {
      const place = placeOf(event);
      if (place?.asks && isPlace(place)) on.pin({ frame: place.frame, y: place.y, x: place.x });
      else if (place?.asks) on.pinWord(place.number);
    }, { signal });
  }

  /** The place that a word is: of a text its own, beside pictures none. */
  function placeOfWord(word) {
    const home = { frame: 0, y: 0, x: 0 };
    if (word < 0) return home;
    if (!alone) return { ...home, word };
    const spec = now.spec();
    return tokenCentre(now.view().direction === "to" ? spec.keys : spec.queries, word);
  }

  /** Whether a word is a place of the clip; words of a text of its own may lie beyond the other's last. */
  const isPlace = ({ x }) => alone && x <= head.clip.width - 1;

  /**
   * Where an arrow key, Home or End takes the query from a word.
   * @param {{dx?: number, dy?: number, end?: number}} step
   * @param {number} word
   * @returns {any} the place of the next word and its number, or null
   */
  function after(step, word) {
    const line = asked();
    if (!line || word < 0) return null;
    let next = step.end ? (step.end < 0 ? 0 : line.tokens.words.length - 1) : word;
    if (step.dx || step.dy) {
      const { text } = shown.found.pages[line.page];
      const around = text.slice(Math.max(0, line.tokens.start[word] - 40), line.tokens.end[word] + 40);
      next = tokenBeside(shown.strips[line.page].laidOut(line.tokens), word, step, isRightToLeft(around));
    }
    return next === word && !step.end ? null : { ...placeOfWord(next), word: next };
  }

  /**
   * Fit the words into this width.
   * @param {number} room
   */
  function resize(room) {
    if (alone) {
      width = room >= BESIDE ? Math.min(room - SIDE_ROOM, MOST_WIDE) : room;
      high = Math.max(150, Math.min(0.66 * window.innerHeight, Math.max(window.innerHeight - topOfPage(root) - 24, 0.4 * window.innerHeight)));
    } else {
      width = room;
      high = Math.max(112, 0.3 * window.innerHeight);
    }
    sync(now.spec());
    fit();
  }

  function fit() {
    if (!width) return;
    root.style.width = `${width}px`;
    for (const strip of shown.strips) strip.resize(width, high / shown.strips.length);
    const tall = holder.offsetHeight;
    overlay.resize(width, tall);
    plan = { ...plan, width, height: tall, large: { x: 0, y: 0, w: width, h: tall } };
    inkFor = "";
  }

  /** What words are written in, and the fills of the 256 steps of the scale. */
  function inks(lut, view, diverging) {
    const paper = alone ? paperOn(backgroundOf(root.closest(".nlv") ?? root)) : filmPaper(lut.ground);
    const wanted = `${paper.name} ${paper.rgb} ${view.strength} ${diverging}`;
    if (wanted === inkFor) return ink;
    inkFor = wanted;
    const rgba = colourOrder(diverging ? lut.diverging : lut.sequential, paper, diverging);
    ink = { paper, ...inksOf(rgba, paper, view.strength) };
    root.dataset.paper = paper.name;
    root.style.setProperty("--paper", `rgb(${paper.rgb.join(" ")})`);
    return ink;
  }

  /**
   * Draw the row over the words.
   * @param {Result} result
   * @param {State} state
   * @param {Lut} lut
   */
  function draw(result, state, lut) {
    sync(result.spec);
    last = result;
    const { fills, other } = inks(lut, state.view, result.scale.diverging);
    const line = overlay.shownBy(result);
    const cells = result.grid.kind === "line";
    const values = cells ? result.values : result.words;
    const limits = cells ? { from: result.from, to: result.to, skipFrom: result.skipFrom, skipTo: result.skipTo }
      : { from: 0, to: values?.length ?? 0, skipFrom: 0, skipTo: 0 };
    const visible = line && values && state.view.show !== "links";
    shown.strips.forEach((strip, n) => {
      if (visible && n === line.page) strip.paint(line.tokens, { values, ...limits, scale: result.scale, fills, other });
      else strip.paint(null, null);
    });
    const { word, line: marked } = overlay.marked(result);
    const at = `${word} ${result.column} ${result.spec.key}`;
    if (!state.hovered && at !== revealed && marked && word >= 0) shown.strips[marked.page].reveal(marked.tokens, word);
    if (!state.hovered) revealed = at;
    drawOver(result, state);
  }

  /** The strip whose words ask takes the keys. */
  function focus() {
    shown.strips[asked()?.page ?? 0]?.element.focus({ preventScroll: true });
  }

  function drawFrames() {
    last = null;
    for (const strip of shown.strips) strip.paint(null, null);
    overlay.clear();
  }

  /** Arcs and marks over the words. */
  function drawOver(result, state) {
    lastState = state;
    overlay.draw(result, state);
  }

  return {
    element: root, resize, draw, drawFrames, drawOverlay: drawOver, drawDetails: shares.update, after, isPlace, focus,
    get plan() { return plan; },
    /** Colours of the words and what they lie on, for the colour bar; those of the pictures beside them. */
    get ink() { return ink; },
  };
}

/** Whether a view has words to show. */
export const showsWords = (head) => head.sources.some(hasWords);

