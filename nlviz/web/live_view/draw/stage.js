// The large frame and the strip, with links and marks over them, and the pointer on them.

import { say } from "../../shared/language.js";
import { tableOf } from "../pure/colour.js";
import { element, topOfPage } from "../../shared/dom.js";
import { pixelAt } from "../pure/grid.js";
import { CAPTION, pictureAt, planStage } from "../pure/layout.js";
import { createObjects } from "./objects.js";
import { createOverlay } from "./overlay.js";
import { largeFrame } from "../pure/state.js";
import { createTile, drawTileCaption, drawTileFrame, drawTileMap, drawTileDetails, placeTile } from "./tile.js";

const NO_PLAN = { width: 0, height: 0, large: { x: 0, y: 0, w: 0, h: 0 }, tiles: [], beside: false };

/** Make captions of the tiles work: show a frame large, light up or compare its strongest key. */
function listenBelow(large, strip, on, bestOf, signal) {
  strip.forEach((tile, frame) => {
    tile.swap.addEventListener("click", () => on.large(frame), { signal });
  });
  large.swap.addEventListener("click", () => on.large(null), { signal });
  for (const tile of [large, ...strip]) {
    const light = () => {
      if (bestOf(tile) >= 0) on.lit({ key: bestOf(tile) });
    };
    tile.look.addEventListener("pointerenter", light, { signal });
    tile.look.addEventListener("focus", light, { signal });
    tile.look.addEventListener("pointerleave", () => on.lit(null), { signal });
    tile.look.addEventListener("blur", () => on.lit(null), { signal });
    tile.look.addEventListener("click", () => bestOf(tile) >= 0 && on.inspect(bestOf(tile)), { signal });
  }
}

/** Make the pictures answer to the pointer; `placeOf` says where in the clip an event is. */
function listenOn(stage, placeOf, objectAtPlace, objects, on, signal) {
  stage.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch") return;
    const place = placeOf(event);
    stage.classList.toggle("nlv-on-object", place !== null && objectAtPlace(place) >= 0);
    on.hover(place);
  }, { signal });
  stage.addEventListener("pointerleave", () => on.hover(null), { signal });
  const onCaption = ({ target }) => target instanceof Element && target.closest(".nlv-caption, .nlv-inspector") !== null;
  stage.addEventListener("pointerdown", (event) => {
    const place = on.brushing() && event.button === 0 && !onCaption(event) ? placeOf(event) : null;
    if (!place) return;
    stage.setPointerCapture(event.pointerId);
    on.stroke(place);
    event.preventDefault();
    stage.focus({ preventScroll: true });
  }, { signal });
  stage.addEventListener("pointermove", (event) => {
    const place = on.brushing() && stage.hasPointerCapture(event.pointerId) ? placeOf(event) : null;
    if (place) on.strokeTo(place);
  }, { signal });
  stage.addEventListener("click", (event) => {
    if (onCaption(event) || on.brushing()) return;
    const place = placeOf(event);
    if (!place) return;
    const object = objectAtPlace(place);
    if (object >= 0) objects.pin(object);
    else on.pin({ frame: place.frame, y: place.y, x: place.x });
  }, { signal });
}

/**
 * Build the stage.
 * @param {Clip} clip
 * @param {Pictures} pictures
 * @param {Handlers} on hover(place | null), pin(query), large(frame), lit(what), inspect(index)
 * @param {AbortSignal} signal
 * @param {Detected[]} found header's objects
 * @param {Grid|null} keys the grid whose cells can be painted
 */
export function createStage(clip, pictures, on, signal, found = [], keys = null) {
  const large = createTile({ large: true, clip });
  const strip = Array.from({ length: clip.frames > 1 ? clip.frames : 0 }, () => createTile({ large: false, clip }));
  const tiles = [large, ...strip];
  const overlay = createOverlay(clip, large, strip, keys);
  const objects = createObjects(clip, found, on.pin, signal);
  const stage = element("div", {
    class: "nlv-stage", tabindex: "0", role: "application",
    "aria-label": say("Film strip. Arrow keys move the query by one cell, comma and period by one frame, Enter pins, Escape unpins."),
  }, ...tiles.map((tile) => tile.figure), ...objects.elements, overlay.element);
  const table = new Uint32Array(256);
  let tableFor = "";
  /** @type {Plan} */
  let plan = NO_PLAN;
  /** @type {Result|null} */
  let last = null;

  listenBelow(large, strip, on, (tile) => (last ? last.best[tile.frame] : -1), signal);
  listenOn(stage, placeOf, objectAtPlace, objects, on, signal);

  /** @returns {Place|null} */
  function placeOf(event) {
    if (event.target.closest?.(".nlv-inspector, .nlv-object")) return null;
    const frame = stage.getBoundingClientRect();
    const px = event.clientX - frame.left;
    const py = event.clientY - frame.top;
    const hit = pictureAt(plan, px, py);
    if (!hit) return null;
    const { box, n } = hit;
    const at = pixelAt((px - box.x) / box.w, (py - box.y) / box.h, clip);
    return { frame: n < 0 ? large.frame : n, ...at, px, py, large: n < 0 };
  }

  /** The object on whose border a place lies, or -1. */
  function objectAtPlace({ frame, large: inLarge, px, py }) {
    return objects.at(frame, inLarge ? plan.large : plan.tiles[frame], px, py);
  }

  /**
   * Fit the pictures into this width and, where that leaves enough, into the first screen.
   * @param {number} width
   * @param {number} share of the height that they may take, where something else is to be seen beside
   */
  function resize(width, share = 1) {
    const aspect = clip.width / clip.height;
    const free = window.innerHeight - topOfPage(stage) - CAPTION - 12;
    const maxHeight = share * Math.max(180, 0.36 * window.innerHeight, Math.min(free, 0.8 * window.innerHeight));
    plan = planStage({ width, frames: clip.frames, aspect, maxHeight });
    stage.style.height = `${plan.height}px`;
    stage.style.width = `${plan.width}px`;
    placeTile(large, plan.large);
    strip.forEach((tile, n) => {
      placeTile(tile, plan.tiles[n]);
    });
    overlay.resize(plan);
    stage.classList.toggle("nlv-tight", plan.tiles.length > 0 && plan.tiles[0].w < 132);
  }

  /** The colours of this view; made anew only when the view changes. */
  function colours(lut, strength, diverging) {
    const wanted = `${strength} ${diverging}`;
    if (tableFor !== wanted) tableOf(diverging ? lut.diverging : lut.sequential, strength, table);
    tableFor = wanted;
    return table;
  }

  /**
   * Draw the map of a row.
   * @param {Result} result
   * @param {State} state
   * @param {Lut} lut
   */
  function draw(result, state, lut) {
    last = result;
    const { view } = state;
    const words = colours(lut, view.strength, result.scale.diverging);
    const { from, to, skipFrom, skipTo, own } = result;
    const limits = { reachFrom: from, reachTo: to, skipFrom, skipTo, own };
    drawFrames(state);
    for (const tile of tiles) {
      tile.map.classList.toggle("nlv-smooth", view.cells === "smooth");
      drawTileMap(tile, result, view, words, limits);
      drawTileCaption(tile, result, state.shown);
    }
    strip.forEach((tile, frame) => {
      tile.figure.classList.toggle("nlv-shown", frame === large.frame);
    });
    drawOverlay(result, state, words);
    stage.classList.toggle("nlv-plain", result.asked.kind === "nodes" && result.grid.kind === "nodes");
  }

  /** Frames without their map: almost grey where one lies on them, in colour below arrows only. */
  function drawFrames(state) {
    const below = state.view.show !== "links";
    drawTileFrame(large, largeFrame(state), pictures, below);
    strip.forEach((tile, frame) => {
      drawTileFrame(tile, frame, pictures, below);
    });
    if (state.cursor?.large) state.cursor.frame = large.frame;
    drawObjects(state);
  }

  function drawObjects(state) {
    stage.classList.toggle("nlv-brushing", state.brush !== null);
    objects.draw(plan, large.frame, state.view.objects === "shown", state.pinned);
  }

  /** Numbers and thumbnails below the pictures. */
  function drawDetails(result) {
    for (const tile of tiles) drawTileDetails(tile, result, pictures);
  }

  /**
   * @param {Result} result
   * @param {State} state
   * @param {Uint32Array|null} words colours of the row, where they may be others than before
   */
  function drawOverlay(result, state, words = null) {
    drawObjects(state);
    overlay.draw(result, state, words);
    stage.dataset.lit = typeof state.lit === "string" ? state.lit : state.lit ? "key" : "";
  }

  return { element: stage, resize, draw, drawFrames, drawDetails, drawOverlay, get plan() { return plan; } };
}
