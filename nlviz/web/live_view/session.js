// One container on the screen: its parts, wired to its store.

import { createBar, topOf } from "./ui/colour_bar.js";
import { createCloseup } from "./draw/closeup.js";
import { createBrush } from "./ui/brush.js";
import { attachTips, element } from "../shared/dom.js";
import { createEngine } from "./pure/engine.js";
import { createEveryHead } from "./every_head.js";
import { createEquation } from "./ui/equation.js";
import { attachKeys } from "./ui/keyboard.js";
import { createHeadMaps } from "./draw/head_maps.js";
import { createPainter } from "./painter.js";
import { headAfter } from "./ui/head_chips.js";
import { createPlayer } from "./ui/player.js";
import { createQueryBar } from "./ui/query_bar.js";
import { createInspector, createReadout, createSentence } from "./ui/readout.js";
import { createStage } from "./draw/stage.js";
import { createTextStage, showsWords } from "./draw/text_stage.js";
import { nearestToken } from "./pure/grid.js";
import { GAP } from "./pure/layout.js";
import { isText } from "./pure/pages.js";
import { targetsText } from "./pure/text_words.js";
import { activeQuery, tokenOf, wordOf } from "./pure/state.js";
import { createTelling } from "../shared/telling.js";
import { createTitle } from "./ui/title.js";
import { createToolbar } from "./ui/toolbar.js";

const NARROW = 700; // CSS pixels
const LEAST_SIDE = 300;
const HEADS_SHARE = 0.6; // of the height that pictures have elsewhere
const WORDS_SHARE = 0.72; // likewise, where words stand below them
const SIDE_GAP = 14; // of the controls beside the pictures, beyond that between pictures
const PIN_RESTS = 60; // milliseconds at rest before a pin is reported
const VIEW_RESTS = 250;

/**
 * Everything that lives as long as one container is shown.
 * @param {HTMLElement} root
 * @param {Container} container
 * @param {Pictures} pictures
 * @param {Store} store
 * @param {{onSaid: ?function, everywhere: boolean, timings: number[], watchers?: Set<function>, beside?: ?Beside}} outside
 */
export function createSession(root, container, pictures, store, { onSaid, everywhere, timings, watchers = new Set(), beside = null }) {
  const { head } = container;
  const { clip } = head;
  const { state } = store;
  const life = new AbortController();
  const { signal } = life;
  const engine = createEngine(container);
  const { sequential, diverging, ground } = head.colours;
  const lut = { sequential: container.array(sequential).data, diverging: container.array(diverging).data, ground };
  let width = 0;
  let besideHeads = false;

  const { hover, unpin, move, large, light, read, peek } = store;
  const { brush: takeUp, stroke, strokeTo } = store;
  const brushing = () => state.brush !== null;
  const on = {
    hover, pin, pinWord, unpin, large, lit: light, inspect, place: store.pin, play, read, peek, move: moved, source, token, everyHead, head: nextHead,
    stroke, strokeTo, brushing, brush: toggleBrush, layDown, painting, clear,
  };
  const text = isText(head);
  const now = { spec: store.spec, view: () => state.view, hasWord: () => engine.hasWord(state.view), home: () => (text ? null : stage.element) };
  /** @type {any} */
  const stage = text ? createTextStage(head, on, now, signal) : createStage(clip, pictures, on, signal, head.objects, store.canvas());
  // A text beside the pictures: a row of each goes to both.
  const words = !text && showsWords(head) ? createTextStage(head, on, now, signal) : null;
  const equation = createEquation(clip, pictures, on, signal);
  const toolbar = createToolbar(head, choose, signal);
  // What is painted is asked about where somebody listens, and cells of pictures can be.
  const brush = onSaid && !text && !head.pixels && (store.canvas().kind ?? "grid") === "grid" ? createBrush({ brush: takeUp, clear }, signal) : null;
  const queryBar = createQueryBar(head, on, signal, brush?.element);
  const bar = createBar(lut, lockAt, signal);
  const sentence = createSentence(() => choose({ leave_out: "cell" }), signal);
  const readout = createReadout(clip);
  const player = createPlayer(clip, store.advance);
  const closeup = head.pixels ? createCloseup(head, container.array, lut, engine, signal) : null;
  const headMaps = createHeadMaps(container, pictures, lut, choose, signal);
  const inspector = createInspector(clip, pictures, on, signal);
  const telling = createTelling(root, onSaid && say);
  const parts = { stage, words, bar, readout, sentence, equation, queryBar, headMaps, closeup };
  const everyHeadAt = createEveryHead(container);
  const painter = createPainter(root, store, engine, parts, { lut, served: onSaid !== null, timings, watched, beside });

  const targets = targetsText(head.sources[0]);
  stage.element.append(readout.element, inspector.element);
  // The picture comes first; above it stands only what never changes its height, so that it stays where it is.
  const title = createTitle(head);
  const main = words ? element("div", { class: "nlv-main" }, stage.element, words.element) : stage.element;
  const body = element("div", { class: "nlv-body" }, main,
    element("div", { class: "nlv-side" }, targets ? element("p", { class: "nlv-target-note", text: targets }) : "", queryBar.element, title.notes, headMaps.element, toolbar.element, equation.element, title.about));
  root.replaceChildren(element("div", { class: "nlv-head" }, title.heading, toolbar.sources),
    element("div", { class: "nlv-top" }, sentence.element, bar.element), body, closeup?.element ?? "");
  attachTips(root, signal);
  attachKeys(root, { ...on, close: () => inspector.close() || toolbar.close(), pin: () => (state.hovered || !worded() ? pin(activeQuery(state)) : null) }, everywhere, signal);
  const watcher = new ResizeObserver(() => resize());
  watcher.observe(body);
  window.addEventListener("resize", () => resize(true), { signal });
  toolbar.sync(state.view, engine.source(state.view.source));
  brush?.sync(state, store.canvas().shape);

  const unsubscribe = store.subscribe((change) => {
    if (change.pin) {
      if (state.pinned) closeup?.pinned();
      inspector.hide();
    }
    if (change.pin || change.step) {
      sentence.speak();
      telling.acted(PIN_RESTS);
    }
    if (change.view) {
      brush?.sync(state, store.canvas().shape);
      toolbar.sync(state.view, engine.source(state.view.source));
      const side = headMaps.wanted(state.view, store.spec());
      if (side !== besideHeads) {
        besideHeads = side;
        resize(true);
      }
    }
    if (change.chosen) telling.acted(VIEW_RESTS);
    if (change.reading) painter.redraw();
    painter.request();
  });

  function resize(again = false) {
    const now = body.clientWidth;
    if (!now || (now === width && !again)) return;
    width = now;
    root.classList.toggle("nlv-small", now < NARROW);
    sentence.fit();
    stage.resize(now, words ? WORDS_SHARE : headMaps.wanted(state.view, store.spec()) ? HEADS_SHARE : 1);
    words?.resize(stage.plan.width);
    // What the pictures leave free beside them is for the controls.
    const free = now - stage.plan.width - GAP;
    const beside = free >= LEAST_SIDE;
    root.classList.toggle("nlv-beside", beside);
    toolbar.setNarrow(now < NARROW || beside, now < NARROW && !beside);
    equation.setWidth(beside ? free : now);
    headMaps.resize(beside ? free - SIDE_GAP : now);
    painter.redraw(stage.plan.width);
  }

  function pin(query) {
    // Where words alone ask, a place of the pictures is a key.
    const keyOnly = !text && state.view.direction === "from" && store.grid().kind === "line" && !(query.word >= 0);
    if (keyOnly) store.choose({ direction: "to", token: "" });
    if (query.word >= 0) pinWord(query.word);
    else store.pin({ frame: query.frame, y: query.y, x: query.x });
    if (!(query.word >= 0)) focusStage();
  }

  function pinWord(word) {
    store.pinWord(word);
    words?.focus();
  }

  function focusStage() {
    if (text) stage.focus();
    else stage.element.focus({ preventScroll: true });
  }

  /** Whether a word that the view names is the query. */
  const worded = () => wordOf(store.spec(), state.view, { frame: 0, y: 0, x: 0 }) >= 0;

  /** Move the query: by words where a word asks, in the direction in which the text is read. */
  function moved(step) {
    if (brushing()) return step.end ? false : store.moveBrush(step);
    const word = wordOf(store.spec(), state.view, { frame: 0, y: 0, x: 0 });
    if (!text && word < 0 && store.grid().kind !== "line") return step.end ? false : move(step);
    const from = word >= 0 ? word : nearestToken(store.grid(), state.pinned ?? activeQuery(state));
    const next = (text ? stage : words)?.after(step, from);
    if (!next) return true;
    const { frame, y, x } = next;
    if (!(text && stage.isPlace(next))) store.pinWord(next.word);
    else if (word >= 0) store.pin({ frame, y, x });
    else move({ to: { frame, y, x } });
    return true;
  }

  // Whatever is pressed elsewhere comes after what was done here.
  document.addEventListener("pointerdown", telling.now, { signal, capture: true });

  /** Take up the brush, or lay it down; false where nothing can be painted. */
  function toggleBrush() {
    if (!brush) return false;
    takeUp(brushing() ? null : brush.size());
    if (brushing()) focusStage();
    return true;
  }

  /** Lay the brush down; returns whether it was held. */
  function layDown() {
    const held = brushing();
    if (held) takeUp(null);
    return held;
  }

  function clear() {
    choose({ painted: "" });
  }

  /** Keys that paint while the brush is held; returns whether one did. */
  function painting(key, pressing) {
    if (!brushing() || pressing) return false;
    if (key === "Enter" || key === " ") stroke(null);
    else if (key === "Delete" || key === "Backspace") clear();
    else return false;
    return true;
  }

  /** Tell whoever follows the pointer of its row, in every head where that is asked for. */
  function watched(query) {
    const said = query && { block: head.block.name, rows: () => everyHeadAt(query, state.view) };
    for (const watcher of watchers) watcher(said);
  }

  /** Report query and view together. */
  function say(again) {
    const { acts: n, pinned, resting, view } = state;
    onSaid?.({ n, again, query: pinned ?? resting, pinned: pinned !== null, view: { ...view } });
  }

  /** Lock the scale at an end that the reader asked for; the button that did it is gone then. */
  function lockAt(top) {
    store.choose({ scale: "locked" }, top);
    focusStage();
  }

  function choose(change) {
    store.choose(change, painter.result && topOf(painter.result));
  }

  function source(n) {
    if (n < head.sources.length) choose({ source: head.sources[n].key });
  }

  /** The next head, or the one before. */
  function nextHead(step) {
    const { heads } = store.spec();
    if (heads > 1) choose({ head: headAfter(state.view.head, heads, step) });
  }

  /** All heads side by side, of a token without a place. */
  function everyHead(name) {
    choose({ token: name, heads: "all", source: head.sources[0].key });
  }

  /** A token without a place as the query; pressed again, the point. */
  function token(name) {
    const same = state.view.token === name && tokenOf(store.spec(), state.view) >= 0;
    const has = (store.spec().tokens ?? []).some((one) => one.name === name);
    choose({ token: same ? "" : name, source: (has ? store.spec() : head.sources[0]).key });
  }

  function inspect(index) {
    const { result } = painter;
    if (result && !result.named && !result.spec.across) inspector.show(result, state.shown, index, engine.frameOf(result, index), state.view.unit, stage.plan.large);
  }

  function play() {
    if (clip.frames > 1) store.play(player.toggle());
  }

  /** @param {boolean} gone whether nothing comes in its place: what is told then would be of no page */
  function stop(gone = false) {
    if (!gone) telling.now();
    telling.stop();
    life.abort();
    unsubscribe();
    watcher.disconnect();
    painter.stop();
    player.stop();
    sentence.stop();
  }

  return { resize, stop, heard: telling.heard, painter, lut };
}
