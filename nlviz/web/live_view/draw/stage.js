// The large frame and the strip, with links and marks over them, and the pointer on them.

import { tableOf } from "../pure/colour.js";
import { element } from "../../shared/dom.js";
import { drawMark, drawRing, fitCanvas } from "./marks.js";
import { gridBox, nearestToken, onGrid, pixelAt, tokenBox } from "../pure/grid.js";
import { pictureAt, planStage } from "../pure/layout.js";
import { drawLinks } from "./links.js";
import { createObjects } from "./objects.js";
import { largeFrame } from "../pure/state.js";
import { createTile, drawTileCaption, drawTileFrame, drawTileMap, drawTileDetails, placeTile } from "./tile.js";

const PIN = "#3fe0ff";
const KEY = "#ffd23f";
const FULL_WIDTH_FROM = 4;

/**
 * Build the stage.
 * @param {object} clip header's clip
 * @param {object[]} pictures what decodePictures returned
 * @param {object} on hover({frame, y, x, px, py} | null), pin(query), large(frame), lit(what), inspect(index)
 * @param {object[]} found header's objects
 */
export function createStage(clip, pictures, on, signal, found = []) {
  const large = createTile({ large: true, clip });
  const strip = Array.from({ length: clip.frames > 1 ? clip.frames : 0 }, () => createTile({ large: false, clip }));
  const tiles = [large, ...strip];
  const overlay = element("canvas", { class: "nlv-overlay", "aria-hidden": "true" });
  const context = overlay.getContext("2d");
  const objects = createObjects(clip, found, on.pin, signal);
  const stage = element("div", {
    class: "nlv-stage", tabindex: "0", role: "application",
    "aria-label": "Film strip. Arrow keys move the query by one cell, comma and period by one frame, Enter pins, Escape unpins.",
  }, ...tiles.map((tile) => tile.figure), ...objects.elements, overlay);
  const table = new Uint32Array(256);
  let tableFor = "";
  let plan = null;
  let last = null;

  strip.forEach((tile, frame) => {
    tile.swap.addEventListener("click", () => on.large(frame), { signal });
  });
  large.swap.addEventListener("click", () => on.large(null), { signal });
  for (const tile of tiles) {
    const best = () => (last ? last.best[tile.frame] : -1);
    const light = () => best() >= 0 && on.lit({ key: best() });
    tile.look.addEventListener("pointerenter", light, { signal });
    tile.look.addEventListener("focus", light, { signal });
    tile.look.addEventListener("pointerleave", () => on.lit(null), { signal });
    tile.look.addEventListener("blur", () => on.lit(null), { signal });
    tile.look.addEventListener("click", () => best() >= 0 && on.inspect(best()), { signal });
  }

  function placeOf(event) {
    if (!plan || event.target.closest?.(".nlv-inspector, .nlv-object")) return null;
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

  stage.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch") return;
    const place = placeOf(event);
    stage.classList.toggle("nlv-on-object", place !== null && objectAtPlace(place) >= 0);
    on.hover(place, event);
  }, { signal });
  stage.addEventListener("pointerleave", () => on.hover(null, null), { signal });
  stage.addEventListener("click", (event) => {
    if (event.target instanceof Element && event.target.closest(".nlv-caption")) return;
    const place = placeOf(event);
    if (!place) return;
    const object = objectAtPlace(place);
    if (object >= 0) objects.pin(object);
    else on.pin({ frame: place.frame, y: place.y, x: place.x });
  }, { signal });

  function resize(width) {
    const aspect = clip.width / clip.height;
    const maxHeight = Math.max(280, Math.min(620, 0.68 * window.innerHeight));
    plan = planStage({ width, frames: clip.frames, aspect, maxHeight });
    stage.style.height = `${plan.height}px`;
    placeTile(large, plan.large);
    strip.forEach((tile, n) => placeTile(tile, plan.tiles[n]));
    fitCanvas(overlay, plan.width, plan.height);
    overlay.style.width = `${plan.width}px`;
    overlay.style.height = `${plan.height}px`;
    stage.classList.toggle("nlv-tight", plan.tiles.length > 0 && plan.tiles[0].w < 132);
  }

  /** The colours of this view; made anew only when the view changes. */
  function colours(lut, strength, diverging) {
    const wanted = `${strength} ${diverging}`;
    if (tableFor !== wanted) tableOf(diverging ? lut.diverging : lut.sequential, strength, table);
    tableFor = wanted;
    return table;
  }

  function draw(result, state, lut) {
    last = result;
    const { view } = state;
    const query = state.shown;
    const words = colours(lut, view.strength, result.scale.diverging);
    const { from, to, skipFrom, skipTo, own } = result;
    const limits = { reachFrom: from, reachTo: to, skipFrom, skipTo, own };
    drawFrames(state);
    for (const tile of tiles) {
      tile.map.classList.toggle("nlv-smooth", view.cells === "smooth");
      drawTileMap(tile, result, view, words, limits);
      drawTileCaption(tile, result, query);
    }
    strip.forEach((tile, frame) => tile.figure.classList.toggle("nlv-shown", frame === large.frame));
    drawOverlay(result, state);
  }

  /** Frames without their map: almost grey where one lies on them, in colour below arrows only. */
  function drawFrames(state) {
    const below = state.view.show !== "links";
    drawTileFrame(large, largeFrame(state), pictures, below);
    strip.forEach((tile, frame) => drawTileFrame(tile, frame, pictures, below));
    if (state.cursor?.large) state.cursor.frame = large.frame;
    drawObjects(state);
  }

  function drawObjects(state) {
    objects.draw(plan, large.frame, state.view.objects === "shown", state.pinned);
  }

  /** Numbers and thumbnails below the pictures. */
  function drawDetails(result) {
    for (const tile of tiles) drawTileDetails(tile, result, pictures);
  }

  const tileOf = (frame) => (large.frame === frame ? large : strip[frame]);

  function boxIn(tile, grid, index) {
    const box = tokenBox(grid, index, clip);
    const { x, y, w, h } = tile.box;
    return { x: x + box.left * w, y: y + box.top * h, w: box.width * w, h: box.height * h };
  }

  const middle = (box) => ({ x: box.x + box.w / 2, y: box.y + box.h / 2 });

  function eachTileOf(frame, draw) {
    if (large.frame === frame) draw(large);
    if (strip[frame]) draw(strip[frame]);
  }

  function drawOverlay(result, state) {
    const ratio = overlay.width / plan.width;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, plan.width, plan.height);
    drawObjects(state);
    const { view, lit } = state;
    const query = state.shown;
    if (view.show !== "map" || lit === "f" || lit?.key >= 0) drawArrows(result, state, query);
    if (lit === "keys" || lit === "g") {
      for (let n = Math.min(8, result.found) - 1; n >= 0; n--) ring(result, result.order[n]);
    }
    if (lit?.key >= 0) ring(result, lit.key);
    if (result.box) outlineReach(result, query);
    markQueries(result, state, query);
    stage.dataset.lit = typeof lit === "string" ? lit : lit ? "key" : "";
  }

  function ring(result, index) {
    const frame = frameOfKey(result, index);
    eachTileOf(frame, (tile) => drawRing(context, boxIn(tile, result.grid, index), KEY));
  }

  const frameOfKey = (result, index) => {
    const a = Math.floor(index / (result.grid.shape[1] * result.grid.shape[2]));
    const { covers } = result.side;
    return covers[large.frame] === a ? large.frame : Math.max(0, covers.indexOf(a));
  };

  function drawArrows(result, state, query) {
    const home = middle(boxIn(tileOf(query.frame), result.asked, result.token));
    // Keys that get less than a few times uniform attention are no strong links, whatever the rest.
    const floor = result.spec.softmax && !result.logits ? FULL_WIDTH_FROM * result.uniform : 0;
    const full = Math.max(Math.abs(result.values[result.order[0]]), floor) || 1;
    const links = [];
    const key = state.lit?.key ?? -1;
    const wanted = state.view.show === "map" && key >= 0 ? [key]
      : Array.from(result.order.subarray(0, Math.min(state.view.links, result.found)))
        .filter((index) => !result.difference || result.values[index] > 0);
    if (key >= 0 && !wanted.includes(key)) wanted.push(key);
    for (const index of wanted) {
      const there = middle(boxIn(tileOf(frameOfKey(result, index)), result.grid, index));
      const share = Math.max(0, result.values[index] / full);
      const ends = result.column ? { from: there, to: home } : { from: home, to: there };
      links.push({ ...ends, share, lit: index === key });
    }
    const strong = state.pinned && !state.hovered ? 0.92 : 0.34;
    const slim = plan.width < 520 ? 0.65 : 1;
    drawLinks(context, links, slim, state.lit === "f" ? 1 : key >= 0 ? 0.2 : strong);
  }

  /** The window of keys, and the patch around the query where patches are compared. */
  function outlineReach(result, query) {
    const { spec } = result;
    const reached = gridBox(result.grid, clip);
    tiles.filter((tile) => result.side.covers[tile.frame] >= 0).forEach((tile) => {
      const { x, y, w, h } = tile.box;
      const box = { x: x + reached.left * w, y: y + reached.top * h, w: reached.width * w, h: reached.height * h };
      drawMark(context, box, { width: 1, colour: "#fff" });
      if (spec.kind !== "patch" || spec.patch === 1 || tile.frame !== query.frame) return;
      const pixel = boxIn(tile, result.asked, result.token);
      const more = (spec.patch - 1) / 2;
      drawMark(context, { x: pixel.x - more * pixel.w, y: pixel.y - more * pixel.h, w: spec.patch * pixel.w, h: spec.patch * pixel.h }, { width: 1, colour: PIN });
    });
  }

  function markQueries(result, state, query) {
    const { pinned } = state;
    const showsPin = pinned !== null && query === pinned;
    if (pinned && !showsPin) {
      const token = nearestToken(result.asked, pinned);
      eachTileOf(pinned.frame, (tile) => drawMark(context, boxIn(tile, result.asked, token), { colour: PIN }));
    }
    eachTileOf(query.frame, (tile) => {
      const box = boxIn(tile, result.asked, result.token);
      const width = tile.large ? 2.5 : 2;
      drawMark(context, box, { dashed: !showsPin, colour: showsPin ? PIN : "#fff", width });
      if (state.lit === "query" || state.lit === "output") drawRing(context, box, PIN);
    });
    if (state.cursor && state.reading && !(result.box && !onGrid(result.grid, state.cursor))) {
      const token = nearestToken(result.grid, state.cursor);
      const box = boxIn(state.cursor.large ? large : strip[state.cursor.frame] ?? large, result.grid, token);
      drawMark(context, box, { colour: KEY, width: 1.5 });
    }
  }

  return { element: stage, resize, draw, drawFrames, drawDetails, drawOverlay, get plan() { return plan; } };
}
