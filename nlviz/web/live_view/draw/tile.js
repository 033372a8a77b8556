// One picture of the stage: grey frame, map over it, hatching, caption with mass and best key.

import { say } from "../../shared/language.js";
import { paintCells } from "../pure/colour.js";
import { element, heard, setText } from "../../shared/dom.js";
import { cropSide, drawBase, drawCrop, fitCanvas } from "./marks.js";
import { gridBox, tokenCentre } from "../pure/grid.js";
import { isNamed } from "../pure/text_words.js";
import { isSimilarity } from "../pure/similarity.js";
import { changeText, numberText, percentText, timeText } from "../pure/words.js";

const THUMB = 28;

/** Make the elements of a tile; `large` is the tile whose frame changes. */
export function createTile({ large, clip }) {
  const base = element("canvas", { class: "nlv-base" });
  const map = element("canvas", { class: "nlv-map", width: 1, height: 1 });
  const hatch = element("div", { class: "nlv-hatch", hidden: true }, element("span"));
  const picture = element("div", { class: "nlv-picture" }, base, map, hatch);
  const thumb = element("canvas", { width: 2 * THUMB, height: 2 * THUMB });
  const look = element("button", {
    class: "nlv-best", type: "button",
    "data-tip": say("The key of this frame with the most weight: hover to see where it lies, click to compare it with the query"),
  }, thumb);
  const when = element("span", { class: "nlv-when" });
  const share = element("span", { class: "nlv-share" });
  const fill = element("i");
  const note = large ? element("span", { class: "nlv-note" }) : null;
  const does = heard("");
  const swap = element("button", { class: "nlv-swap", type: "button" },
    element("span", { class: "nlv-line" }, when, heard(clip.frames > 1 ? ", " : ""), note, heard(large && clip.frames > 1 ? ", " : ""), share, does),
    element("span", { class: "nlv-mass", "aria-hidden": "true" }, fill));
  const caption = element("figcaption", { class: "nlv-caption" }, look, swap);
  const kinds = `nlv-tile${large ? " nlv-large" : ""}${clip.frames > 1 ? "" : " nlv-still"}`;
  const figure = element("figure", { class: kinds }, picture, caption);
  return {
    large, clip, figure, picture, base, map, hatch, look, thumb, when, share, fill, note, swap, does,
    baseContext: base.getContext("2d", { alpha: false }), mapContext: map.getContext("2d"),
    thumbContext: thumb.getContext("2d"),
    frame: -1, drawn: "", grid: null, image: null, words: null, shown: null, box: null,
  };
}

/** Move a tile to its box of the plan. */
export function placeTile(tile, box) {
  tile.box = box;
  const { style } = tile.figure;
  style.left = `${box.x}px`;
  style.top = `${box.y}px`;
  style.width = `${box.w}px`;
  tile.picture.style.height = `${box.h}px`;
  if (fitCanvas(tile.base, box.w, box.h)) tile.drawn = "";
}

/** Draw a frame, as it looks below a map or as it is, unless it is there already. */
export function drawTileFrame(tile, frame, pictures, below) {
  const wanted = `${frame} ${below}`;
  if (tile.drawn === wanted) return;
  tile.drawn = wanted;
  tile.frame = frame;
  drawBase(tile.baseContext, below ? pictures[frame].ground : pictures[frame].colour);
}

function fitGrid(tile, grid) {
  if (tile.grid === grid) return;
  tile.grid = grid;
  const [, h, w] = grid.shape;
  tile.map.width = w;
  tile.map.height = h;
  const box = gridBox(grid, tile.clip);
  const percent = (value) => `${100 * value}%`;
  Object.assign(tile.map.style, {
    left: percent(box.left), top: percent(box.top),
    width: percent(box.width), height: percent(box.height),
  });
  tile.image = tile.mapContext.createImageData(w, h);
  tile.words = new Uint32Array(tile.image.data.buffer);
}

/** Draw the cells of the tile's frame. */
export function drawTileMap(tile, result, view, table, limits) {
  if (isNamed(result.grid)) {
    // Words, boxes and nodes are drawn elsewhere.
    tile.map.style.visibility = "hidden";
    tile.hatch.hidden = true;
    return;
  }
  fitGrid(tile, result.grid);
  const plane = result.grid.shape[1] * result.grid.shape[2];
  const a = result.side.covers[tile.frame];
  const visible = view.show !== "links" && a >= 0;
  tile.map.style.visibility = visible ? "visible" : "hidden";
  const from = a * plane;
  const outside = a < 0 || result.side.planeKeys[a] === 0;
  const skipped = !outside && result.skipFrom <= from && result.skipTo >= from + plane;
  tile.hatch.hidden = !(outside || skipped);
  tile.hatch.classList.toggle("nlv-skipped", skipped);
  setText(tile.hatch.firstChild, skipped ? say("hidden") : a < 0 && !result.box ? say("no keys here") : say("not reachable"));
  if (!visible) return;
  let { lo, hi } = result.scale;
  if (view.scale === "frame" && !result.logits) {
    hi = Math.max(result.side.planeMost[a], 1e-30);
    lo = result.scale.diverging ? -hi : 0;
  }
  paintCells(tile.words, result.values, from, from + plane, table, { ...result.scale, lo, hi }, limits);
  tile.mapContext.putImageData(tile.image, 0, 0);
}

/** Show time and mass below the picture: what may change with every move, without any layout. */
export function drawTileCaption(tile, result, query) {
  const { clip, frame } = tile;
  const mass = result.mass[frame];
  const away = tile.large && frame !== query.frame;
  const shown = `${frame} ${away}`;
  if (tile.shown !== shown) {
    tile.shown = shown;
    tile.when.textContent = clip.frames > 1 ? timeText(frame, clip) : result.grid.kind === "nodes" ? "" : say("Strongest key");
    const place = say("frame {n} of {count}", { n: frame + 1, count: clip.frames });
    const back = away ? say(" · back to the query's frame") : "";
    if (clip.frames > 1) tile.does.textContent = tile.large ? "" : say(", {place}, show it large", { place });
    const label = clip.frames > 1 ? say("Strongest key of the frame at {time}: compare it with the query", { time: timeText(frame, clip) }) : say("Strongest key: compare it with the query");
    tile.look.setAttribute("aria-label", label);
    if (tile.note) tile.note.textContent = clip.frames > 1 ? place + back : "";
  }
  tile.figure.classList.toggle("nlv-own", frame === query.frame);
  const long = isSimilarity(result.spec) ? Math.max(result.values[result.best[frame]] ?? 0, 0) : Math.abs(mass) / result.barUnit;
  tile.fill.style.transform = `scaleX(${Number.isFinite(long) && result.grid.kind !== "line" ? long.toFixed(3) : 0})`;
  tile.fill.classList.toggle("nlv-less", mass < 0);
}

/** Write the share and draw the frame's strongest key into the caption. */
export function drawTileDetails(tile, result, pictures) {
  const index = result.best[tile.frame];
  // Words stand in no frame.
  if (result.grid.kind === "line" || result.grid.kind === "nodes" || (result.grid.kind === "boxes" && index < 0)) {
    setText(tile.share, "–");
    tile.look.disabled = true;
    tile.look.style.visibility = "hidden";
    return;
  }
  const say = result.balanced ? changeText : percentText;
  const said = isSimilarity(result.spec) ? (index < 0 ? "–" : numberText(result.values[index])) : say(result.mass[tile.frame]);
  setText(tile.share, tile.hatch.hidden ? said : "–");
  tile.look.disabled = index < 0;
  tile.look.style.visibility = index < 0 ? "hidden" : "visible";
  if (index < 0) return;
  const { thumbContext: context, thumb } = tile;
  const centre = tokenCentre(result.grid, index);
  const picture = pictures[tile.frame].colour;
  drawCrop(context, picture, tile.clip, centre, cropSide(result.grid, index), 0, 0, thumb.width);
}
