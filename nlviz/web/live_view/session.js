// One container on the screen: its parts, wired to its store.

import { createBar, topOf } from "./ui/colour_bar.js";
import { createCloseup } from "./draw/closeup.js";
import { attachTips, element } from "../shared/dom.js";
import { createEngine } from "./pure/engine.js";
import { createEquation } from "./ui/equation.js";
import { attachKeys } from "./ui/keyboard.js";
import { createHeadMaps } from "./draw/head_maps.js";
import { createPainter } from "./painter.js";
import { headAfter } from "./ui/head_chips.js";
import { createPlayer } from "./ui/player.js";
import { createQueryBar } from "./ui/query_bar.js";
import { createInspector, createReadout, createSentence } from "./ui/readout.js";
import { createStage } from "./draw/stage.js";
import { GAP } from "./pure/layout.js";
import { activeQuery, tokenOf } from "./pure/state.js";
import { createTelling } from "../shared/telling.js";
import { createTitle } from "./ui/title.js";
import { createToolbar } from "./ui/toolbar.js";

const NARROW = 700; // CSS pixels
const LEAST_SIDE = 300;
const HEADS_SHARE = 0.6; // of the height that pictures have elsewhere
const SIDE_GAP = 14; // of the controls beside the pictures, beyond that between pictures
const PIN_RESTS = 60; // milliseconds at rest before a pin is reported
const VIEW_RESTS = 250;

/**
 * Everything that lives as long as one container is shown.
 * @param {HTMLElement} root
 * @param {Container} container
 * @param {Pictures} pictures
 * @param {Store} store
 * @param {{onSaid: ?function, everywhere: boolean, timings: number[]}} outside
 */
export function createSession(root, container, pictures, store, { onSaid, everywhere, timings }) {
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
  const on = { hover, pin, unpin, large, lit: light, inspect, place: store.pin, play, read, peek, move, source, token, everyHead, head: nextHead };
  const stage = createStage(clip, pictures, on, signal, head.objects);
  const equation = createEquation(clip, pictures, on, signal);
  const toolbar = createToolbar(head, choose, signal);
  const queryBar = createQueryBar(head, on, signal);
  const bar = createBar(lut, lockAt, signal);
  const sentence = createSentence(() => choose({ leave_out: "cell" }), signal);
  const readout = createReadout(clip);
  const player = createPlayer(clip, store.advance);
  const closeup = head.pixels ? createCloseup(head, container.array, lut, engine, signal) : null;
  const headMaps = createHeadMaps(container, pictures, lut, choose, signal);
  const inspector = createInspector(clip, pictures, on, signal);
  const telling = createTelling(root, onSaid && say);
  const parts = { stage, bar, readout, sentence, equation, queryBar, headMaps, closeup };
  const painter = createPainter(root, store, engine, parts, { lut, served: onSaid !== null, timings });

  stage.element.append(readout.element, inspector.element);
  // The picture comes first; above it stands only what never changes its height, so that it stays where it is.
  const title = createTitle(head);
  const body = element("div", { class: "nlv-body" }, stage.element,
    element("div", { class: "nlv-side" }, queryBar.element, title.notes, headMaps.element, toolbar.element, equation.element, title.about));
  root.replaceChildren(element("div", { class: "nlv-head" }, title.heading, toolbar.sources),
    element("div", { class: "nlv-top" }, sentence.element, bar.element), body, closeup?.element ?? "");
  attachTips(root, signal);
  attachKeys(root, { ...on, close: () => inspector.close() || toolbar.close(), pin: () => pin(activeQuery(state)) }, everywhere, signal);
  const watcher = new ResizeObserver(() => resize());
  watcher.observe(body);
  window.addEventListener("resize", () => resize(true), { signal });
  toolbar.sync(state.view, engine.source(state.view.source));

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
    stage.resize(now, headMaps.wanted(state.view, store.spec()) ? HEADS_SHARE : 1);
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
    store.pin(query);
    stage.element.focus({ preventScroll: true });
  }

  // Whatever is pressed elsewhere comes after what was done here.
  document.addEventListener("pointerdown", telling.now, { signal, capture: true });

  /** Report query and view together. */
  function say(again) {
    const { acts: n, pinned, resting, view } = state;
    onSaid?.({ n, again, query: pinned ?? resting, pinned: pinned !== null, view: { ...view } });
  }

  /** Lock the scale at an end that the reader asked for; the button that did it is gone then. */
  function lockAt(top) {
    store.choose({ scale: "locked" }, top);
    stage.element.focus({ preventScroll: true });
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
    if (result && !result.named) inspector.show(result, state.shown, index, engine.frameOf(result, index), state.view.unit, stage.plan.large);
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

  return { resize, stop, heard: telling.heard };
}
