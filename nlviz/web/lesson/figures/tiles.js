// Several small maps or pictures side by side, on one scale, each with its name; they can be chosen from.

import { paintCells, rowScale, tableOf } from "../../live_view/pure/colour.js";
import { contextOf, element } from "../../shared/dom.js";

const CLEAR = { reachFrom: 0, reachTo: Infinity, skipFrom: 0, skipTo: 0, own: -1 };

/**
 * One scale for several maps: from 0 to the strongest, or around 0 where a value is negative.
 * @param {ArrayLike<number>[]} maps
 * @param {number|null} [top] an end that is given
 */
export function commonScale(maps, top = null) {
  let least = 0;
  let most = 0;
  for (const map of maps) {
    for (let n = 0; n < map.length; n++) {
      if (map[n] < least) least = map[n];
      if (map[n] > most) most = map[n];
    }
  }
  const size = Math.max(most, -least);
  return rowScale({ sorted: [size], rank: 0, least, most, unit: 1, signed: least < 0, fixed: top });
}

/**
 * @typedef {{id: string, name: string, note?: string, rows: number, columns: number, values?: ArrayLike<number>,
 *   pixels?: ArrayLike<number>, ground?: ArrayLike<number>, query?: [number, number]|null,
 *   marks?: {row: number, column: number, kind?: string}[], scale?: Scale}} TileSpec
 * values: (rows x columns) of a map; pixels: (rows x columns x 3) bytes of a picture; ground: likewise, below a
 *   map, of any size that divides; query and marks in cells; scale: its own in place of the common one
 */

/**
 * @param {LessonData} data its sections lut_seq and lut_div are the colours
 * @param {{label: string, name?: string, side?: number, chosen?: ((id: string) => void)|null, pointed?: ((id: string, row: number, column: number) => void)|null}} about
 *   name: of the control, for tests; side: least width of a tile in CSS pixels; chosen: tiles are buttons; pointed: a
 *   cell of a map was clicked, or moved to by arrow keys; on a tile without the query, Enter, Space and arrow keys bring it there
 */
export function createTiles(data, { label, name = "tile", side = 150, chosen = null, pointed = null }) {
  const box = element("div", { class: "nlesson-tiles", role: "group", "aria-label": label, style: `--side:${side}px` });
  const tables = { seq: tableOf(data.array("lut_seq").data, 1), div: tableOf(data.array("lut_div").data, 1) };
  /** @type {string|string[]} */
  let pressed = "";
  /** Where the query is, in whichever tile. @type {[number, number]|null} */
  let place = null;

  /**
   * @param {TileSpec[]} tiles
   * @param {{pressed?: string|string[], scale?: Scale}} [more] pressed: the tile that is chosen, or those that are
   */
  function draw(tiles, more = {}) {
    pressed = more.pressed ?? pressed;
    place = tiles.find(({ query }) => query)?.query ?? null;
    const maps = tiles.filter(({ values, scale }) => values && !scale);
    const scale = more.scale ?? commonScale(maps.map(({ values }) => /** @type {any} */ (values)));
    const focused = /** @type {HTMLElement|null} */ (box.querySelector(":focus"))?.dataset.value;
    box.replaceChildren(...tiles.map((tile) => tileElement(tile, tile.scale ?? scale)));
    if (focused) /** @type {HTMLElement|null} */ (box.querySelector(`[data-value="${CSS.escape(focused)}"]`))?.focus();
    return scale;
  }

  function tileElement(tile, scale) {
    const canvas = element("canvas", { width: tile.columns, height: tile.rows });
    const picture = element("span", { class: "nlesson-picture", style: `aspect-ratio:${tile.columns}/${tile.rows}` }, groundOf(tile), canvas, ...signs(tile));
    const context = contextOf(canvas);
    const image = context.createImageData(tile.columns, tile.rows);
    if (tile.values) {
      paintCells(new Uint32Array(image.data.buffer), tile.values, 0, tile.rows * tile.columns, scale.diverging ? tables.div : tables.seq, scale, CLEAR);
      if (!tile.ground) opaque(image.data);
    } else if (tile.pixels) bytesInto(image.data, tile.pixels);
    context.putImageData(image, 0, 0);
    const words = element("span", { class: "nlesson-tile-words" }, element("b", { text: tile.name }), tile.note ? element("span", { text: tile.note }) : "");
    const attributes = { class: "nlesson-tile", "data-control": name, "data-value": tile.id };
    if (pointed) {
      const node = element("div", { ...attributes, tabindex: "0", role: "application", "aria-label": `${tile.name || label} ${tile.note ?? ""}` }, picture, words);
      pointing(node, picture, tile);
      return node;
    }
    if (!chosen) return element("div", attributes, picture, words);
    const node = element("button", { ...attributes, type: "button", "aria-pressed": String([pressed].flat().includes(tile.id)) }, picture, words);
    node.addEventListener("click", () => {
      pressed = tile.id;
      for (const each of box.children) each.setAttribute("aria-pressed", String(each === node));
      chosen?.(tile.id);
    });
    return node;
  }

  /** A cell by pointer, and by arrow keys from the query on; Enter, Space or an arrow brings it from another tile. */
  function pointing(node, picture, tile) {
    const clamp = (value, count) => Math.min(count - 1, Math.max(0, value));
    picture.addEventListener("pointerdown", (event) => {
      const frame = picture.getBoundingClientRect();
      const row = clamp(Math.floor(((event.clientY - frame.top) / frame.height) * tile.rows), tile.rows);
      const column = clamp(Math.floor(((event.clientX - frame.left) / frame.width) * tile.columns), tile.columns);
      node.focus();
      pointed?.(tile.id, row, column);
    });
    node.addEventListener("keydown", (event) => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!step && event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      if (!tile.query) {
        if (place) pointed?.(tile.id, clamp(place[0], tile.rows), clamp(place[1], tile.columns));
        return;
      }
      if (!step) return;
      pointed?.(tile.id, clamp(tile.query[0] + step[0], tile.rows), clamp(tile.query[1] + step[1], tile.columns));
    });
  }

  return { element: box, draw };
}

function bytesInto(rgba, pixels) {
  for (let n = 0; n < rgba.length / 4; n++) {
    for (let c = 0; c < 3; c++) rgba[4 * n + c] = pixels[3 * n + c];
    rgba[4 * n + 3] = 255;
  }
}

/** Colours on white paper: a map without a picture below it. */
function opaque(rgba) {
  for (let n = 0; n < rgba.length; n += 4) {
    const share = rgba[n + 3] / 255;
    for (let c = 0; c < 3; c++) rgba[n + c] = Math.round(share * rgba[n + c] + (1 - share) * 244);
    rgba[n + 3] = 255;
  }
}

function groundOf({ ground, rows, columns }) {
  if (!ground) return "";
  const times = Math.sqrt(ground.length / 3 / (rows * columns));
  const canvas = element("canvas", { width: Math.round(columns * times), height: Math.round(rows * times), class: "nlesson-ground" });
  const context = contextOf(canvas);
  const image = context.createImageData(canvas.width, canvas.height);
  bytesInto(image.data, ground);
  context.putImageData(image, 0, 0);
  return canvas;
}

/** The query and marks, as boxes over their cells. */
function signs({ query, marks = [], rows, columns }) {
  const place = (row, column) => `left:${(100 * column) / columns}%;top:${(100 * row) / rows}%;width:${100 / columns}%;height:${100 / rows}%`;
  const found = marks.map(({ row, column, kind = "mark" }) => element("i", { class: `nlesson-sign nlesson-sign-${kind}`, style: place(row, column) }));
  if (query) found.push(element("i", { class: "nlesson-sign nlesson-sign-query", style: place(query[0], query[1]) }));
  return found;
}
