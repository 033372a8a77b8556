// What lies over the words: arcs to the strongest keys, marks of queries, rings around lit keys.

import { say } from "../../shared/language.js";
import { contextOf, element, setText } from "../../shared/dom.js";
import { wordOf } from "../pure/state.js";
import { drawArcs } from "./arcs.js";
import { drawMark, drawRing, fitCanvas } from "./marks.js";

const QUERY_MARK = "#0aa3c2";
const QUERY_ON_FILM = "#3fe0ff";
const KEY_MARK = "#e0a800";

/**
 * Build the layer.
 * @param {HTMLElement} root of the words
 * @param {{strips: import("./text_stage.js").Strip[], found: any}} shown what is on the screen now
 * @param {boolean} alone whether there are no pictures beside the words
 */
export function createTextOverlay(root, shown, alone) {
  const canvas = element("canvas", { class: "nlv-overlay", "aria-hidden": "true" });
  const context = contextOf(canvas);
  const further = element("div", { class: "nlv-further", "aria-hidden": "true", hidden: true });
  let width = 0;
  let height = 0;
  let colours = { paper: "", line: "", rim: "" };

  function resize(wide, tall) {
    [width, height] = [wide, tall];
    fitCanvas(canvas, wide, tall);
    canvas.style.width = `${wide}px`;
    canvas.style.height = `${tall}px`;
  }

  function clear() {
    context.clearRect(0, 0, width, height);
  }

  /** The words that a row is laid on. */
  const shownBy = (result) => (result.column ? shown.found.asking : shown.found.asked);

  /** The word that asks, as a number in its line, or -1. */
  function markedWord(result) {
    if (result.named) return result.named.word ?? -1;
    return alone ? result.token : -1;
  }

  /** The word that asks, and its line. */
  const marked = (result) => ({ word: markedWord(result), line: result.column ? shown.found.asked : shown.found.asking });

  function boxes(line, n) {
    const strip = shown.strips[line.page];
    return strip ? strip.boxesIn(line.tokens, n) : [];
  }

  /**
   * Draw arcs, marks and rings anew, where they are to be seen.
   * @param {Result} result
   * @param {State} state
   */
  function draw(result, state) {
    const ratio = canvas.width / Math.max(width, 1);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    clear();
    further.hidden = true;
    root.dataset.lit = typeof state.lit === "string" ? state.lit : state.lit ? "key" : "";
    const laid = shownBy(result);
    const { line, word } = marked(result);
    const home = line && word >= 0 ? boxes(line, word) : [];
    const key = state.lit && typeof state.lit !== "string" ? state.lit.key : -1;
    const cells = result.grid.kind === "line";
    if (laid && home.length && (state.view.show !== "map" || state.lit === "f" || key >= 0)) arcs(result, state, home[0], laid, key);
    if (laid && cells && (state.lit === "keys" || state.lit === "g")) {
      for (let n = Math.min(8, result.found) - 1; n >= 0; n--) within(laid, () => ringWord(laid, result.order[n]));
    }
    if (laid && cells && key >= 0) within(laid, () => ringWord(laid, key));
    marks(result, state, line, home);
  }

  /** Draw within the strip of a line alone: words that are scrolled away have no marks. */
  function within(line, show) {
    const { x, y, w, h } = shown.strips[line.page].seen();
    context.save();
    context.beginPath();
    context.rect(x, y - 2, w, h + 4);
    context.clip();
    show();
    context.restore();
  }

  function ringWord(line, n) {
    for (const box of boxes(line, n)) drawMark(context, box, { colour: KEY_MARK, width: 2 });
  }

  function arcs(result, state, home, laid, key) {
    const cells = result.grid.kind === "line";
    const values = cells ? result.values : result.words;
    const order = cells ? [...result.order.subarray(0, result.found)] : orderOf(values, result.ownWord);
    const wanted = state.view.show === "map" && key >= 0 ? [key] : order.slice(0, state.view.links).filter((n) => values[n] > 0);
    if (cells && key >= 0 && !wanted.includes(key)) wanted.push(key);
    const floor = result.spec.softmax && !result.logits ? 4 * result.uniform : 0;
    const full = Math.max(...wanted.map((n) => values[n]), floor, 1e-30);
    const { y, h } = shown.strips[laid.page].seen();
    let [above, below] = [0, 0];
    const list = [];
    for (const n of wanted) {
      const [there] = boxes(laid, n);
      if (there.y + there.h < y) above++;
      else if (there.y > y + h) below++;
      else list.push({ ...(result.column ? { from: there, to: home } : { from: home, to: there }), share: values[n] / full, lit: n === key });
    }
    sayFurther(above, below);
    drawArcs(context, list, { ...inkOfArcs(), opacity: key >= 0 ? 0.25 : state.hovered ? 0.6 : 0.92 });
  }

  /** Strong keys that are scrolled away are counted: an arc that ends nowhere says nothing. */
  function sayFurther(above, below) {
    const parts = [above && `▲ ${above}`, below && `▼ ${below}`].filter(Boolean);
    further.hidden = parts.length === 0;
    setText(further, parts.length ? say("strong keys further on: {counts}", { counts: parts.join("  ") }) : "");
  }

  /** Where only some of the words ask, these are underlined. */
  function underline(line, colour) {
    context.fillStyle = colour;
    for (let n = 0; n < line.tokens.words.length; n++) {
      for (const { x, y, w, h } of boxes(line, n)) context.fillRect(x, y + h - 1, w, 2);
    }
  }

  /** Colours of arcs on this paper; read once for each. */
  function inkOfArcs() {
    const paper = `${root.dataset.paper} ${root.style.getPropertyValue("--paper")}`;
    if (colours.paper !== paper) {
      const style = getComputedStyle(root);
      colours = { paper, line: style.getPropertyValue("--arc"), rim: style.getPropertyValue("--paper") };
    }
    return colours;
  }

  function orderOf(values, own) {
    return [...values.keys()].filter((n) => n !== own && values[n] > 0).sort((a, b) => values[b] - values[a]);
  }

  function marks(result, state, line, home) {
    if (!line) return;
    const colour = alone ? QUERY_MARK : QUERY_ON_FILM;
    const pinned = pinnedWord(result, state);
    const showsPin = pinned >= 0 && !state.hovered;
    within(line, () => {
      if (pinned >= 0 && !showsPin) for (const box of boxes(line, pinned)) drawMark(context, box, { colour });
      for (const box of home) drawMark(context, box, { dashed: !showsPin, colour: showsPin ? colour : "#fff", width: 2 });
      if (state.lit === "query" || state.lit === "output") for (const box of home) drawRing(context, box, colour);
    });
    if (line.tokens.words.length < shown.found.pages[line.page].base.words.length) within(line, () => underline(line, colour));
    const { cursor } = state;
    const laid = shownBy(result);
    if (cursor?.strip !== undefined && state.reading && laid && cursor.key >= 0) within(laid, () => ringWord(laid, cursor.key));
  }

  function pinnedWord(result, state) {
    const named = wordOf(result.spec, state.view, { frame: 0, y: 0, x: 0 });
    const grid = result.asked;
    if (named >= 0 || !state.pinned || grid.kind !== "line") return named;
    return Math.min(Math.max(Math.round((state.pinned.x - grid.origin[2]) / grid.stride[2]), 0), grid.shape[2] - 1);
  }

  return { element: canvas, further, resize, clear, draw, shownBy, marked };
}
