// One container on the screen: its parts, its state, and one drawing a frame at most.

import { createBar, topOf } from "./ui/colour_bar.js";
import { createCloseup } from "./draw/closeup.js";
import { attachTips, element } from "../shared/dom.js";
import { createEngine } from "./pure/engine.js";
import { createEquation } from "./ui/equation.js";
import { insideClip, movedQuery, nearestToken } from "./pure/grid.js";
import { attachKeys } from "./ui/keyboard.js";
import { createPlayer } from "./ui/player.js";
import { createQueryBar } from "./ui/query_bar.js";
import { createInspector, createReadout, createSentence } from "./ui/readout.js";
import { createStage } from "./draw/stage.js";
import { activeQuery, describe, mergedView, sameQuery } from "./pure/state.js";
import { createTitle } from "./ui/title.js";
import { createToolbar } from "./ui/toolbar.js";
import { waitingFor } from "./pure/words.js";

const NARROW = 700;
const QUIET = 250;
const DETAILS_EVERY = 80;

/** Everything that lives as long as one container is shown. */
export function createSession(root, container, pictures, state, { onPin, onView, everywhere, timings }) {
  const { head } = container;
  const { clip } = head;
  const life = new AbortController();
  const { signal } = life;
  const engine = createEngine(container);
  const { sequential, diverging, ground } = head.colours;
  const lut = { sequential: container.array(sequential).data, diverging: container.array(diverging).data, ground };
  const on = { hover, pin, unpin, large, lit, inspect, place, play, read, peek, move, source, view: changeView };
  const stage = createStage(clip, pictures, on, signal, head.objects);
  const equation = createEquation(clip, pictures, on, signal);
  const toolbar = createToolbar(head, changeView, signal);
  const queryBar = createQueryBar(head, on, signal);
  const bar = createBar(lut);
  const sentence = createSentence(() => changeView({ leave_out: "cell" }), signal);
  const readout = createReadout(clip);
  const player = createPlayer(clip, nextFrame);
  const closeup = head.pixels ? createCloseup(head, container.array, lut, engine, signal) : null;
  const inspector = createInspector(clip, pictures, on, signal);
  const timers = { pin: 0, view: 0, details: 0 };
  let rule = head.query_rule ?? "";
  let frameRequest = 0;
  let result = null;
  let resultFor = "";
  let drawnFor = "";
  let kept = null;
  let width = 0;
  let readToggled = false;
  let detailsAt = 0;

  stage.element.append(readout.element, inspector.element);
  root.replaceChildren(createTitle(head), equation.element, toolbar.element,
    element("div", { class: "nlv-top" }, sentence.element, bar.element), stage.element, queryBar.element, closeup?.element ?? "");
  attachTips(root, signal);
  attachKeys(root, { ...on, pin: () => pin(activeQuery(state)) }, everywhere, signal);
  const watcher = new ResizeObserver(() => resize());
  watcher.observe(stage.element);

  function request() {
    frameRequest ||= requestAnimationFrame(draw);
  }

  function resize() {
    const now = stage.element.clientWidth;
    if (!now || now === width) return;
    width = now;
    toolbar.setNarrow(now < NARROW);
    equation.setWidth(now);
    root.classList.toggle("nlv-small", now < NARROW);
    stage.resize(now);
    drawnFor = "";
    detailsAt = 0;
    request();
  }

  function draw() {
    frameRequest = 0;
    const start = performance.now();
    const query = activeQuery(state);
    const made = engine.source(state.view.source);
    const token = nearestToken(state.view.direction === "to" ? made.spec.keys : made.spec.queries, query);
    const wanted = `${token} ${JSON.stringify(state.view)}`;
    if (wanted !== resultFor) {
      resultFor = wanted;
      const next = engine.compute(query, state.view);
      state.waiting = next.waiting;
      if (!next.waiting) result = next;
      else if (result && result.spec !== next.spec) result = engine.compute(head.query, state.view);
      if (result?.waiting) result = null;
      drawnFor = "";
    }
    state.shown = state.waiting && result ? head.query : query;
    if (result) drawResult(query);
    else drawWithout(query);
    if (!state.hovered || !result) queryBar.update(query, state, rule);
    describe(root, query, state, engine.source(state.view.source).spec.key);
    timings.push(performance.now() - start);
    if (timings.length > 2000) timings.splice(0, 1000);
  }

  function drawResult(query) {
    const wanted = `${resultFor} ${state.large ?? state.shown.frame} ${state.shown.frame}`;
    if (wanted !== drawnFor) {
      drawnFor = wanted;
      stage.draw(result, state, lut);
      bar.update(result, state.view);
      details();
    } else {
      stage.drawOverlay(result, state);
    }
    if (query === state.pinned && !state.waiting) keepRow();
    updateReadout();
  }

  /** A row that only the server knows, and has not sent: frames without a map. */
  function drawWithout(query) {
    stage.drawFrames(state);
    sentence.update(null, query, clip, waitingFor(state, onPin === null));
  }

  /** The pinned row is kept, so that its values can be read while another is previewed. */
  function keepRow() {
    if (kept?.key === resultFor) return;
    kept = { ...result, key: resultFor, values: Float32Array.from(result.values) };
  }

  function updateReadout() {
    const row = state.hovered && kept && !state.reading ? kept : result;
    const label = state.hovered && !state.reading ? (state.pinned ? "from the pin" : "its own cell") : "";
    const value = readout.update(state.cursor, row, state.view.unit, label, width);
    bar.point(state.cursor && row === result ? value : null, result.scale);
  }

  /** Words and thumbnails are read, not followed: while the pointer moves they come less often. */
  function details() {
    const now = performance.now();
    clearTimeout(timers.details);
    if (now - detailsAt < DETAILS_EVERY) {
      timers.details = setTimeout(details, DETAILS_EVERY - (now - detailsAt));
      return;
    }
    detailsAt = now;
    stage.drawDetails(result);
    equation.update(result);
    equation.drawThumbs(result, state.shown, engine.frameOf);
    sentence.update(result, state.shown, clip, waitingFor(state, onPin === null));
    queryBar.update(activeQuery(state), state, rule);
    closeup?.update(result, state.shown, state.hovered !== null);
  }

  function hover(place) {
    state.cursor = place;
    let next = place && !state.reading ? { frame: place.frame, y: place.y, x: place.x } : null;
    if (next && state.pinned && sameToken(next, state.pinned)) next = null;
    if (next && !state.pinned) state.resting = next;
    if (!sameQuery(next, state.hovered)) state.hovered = next;
    request();
  }

  function sameToken(a, b) {
    const { spec } = engine.source(state.view.source);
    const grid = state.view.direction === "to" ? spec.keys : spec.queries;
    return nearestToken(grid, a) === nearestToken(grid, b) && a.frame === b.frame;
  }

  function pin(query) {
    place(query);
    stage.element.focus({ preventScroll: true });
  }

  /** Pin the query here; told to the outside once it has come to rest. */
  function place(query) {
    state.pinned = insideClip(query, clip);
    state.resting = state.pinned;
    state.hovered = null;
    state.large = null;
    rule = "";
    closeup?.pinned();
    inspector.hide();
    tellPin();
    request();
  }

  function unpin() {
    if (!state.pinned) return;
    state.resting = state.pinned;
    state.pinned = null;
    rule = "";
    inspector.hide();
    tellPin();
    request();
  }

  function tellPin() {
    sentence.speak();
    clearTimeout(timers.pin);
    timers.pin = setTimeout(() => onPin?.(state.pinned), 60);
  }

  function move(step) {
    const { spec } = engine.source(state.view.source);
    const grid = state.view.direction === "to" ? spec.keys : spec.queries;
    const next = movedQuery(state.pinned ?? activeQuery(state), step, grid, clip);
    if (state.pinned) place(next);
    else {
      state.resting = next;
      state.hovered = null;
      sentence.speak();
      request();
    }
  }

  function large(frame) {
    state.large = state.large === frame ? null : frame;
    request();
  }

  function lit(what) {
    if (JSON.stringify(what) === JSON.stringify(state.lit)) return;
    state.lit = what;
    request();
  }

  function inspect(index) {
    if (result) inspector.show(result, state.shown, index, engine.frameOf(result, index), state.view.unit, stage.plan.large);
  }

  /** Keep the query and read values: by the button until it is pressed again, by Shift while held. */
  function read(on) {
    readToggled = on;
    peek(false);
  }

  function peek(held) {
    const reading = held || readToggled;
    if (state.reading === reading) return;
    state.reading = reading;
    state.hovered = null;
    drawnFor = "";
    request();
  }

  function source(n) {
    if (n < head.sources.length) changeView({ source: head.sources[n].key });
  }

  function changeView(change) {
    const next = { ...change };
    if (next.scale === "locked" && result) next.top = topOf(result);
    if (next.scale && next.scale !== "locked") next.top = null;
    if (!apply(undefined, next)) return;
    clearTimeout(timers.view);
    timers.view = setTimeout(() => onView?.({ ...state.view }), QUIET);
  }

  function apply(query, view) {
    const before = JSON.stringify(state.view);
    state.view = mergedView(state.view, view, head.sources.map((s) => s.key));
    if (query === null) state.pinned = null;
    else if (query) {
      state.pinned = insideClip(query, clip);
      state.resting = state.pinned;
    }
    toolbar.sync(state.view, engine.source(state.view.source));
    request();
    return JSON.stringify(state.view) !== before;
  }

  function play() {
    if (clip.frames === 1) return;
    state.playing = player.toggle();
    request();
  }

  function nextFrame() {
    state.large = ((state.large ?? state.shown.frame) + 1) % clip.frames;
    request();
  }

  function stop() {
    life.abort();
    watcher.disconnect();
    cancelAnimationFrame(frameRequest);
    player.stop();
    sentence.stop();
    for (const timer of Object.values(timers)) clearTimeout(timer);
  }

  toolbar.sync(state.view, engine.source(state.view.source));
  return { head, apply, resize, stop };
}
