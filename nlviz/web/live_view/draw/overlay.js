// What lies over the pictures: arrows, rings around lit keys, marks of queries, the window of keys.

import { contextOf, element } from "../../shared/dom.js";
import { clipFrame, gridBox, nearestToken, onGrid, tokenBox, tokenFrames } from "../pure/grid.js";
import { isPlaced } from "../pure/placed.js";
import { isNamed } from "../pure/text_words.js";
import { drawLinks } from "./links.js";
import { drawMark, drawRing, fitCanvas } from "./marks.js";
import { drawPainted } from "./painted_cells.js";
import { drawPlaced, isGated } from "./placed_tokens.js";

const PIN = "#3fe0ff";
const KEY = "#ffd23f";
const FULL_WIDTH_FROM = 4;

const middle = (box) => ({ x: box.x + box.w / 2, y: box.y + box.h / 2 });

/** The stripes of a frame that is not reached, for cells. */
function hatchOf(context) {
  const side = 10;
  const tile = element("canvas", { width: side, height: side });
  const stripes = contextOf(tile);
  stripes.fillStyle = "rgb(10 12 16 / 0.36)";
  stripes.fillRect(0, 0, side, side);
  stripes.strokeStyle = "rgb(255 255 255 / 0.2)";
  stripes.lineWidth = 1.5;
  for (const shift of [-side, 0, side]) {
    stripes.beginPath();
    stripes.moveTo(shift - 1, side + 1);
    stripes.lineTo(shift + side + 1, -1);
    stripes.stroke();
  }
  return context.createPattern(tile, "repeat");
}

/**
 * Build the layer.
 * @param {Clip} clip
 * @param {any} large the tile whose frame changes
 * @param {any[]} strip tile of every frame; empty where there is one frame only
 * @param {Grid|null} keys the grid whose cells can be painted
 */
export function createOverlay(clip, large, strip, keys = null) {
  const canvas = element("canvas", { class: "nlv-overlay", "aria-hidden": "true" });
  const context = contextOf(canvas);
  let width = 0;
  let height = 0;
  /** @type {Uint32Array} */
  let colours = new Uint32Array(256);
  /** @type {CanvasPattern|null} */
  let hatch = null;
  const covers = keys && !isNamed(keys) ? tokenFrames(keys, clip.frames) : null;

  /** @param {Plan} plan */
  function resize(plan) {
    ({ width, height } = plan);
    fitCanvas(canvas, width, height);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }

  /**
   * Draw everything anew.
   * @param {Result} result
   * @param {State} state
   * @param {Uint32Array|null} table colours of the row, where they may be others than before
   */
  function draw(result, state, table = null) {
    colours = table ?? colours;
    const ratio = canvas.width / width;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const { view, lit } = state;
    if (isPlaced(result.grid) || isPlaced(result.asked)) drawTokens(result, state);
    if (!isNamed(result.grid)) hatchBeyond(result);
    if (keys && covers) drawPainted(context, [large, ...strip], covers, keys, state);
    const key = litKey(state);
    if (view.show !== "map" || lit === "f" || key >= 0) drawArrows(result, state);
    if (lit === "keys" || lit === "g") {
      for (let n = Math.min(8, result.found) - 1; n >= 0; n--) ring(result, result.order[n]);
    }
    if (key >= 0) ring(result, key);
    if (result.box) outlineReach(result, state.shown);
    markQueries(result, state);
  }

  /** Boxes and nodes: those of the row tinted, those that ask outlined. */
  function drawTokens(result, state) {
    for (const tile of [large, ...strip]) {
      const picture = { rect: tile.box, frame: tile.frame, clip, large: tile.large };
      const tinted = isPlaced(result.grid) && state.view.show !== "links" ? { result, table: colours } : null;
      if (isPlaced(result.asked) && (!isPlaced(result.grid) || result.grid.shape[2] !== result.asked.shape[2])) drawPlaced(context, result.asked, picture, null);
      if (isPlaced(result.grid)) drawPlaced(context, result.grid, picture, tinted);
    }
  }

  /** @param {State} state */
  const litKey = ({ lit }) => (lit && typeof lit !== "string" ? lit.key : -1);
  const tileOf = (frame) => (large.frame === frame ? large : strip[frame]);

  function eachTileOf(frame, show) {
    if (large.frame === frame) show(large);
    if (strip[frame]) show(strip[frame]);
  }

  function boxIn(tile, grid, index) {
    const box = tokenBox(grid, index, clip);
    const { x, y, w, h } = tile.box;
    return { x: x + box.left * w, y: y + box.top * h, w: box.width * w, h: box.height * h };
  }

  /** Frame that shows a key: the large one where it can. */
  function frameOfKey(result, index) {
    if (isPlaced(result.grid)) return clipFrame(result.grid, index, clip.frames);
    const a = Math.floor(index / (result.grid.shape[1] * result.grid.shape[2]));
    const { covers } = result.side;
    return covers[large.frame] === a ? large.frame : Math.max(0, covers.indexOf(a));
  }

  function ring(result, index) {
    if (result.grid.kind === "line") return;
    eachTileOf(frameOfKey(result, index), (tile) => drawRing(context, boxIn(tile, result.grid, index), KEY));
  }

  /** The keys that get an arrow, strongest first. */
  function linked(result, state, key) {
    if (state.view.show === "map" && key >= 0) return [key];
    const wanted = Array.from(result.order.subarray(0, Math.min(state.view.links, result.found)))
      .filter((index) => (!result.difference || result.values[index] > 0) && !(isPlaced(result.grid) && isGated(result, index)));
    if (key >= 0 && !wanted.includes(key)) wanted.push(key);
    return wanted;
  }

  function drawArrows(result, state) {
    if (result.named || result.spec.across || result.grid.kind === "line") return; // it stands nowhere here
    const home = middle(boxIn(tileOf(state.shown.frame), result.asked, result.token));
    // Keys that get less than a few times uniform attention are no strong links, whatever the rest.
    const floor = result.spec.softmax && !result.logits ? FULL_WIDTH_FROM * result.uniform : 0;
    const full = Math.max(Math.abs(result.values[result.order[0]]), floor) || 1;
    const key = litKey(state);
    const links = linked(result, state, key).map((index) => {
      const there = middle(boxIn(tileOf(frameOfKey(result, index)), result.grid, index));
      const share = Math.max(0, result.values[index] / full);
      // Edges of a graph end in the target, which takes from their sources.
      const edge = isPlaced(result.grid) && isPlaced(result.asked);
      const ends = result.column !== edge ? { from: there, to: home } : { from: home, to: there };
      return { ...ends, share, lit: index === key };
    });
    const strong = state.hovered ? 0.34 : 0.92;
    const slim = width < 520 ? 0.65 : 1;
    const wide = isPlaced(result.grid) ? 1.9 : 1;
    drawLinks(context, links, wide * slim, state.lit === "f" ? 1 : key >= 0 ? 0.2 : strong);
  }

  /** Hatch the cells that the query does not reach, in frames where it reaches others. */
  function hatchBeyond({ side, grid, values, from, to }) {
    const [, h, w] = grid.shape;
    for (const tile of [large, ...strip]) {
      const a = side.covers[tile.frame];
      if (a < 0 || side.planeKeys[a] === 0 || side.planeKeys[a] === h * w) continue;
      context.fillStyle = hatch ??= hatchOf(context);
      for (let b = 0; b < h; b++) {
        for (let c = 0; c < w; c++) {
          const first = c;
          const at = (a * h + b) * w;
          while (c < w && (at + c < from || at + c >= to || Number.isNaN(values[at + c]))) c++;
          if (c === first) continue;
          const [left, right] = [boxIn(tile, grid, at + first), boxIn(tile, grid, at + c - 1)];
          context.fillRect(left.x, left.y, right.x + right.w - left.x, left.h);
        }
      }
    }
  }

  /** The window of keys, and the patch around the query where patches are compared. */
  function outlineReach(result, query) {
    const { spec } = result;
    const reached = gridBox(result.grid, clip);
    for (const tile of [large, ...strip]) {
      if (result.side.covers[tile.frame] < 0) continue;
      const { x, y, w, h } = tile.box;
      const box = { x: x + reached.left * w, y: y + reached.top * h, w: reached.width * w, h: reached.height * h };
      drawMark(context, box, { width: 1, colour: "#fff" });
      if (spec.kind !== "patch" || spec.patch === 1 || tile.frame !== query.frame) continue;
      const pixel = boxIn(tile, result.asked, result.token);
      const more = (spec.patch - 1) / 2;
      drawMark(context, { x: pixel.x - more * pixel.w, y: pixel.y - more * pixel.h, w: spec.patch * pixel.w, h: spec.patch * pixel.h }, { width: 1, colour: PIN });
    }
  }

  function markQueries(result, state) {
    const { pinned, shown: query, cursor } = state;
    if (!result.named && result.asked.kind !== "line") markPlaces(result, state, pinned, query);
    if (cursor && cursor.strip === undefined && state.reading && result.grid.kind !== "line" && !(result.box && !onGrid(result.grid, cursor))) {
      const token = nearestToken(result.grid, cursor);
      const box = boxIn(cursor.large ? large : strip[cursor.frame] ?? large, result.grid, token);
      drawMark(context, box, { colour: KEY, width: 1.5 });
    }
  }

  function markPlaces(result, state, pinned, query) {
    if (result.spec.across) return; // the query lies in another clip
    const showsPin = pinned !== null && query === pinned;
    if (pinned && !showsPin) {
      const token = nearestToken(result.asked, pinned);
      eachTileOf(pinned.frame, (tile) => drawMark(context, boxIn(tile, result.asked, token), { colour: PIN }));
    }
    eachTileOf(query.frame, (tile) => {
      const box = boxIn(tile, result.asked, result.token);
      drawMark(context, box, { dashed: !showsPin, colour: showsPin ? PIN : "#fff", width: tile.large ? 2.5 : 2 });
      if (state.lit === "query" || state.lit === "output") drawRing(context, box, PIN);
    });
  }

  return { element: canvas, resize, draw };
}
