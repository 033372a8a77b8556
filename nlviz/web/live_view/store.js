// What the reader chose, and every way in which it changes. No DOM: a listener hears of each change
// and draws, speaks or reports it.

import { clipFrame, insideClip, movedQuery, nearestToken } from "./pure/grid.js";
import { lineOf, isText, wordAddress } from "./pure/pages.js";
import { below, between, movedCell, paintedCells, paintedText } from "./pure/painted.js";
import { activeQuery, mergedView, sameQuery, tokenOf, wordOf } from "./pure/state.js";

const sameClip = (a, b) => a.name === b.name && a.frames === b.frames
  && a.width === b.width && a.height === b.height && a.times[0] === b.times[0];

/** A text has no frames to scale by or to leave out. */
function withoutFrames(view, head) {
  if (!isText(head)) return view;
  return { ...view, scale: view.scale === "frame" ? "query" : view.scale, leave_out: view.leave_out === "frame" ? "nothing" : view.leave_out };
}

/**
 * State of a fresh container; over the same clip, query and view stay those of the reader.
 * @param {Head} head
 * @param {Store|null} before the store of the container that was shown before
 * @returns {State}
 */
function opened(head, sources, before) {
  const kept = before !== null && sameClip(before.head.clip, head.clip) ? before.state : null;
  const opening = insideClip(head.query, head.clip);
  const view = kept?.view ?? head.display.defaults;
  return {
    view: withoutFrames(mergedView(view, kept ? {} : head.view, head.display, sources), head),
    hovered: null,
    cursor: null,
    pinned: kept ? kept.pinned : head.pinned === false ? null : opening,
    resting: kept?.resting ?? opening,
    acts: before?.state.acts ?? 0,
    rule: head.query_rule ?? "",
    large: null,
    lit: null,
    shown: opening,
    waiting: false,
    reading: false,
    playing: false,
    brush: null,
  };
}

/**
 * Create the store of one container.
 * @param {Head} head
 * @param {Store|null} before
 * @returns {Store}
 */
export function createStore(head, before = null) {
  const { clip } = head;
  const sources = head.sources.map((spec) => spec.key);
  const state = opened(head, sources, before);
  /** @type {Set<(change: Change) => void>} */
  const listeners = new Set();
  let readToggled = false;

  /** @param {Change} change */
  function emit(change) {
    if (change.pin || change.step || change.chosen) state.acts = Math.max(state.acts + 1, Date.now());
    for (const listener of listeners) listener(change);
  }

  /** The source that is shown, and the grid on which its query lies. */
  const spec = () => head.sources.find((each) => each.key === state.view.source) ?? head.sources[0];
  const grid = () => (state.view.direction === "to" ? spec().keys : spec().queries);
  /** Whether a word that the view names is the query. */
  const wordy = () => wordOf(spec(), state.view, { frame: 0, y: 0, x: 0 }) >= 0;
  /** Whether a token without a place, or a word, is the query. */
  const named = () => tokenOf(spec(), state.view) >= 0 || wordy();
  /** A point becomes the query again; what a change says of that. */
  const leaveToken = () => (named() && merge({ token: "" }) ? { view: true } : {});
  const sameToken = (a, b) => a.frame === b.frame && a.word === b.word && nearestToken(grid(), a) === nearestToken(grid(), b);

  /** What the pointer asks for: a word, or a place, which is said where a word would be meant otherwise. */
  function askedAt({ frame, y, x, word }) {
    const place = { frame, y, x };
    // A word stands in no frame: what is large stays so.
    if (word >= 0) return { ...(state.pinned ?? state.resting), word };
    const wordsAlone = !isText(head) && grid().kind === "line";
    return wordy() || wordsAlone ? { ...place, word: -1 } : place;
  }

  /** Follow the pointer to a place of the clip, or to null where it left. */
  function hover(place) {
    state.cursor = place;
    const follows = place && !state.reading && !state.brush && place.asks !== false && (wordy() || !named());
    /** @type {Query|null} */
    let next = follows ? askedAt(place) : null;
    if (next && state.pinned && sameToken(next, state.pinned)) next = null;
    if (!sameQuery(next, state.hovered)) state.hovered = next;
    emit({});
  }

  /** Pin the query here. */
  function pin(query) {
    const left = leaveToken();
    state.pinned = insideClip(query, clip);
    state.resting = state.pinned;
    state.hovered = null;
    state.large = null;
    state.rule = "";
    emit({ pin: true, ...left });
  }

  /** Pin a word that stands beside the pictures, by its number in its line. */
  function pinWord(word) {
    const line = lineOf(grid());
    if (!line || !(word in line.words)) return;
    state.hovered = null;
    state.rule = "";
    emit({ pin: true, view: true, chosen: merge({ token: wordAddress(line.words, word) }) });
  }

  function unpin() {
    if (state.view.token && named()) return choose({ token: "" });
    if (!state.pinned) return;
    state.resting = state.pinned;
    state.pinned = null;
    state.rule = "";
    emit({ pin: true });
  }

  /** Move the query by cells and frames, {dy, dx, df}, or to a place. */
  function move(step) {
    const next = step.to ?? movedQuery(state.pinned ?? activeQuery(state), step, grid(), clip);
    if (state.pinned) {
      pin(next);
      return;
    }
    const left = leaveToken();
    state.resting = next;
    state.hovered = null;
    emit({ step: true, ...left });
  }

  /** Show a frame large; asked for twice, the query's again. */
  function large(frame) {
    state.large = state.large === frame ? null : frame;
    emit({});
  }

  /** Show the next frame large. */
  function advance() {
    state.large = ((state.large ?? state.shown.frame) + 1) % clip.frames;
    emit({});
  }

  /** Light up a part of the equation, a key, or nothing. */
  function light(what) {
    if (JSON.stringify(what) === JSON.stringify(state.lit)) return;
    state.lit = what;
    emit({});
  }

  /** Keep the query and read values: by the button until it is pressed again... */
  function read(on) {
    readToggled = on;
    peek(false);
  }

  /** ...by Shift while it is held. */
  function peek(held) {
    const reading = held || readToggled;
    if (state.reading === reading) return;
    state.reading = reading;
    // What is read is kept from here on, as a key would.
    const step = state.hovered !== null && !state.pinned;
    if (step && state.hovered) state.resting = state.hovered;
    state.hovered = null;
    emit({ reading: true, step });
  }

  function play(playing) {
    state.playing = playing;
    emit({});
  }

  /** The grid of keys that the block itself has: what is painted are its cells, whatever source is shown. */
  const canvas = () => head.sources[0].keys;

  /** Take up a brush of so many cells, or lay it down: null. */
  function brush(size) {
    if (size !== null && (canvas().kind ?? "grid") !== "grid") return;
    const cell = state.brush?.cell ?? nearestToken(canvas(), state.pinned ?? state.resting);
    state.brush = size === null ? null : { size, cell, from: -1, adds: true };
    state.hovered = null;
    emit({ view: true });
  }

  /** Begin a stroke: on what is painted it takes away. */
  function stroke(place) {
    if (!state.brush) return;
    const cell = place ? nearestToken(canvas(), place) : state.brush.cell;
    state.brush.adds = !paintedCells(state.view.painted, canvas().shape).includes(cell);
    state.brush.from = -1;
    dab(cell);
  }

  /** Go on with a stroke. */
  function strokeTo(place) {
    if (state.brush) dab(nearestToken(canvas(), place));
  }

  function dab(cell) {
    const held = state.brush;
    if (!held || cell === held.from) return;
    const { shape } = canvas();
    const cells = new Set(paintedCells(state.view.painted, shape));
    for (const middle of between(shape, held.from, cell)) {
      for (const one of below(shape, middle, held.size)) held.adds ? cells.add(one) : cells.delete(one);
    }
    held.cell = held.from = cell;
    const painted = paintedText(cells, shape);
    emit({ view: true, chosen: painted !== null && merge({ painted }) });
  }

  /** Move the brush by cells and frames. */
  function moveBrush(step) {
    if (!state.brush) return;
    state.brush.cell = movedCell(canvas().shape, state.brush.cell, step);
    state.large = Math.round(clipFrame(canvas(), state.brush.cell, clip.frames));
    emit({});
  }

  /** Take over fields of a view; returns whether any changed. */
  function merge(change) {
    const before = JSON.stringify(state.view);
    state.view = withoutFrames(mergedView(state.view, change, head.display, sources), head);
    return JSON.stringify(state.view) !== before;
  }

  /**
   * The reader changes the view.
   * @param {Partial<View>} change
   * @param {number|null} top end of the scale on the screen, which locking keeps
   */
  function choose(change, top = null) {
    const next = { ...change };
    if (next.scale === "locked" && top !== null) next.top = top;
    if (next.scale && next.scale !== "locked") next.top = null;
    emit({ view: true, chosen: merge(next) });
  }

  /** A query (null unpins) and a view come from outside; the query is pinned unless that is said. */
  function apply(query, view, pinned = true) {
    merge(view);
    if (query) state.resting = insideClip(query, clip);
    if (query === null) state.pinned = null;
    else if (query) state.pinned = pinned ? state.resting : null;
    emit({ view: true });
  }

  /**
   * Do as another view does: its query, as it lies here, and how it is drawn. Nothing is reported: it
   * is the other view's reader who acted.
   * @param {{hovered: Query|null, pinned: Query|null, resting: Query}} query
   * @param {Partial<View>} view
   */
  function follow({ hovered, pinned, resting }, view) {
    const changed = merge(view);
    const still = sameQuery(hovered, state.hovered) && sameQuery(pinned, state.pinned) && sameQuery(resting, state.resting);
    if (still && !changed) return;
    if (pinned && !sameQuery(pinned, state.pinned)) state.large = null;
    Object.assign(state, { hovered, pinned, resting, rule: "" });
    for (const listener of listeners) listener({ view: changed });
  }

  function subscribe(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  return {
    head, state, spec, grid, subscribe,
    hover, pin, pinWord, unpin, move, large, advance, light, read, peek, play, choose, apply, follow,
    canvas, brush, stroke, strokeTo, moveBrush,
  };
}
