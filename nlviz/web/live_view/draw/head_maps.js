// The maps of all heads side by side: small multiples of one frame, in one colour scale.

import { say } from "../../shared/language.js";
import { paintCells, shareOf, tableOf } from "../pure/colour.js";
import { createEngine } from "../pure/engine.js";
import { gridBox } from "../pure/grid.js";
import { largeFrame } from "../pure/state.js";
import { askerText, isNamed, tokenName } from "../pure/text_words.js";
import { numberText, timeText, valueText } from "../pure/words.js";
import { headText } from "../ui/head_chips.js";
import { contextOf, element, setText } from "../../shared/dom.js";
import { drawBase, fitCanvas } from "./marks.js";

const LEAST = 104; // CSS pixels of a map
const SPACE = 8;
const LINE = 22; // height of a row over words, boxes or nodes
const MOST_BARS = 240; // of such a row; where there are more, a bar is the strongest of its share

/**
 * Build the panel. It has an engine of its own: the row on the screen stays as it is.
 * @param {Container} container
 * @param {Pictures} pictures
 * @param {Lut} lut
 * @param {(change: Partial<View>) => void} onChange
 * @param {AbortSignal} signal
 */
export function createHeadMaps(container, pictures, lut, onChange, signal) {
  const { clip } = container.head;
  const heading = element("h3");
  const scaleText = element("span", { class: "nlv-dim" });
  const grid = element("div", { class: "nlv-head-grid" });
  const panel = element("section", { class: "nlv-head-maps", hidden: true, "aria-label": say("All heads side by side") },
    element("div", { class: "nlv-head-line" }, heading, scaleText), grid);
  const table = new Uint32Array(256);
  /** @type {Engine|null} */
  let engine = null;
  /** @type {any[]} */
  let tiles = [];
  let drawn = "";
  let width = 0;
  let line = false;

  grid.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("button") : null;
    if (button) onChange({ head: Number(button.value) });
  }, { signal });

  function createTile(n) {
    const base = element("canvas", { class: "nlv-base" });
    const map = element("canvas", { class: "nlv-map", width: 1, height: 1 });
    const name = element("span", { text: String(n + 1) });
    const most = element("span", { class: "nlv-dim" });
    const node = element("button", { type: "button", value: n, class: "nlv-head-map" },
      element("span", { class: "nlv-picture" }, base, map), element("span", { class: "nlv-head-caption" }, name, most));
    return { node, base, map, most, baseContext: contextOf(base, { alpha: false }), mapContext: contextOf(map), image: null, words: null, grid: null };
  }

  /** Whether the heads of a source are asked for. */
  const wanted = (view, spec) => view.heads === "all" && spec.heads > 1;

  function fill(count) {
    if (tiles.length === count) return;
    tiles = Array.from({ length: count }, (_, n) => createTile(n));
    grid.replaceChildren(...tiles.map(({ node }) => node));
    layOut();
  }

  /** As many columns as fit, of which the last row is full where it can be. */
  function layOut() {
    if (!tiles.length || !width) return;
    const most = Math.max(1, Math.floor((width + SPACE) / (LEAST + SPACE)));
    const rows = Math.ceil(tiles.length / most);
    const columns = Math.ceil(tiles.length / rows);
    const side = Math.min(240, (width - (columns - 1) * SPACE) / columns);
    grid.style.gridTemplateColumns = `repeat(${columns}, ${side}px)`;
    for (const tile of tiles) {
      const height = line ? LINE : (side * clip.height) / clip.width;
      tile.node.firstChild.style.height = `${height}px`;
      if (fitCanvas(tile.base, side, height)) tile.node.dataset.frame = "";
    }
  }

  function resize(now) {
    width = now;
    drawn = "";
    layOut();
  }

  function fitGrid(tile, of) {
    const shape = line ? [1, 1, Math.min(of.shape[2], MOST_BARS)] : of.shape;
    if (tile.grid !== shape.join()) {
      tile.grid = shape.join();
      [, tile.map.height, tile.map.width] = shape;
      tile.image = tile.mapContext.createImageData(tile.map.width, tile.map.height);
      tile.words = new Uint32Array(tile.image.data.buffer);
    }
    if (line) return;
    const box = gridBox(of, clip);
    for (const side of ["left", "top", "width", "height"]) tile.map.style[side] = `${100 * box[side]}%`;
  }

  /** One scale for all heads, up to the largest of theirs. */
  function shared(scales) {
    const hi = Math.max(...scales.map((scale) => scale.hi));
    const diverging = scales.some((scale) => scale.diverging);
    const lo = diverging ? -hi : Math.min(...scales.map((scale) => scale.lo));
    const floor = Math.max(...scales.map((scale) => scale.floor > 0 ? scale.floor / scale.hi : 0)) * hi;
    return { hi, lo, diverging, floor };
  }

  /**
   * Draw the heads of the row that is on the screen, where they are asked for.
   * @param {Result} result
   * @param {State} state
   */
  function update(result, state) {
    const { view, shown } = state;
    const count = result.spec.heads ?? 1;
    panel.hidden = !wanted(view, result.spec);
    if (panel.hidden) return;
    fill(count);
    if (line !== isNamed(result.grid)) {
      line = isNamed(result.grid);
      panel.classList.toggle("nlv-head-lines", line);
      layOut();
    }
    const frame = result.named && clip.frames === 1 ? 0 : largeFrame(state);
    const drawing = JSON.stringify([frame, shown, { ...view, head: 0, show: 0, links: 0 }]);
    if (drawing !== drawn) {
      drawn = drawing;
      drawAll(result, view, shown, frame);
    }
    tiles.forEach(({ node }, n) => {
      node.setAttribute("aria-pressed", String(n === view.head));
    });
  }

  function drawAll(shownResult, view, query, frame) {
    engine ??= createEngine(container);
    const kept = tiles.map((_, head) => {
      const row = /** @type {Engine} */ (engine).compute(query, { ...view, head });
      if (row.waiting) return null;
      const [, h, w] = row.grid.shape;
      const from = line ? 0 : row.side.covers[frame] * h * w;
      const { from: reachFrom, to: reachTo, skipFrom, skipTo, own } = row;
      return { row: { ...row }, values: Float32Array.from(row.values), grid: row.grid, plane: h * w, from, limits: { reachFrom, reachTo, skipFrom, skipTo, own } };
    }).filter((each) => each !== null);
    if (kept.length < tiles.length) return;
    const scale = shared(kept.map(({ row }) => row.scale));
    tableOf(scale.diverging ? lut.diverging : lut.sequential, view.strength, table);
    kept.forEach((each, n) => {
      drawOne(tiles[n], each, frame, scale, view, n);
    });
    const who = shownResult.named ? askerText(shownResult) : isNamed(shownResult.asked) ? tokenName(shownResult.asked, shownResult.token) : shownResult.column ? say("Who looks at this point") : say("This point");
    setText(heading, clip.frames > 1 && !line ? say("{name}, every head, at {time}", { name: who, time: timeText(frame, clip) }) : say("{name}, every head", { name: who }));
    const end = shownResult.logits ? numberText(scale.hi) : valueText(scale.hi, kept[0].row, view.unit);
    setText(scaleText, say("one colour scale, up to {end}", { end }));
  }

  function drawOne(tile, { row, values, grid: of, plane, from, limits }, frame, scale, view, n) {
    if (!line && tile.node.dataset.frame !== String(frame)) {
      drawBase(tile.baseContext, pictures[frame].ground);
      tile.node.dataset.frame = String(frame);
    }
    fitGrid(tile, of);
    tile.map.classList.toggle("nlv-smooth", view.cells === "smooth");
    const reached = from >= 0;
    tile.map.style.visibility = reached ? "visible" : "hidden";
    const most = valueText(row.most, row, view.unit);
    setText(tile.most, most);
    tile.node.setAttribute("aria-label", say("{head}, strongest key {most}: show it large", { head: headText(n, tiles.length), most }));
    if (!reached) return;
    if (line) paintBars(tile.words, values, scale, limits);
    else paintCells(tile.words, values, from, from + plane, table, scale, limits);
    tile.mapContext.putImageData(tile.image, 0, 0);
  }

  /** A row without a picture: a bar for each token, or for the strongest of several. */
  function paintBars(words, values, scale, { reachFrom, reachTo }) {
    const size = values.length;
    const count = words.length;
    for (let n = 0; n < count; n++) {
      let most = NaN;
      for (let j = Math.floor((n * size) / count); j < Math.ceil(((n + 1) * size) / count); j++) {
        if (j >= reachFrom && j < reachTo && !(Math.abs(values[j]) <= Math.abs(most)) && !Number.isNaN(values[j])) most = values[j];
      }
      words[n] = Number.isNaN(most) ? 0 : table[Math.round(255 * shareOf(most, scale))];
    }
  }

  return { element: panel, update, resize, wanted };
}
