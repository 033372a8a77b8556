// At most one drawing a frame: the row of the query on the screen, and what is said of it.

import { say, texts } from "../shared/language.js";
import { nearestToken } from "./pure/grid.js";
import { activeQuery, askedPlace, describe } from "./pure/state.js";
import { isNamed, kindText } from "./pure/text_words.js";
import { acrossText, waitingFor } from "./pure/sentences.js";

/** What a token of a grid is; `cell` where it is one of a picture. */
const kindOf = (grid, cell) => (isNamed(grid) ? kindText(grid, 1) : say(cell));

const DETAILS_EVERY = 80; // milliseconds

/**
 * @param {HTMLElement} root
 * @param {Store} store
 * @param {Engine} engine
 * @param {Parts} parts stage, words (beside pictures, or null), bar, readout, sentence, equation, queryBar, headMaps, closeup (or null)
 * @param {{lut: Lut, served: boolean, timings: number[], watched?: ?((query: Query|null) => void), beside?: ?Beside}} how
 *   served: whether rows that the browser cannot compute come when they are asked for; watched is told
 *   the query under the pointer; beside: another view that is moved with this one
 */
export function createPainter(root, store, engine, parts, { lut, served, timings, watched = null, beside = null }) {
  const { head, state } = store;
  const { stage, words, bar, readout, sentence, equation, queryBar, headMaps, closeup } = parts;
  /** @type {Result|null} */
  let result = null;
  /** @type {Result|null} */
  let kept = null;
  let resultFor = "";
  let keptFor = "";
  let drawnFor = "";
  let frameRequest = 0;
  let detailsTimer = 0;
  let detailsAt = 0;
  let width = 0;

  function request() {
    frameRequest ||= requestAnimationFrame(draw);
  }

  /** Draw everything again, for instance at another width. */
  function redraw(now = width) {
    width = now;
    drawnFor = "";
    detailsAt = 0;
    request();
  }

  function draw() {
    frameRequest = 0;
    const start = performance.now();
    const query = activeQuery(state);
    const before = resultFor;
    compute(query);
    state.shown = state.waiting && result ? head.query : query;
    if (result) drawResult(query);
    else drawWithout(query);
    if (!state.hovered || !result) queryBar.update(query, state);
    describe(root, query, state, store.spec().key, result?.named?.word);
    if (resultFor !== before) timings.push(performance.now() - start);
    if (timings.length > 2000) timings.splice(0, 1000);
  }

  /** Compute the row of the query unless it is there; a row that is not there leaves the last one. */
  function compute(query) {
    const wanted = `${nearestToken(store.grid(), askedPlace(query))} ${query.word} ${JSON.stringify(state.view)}`;
    if (wanted === resultFor) return;
    resultFor = wanted;
    const next = engine.compute(query, state.view);
    state.waiting = next.waiting;
    if (!next.waiting) result = next;
    else if (result && result.spec !== next.spec) result = engine.compute(head.query, state.view);
    if (result?.waiting) result = null;
    drawnFor = "";
  }

  /** @param {Query} query */
  function drawResult(query) {
    if (!result) return;
    beside?.rescale(result, state.view);
    const wanted = `${resultFor} ${state.large ?? state.shown.frame} ${state.shown.frame} ${beside ? result.scale.hi : ""}`;
    if (wanted !== drawnFor) {
      drawnFor = wanted;
      stage.draw(result, state, lut);
      words?.draw(result, state, lut);
      bar.update(result, state.view, stage.ink ?? null);
      details();
    } else {
      stage.drawOverlay(result, state);
      words?.drawOverlay(result, state);
    }
    if ((query === state.pinned || result.named) && !state.hovered && !state.waiting) keepRow();
    updateReadout();
    beside?.drawn();
  }

  /** A row that only the server knows, and has not sent: frames without a map. */
  function drawWithout(query) {
    stage.drawFrames(state);
    words?.drawFrames();
    sentence.update(null, query, head, waitingFor(state, !served, store.spec()));
    beside?.drawn();
  }

  /** The pinned row is kept, so that its values can be read while another is previewed. */
  function keepRow() {
    if (keptFor === resultFor || !result) return;
    keptFor = resultFor;
    kept = { ...result, values: Float32Array.from(result.values), words: result.words && Float32Array.from(result.words) };
  }

  function updateReadout() {
    if (!result) return;
    const row = state.hovered && kept && !state.reading ? kept : result;
    const [who, what] = [row.named ? say("word") : kindOf(row.asked, texts("point")), state.cursor?.strip === undefined ? kindOf(row.grid, texts("cell")) : say("word")];
    const label = state.hovered && !state.reading ? (row === kept ? say("the pinned {who} gives this {what}", { who, what }) : say("its own {what}", { what })) : "";
    const value = readout.update(state.cursor, row, state.view.unit, label, width);
    bar.point(state.cursor && row === result ? value : null, result.scale);
  }

  /** Words and thumbnails are read, not followed: while the pointer moves they come less often. */
  function details() {
    if (!result) return;
    const now = performance.now();
    clearTimeout(detailsTimer);
    if (now - detailsAt < DETAILS_EVERY) {
      detailsTimer = setTimeout(details, DETAILS_EVERY - (now - detailsAt));
      return;
    }
    detailsAt = now;
    stage.drawDetails(result);
    words?.drawDetails(result);
    equation.update(result);
    equation.drawThumbs(result, state.shown, engine.frameOf);
    sentence.update(result, state.shown, head, waitingFor(state, !served, store.spec()) ?? acrossText(result, state.view, head.clip));
    queryBar.update(activeQuery(state), state);
    headMaps.update(result, state);
    watched?.(state.hovered);
    closeup?.update(result, state.shown, state.hovered !== null);
  }

  function stop() {
    cancelAnimationFrame(frameRequest);
    clearTimeout(detailsTimer);
  }

  return { request, redraw, stop, get result() { return result; }, get of() { return resultFor; } };
}
