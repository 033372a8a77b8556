// A grid of cells over a picture or on paper: a map in the common colours, lines and letters above it.

import { paintCells, tableOf } from "../../../live_view/pure/colour.js";
import { contextOf, element } from "../../../shared/dom.js";

const PATHS_SVG = "http://www.w3.org/2000/svg";
const PATHS_CLEAR = { reachFrom: 0, reachTo: Infinity, skipFrom: 0, skipTo: 0, own: -1 };

/** An SVG element. */
export function pathsShape(tag, attributes, text = "") {
  const node = document.createElementNS(PATHS_SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  if (text) node.textContent = text;
  return node;
}

/** A line along the middles of cells, [row, column] each. */
export const pathsAlong = (cells, attributes) =>
  pathsShape("polyline", { points: cells.map(([row, column]) => `${column + 0.5},${row + 0.5}`).join(" "), fill: "none", ...attributes });

/** A box around cells; thick lines keep their width at any size. */
export const pathsBox = ({ row, column, rows, columns }, attributes) =>
  pathsShape("rect", { x: column, y: row, width: columns, height: rows, fill: "none", ...attributes });

/** A cell with a letter. */
export function pathsLetter([row, column], letter, size, kind) {
  const group = pathsShape("g", { class: `nlesson-paths-letter nlesson-paths-${kind}` });
  group.append(
    pathsShape("circle", { cx: column + 0.5, cy: row + 0.5, r: 0.62 * size }),
    pathsShape("text", { x: column + 0.5, y: row + 0.5, "text-anchor": "middle", "dominant-baseline": "central", "font-size": 0.85 * size }, letter),
  );
  return group;
}

/**
 * @param {LessonData} data its sections lut_seq and lut_div are the colours
 * @param {{rows: number, columns: number, label: string}} about
 */
export function createPathsBoard(data, { rows, columns, label }) {
  const ground = element("canvas", { class: "nlesson-paths-ground", width: 1, height: 1 });
  const map = element("canvas", { width: columns, height: rows });
  const svg = pathsShape("svg", { viewBox: `0 0 ${columns} ${rows}`, "aria-hidden": "true", preserveAspectRatio: "none" });
  const box = element("div", { class: "nlesson-paths-board", role: "img", "aria-label": label, style: `aspect-ratio:${columns}/${rows}` }, ground, map);
  box.append(svg);
  let shown = "";
  const tables = { seq: tableOf(data.array("lut_seq").data, 1), div: tableOf(data.array("lut_div").data, 1) };

  return {
    element: box,
    /** Lay a picture below: the name of the section that holds its JPEG. */
    ground(name) {
      shown = name;
      createImageBitmap(new Blob([data.array(name).data], { type: "image/jpeg" })).then((picture) => {
        if (shown !== name) return; // another one was asked for in the meantime
        ground.width = picture.width;
        ground.height = picture.height;
        contextOf(ground).drawImage(picture, 0, 0);
      });
    },
    /**
     * Colour cells of a grid, which may be another than before.
     * @param {ArrayLike<number>} values
     * @param {Scale} scale
     * @param {{rows: number, columns: number, own?: number}} [of] own: a cell that stays clear
     */
    map(values, scale, of = { rows, columns }) {
      map.width = of.columns;
      map.height = of.rows;
      const image = new ImageData(of.columns, of.rows);
      paintCells(new Uint32Array(image.data.buffer), values, 0, values.length, scale.diverging ? tables.div : tables.seq, scale, { ...PATHS_CLEAR, own: of.own ?? -1 });
      contextOf(map).putImageData(image, 0, 0);
    },
    /** Draw lines above, in cells. */
    lines: (nodes) => svg.replaceChildren(...nodes),
    /** Draw lines in another grid than the board's. */
    grid: (other) => svg.setAttribute("viewBox", `0 0 ${other.columns} ${other.rows}`),
  };
}

/**
 * Let a cell be pointed at, or moved to by arrow keys.
 * @param {HTMLElement} box
 * @param {{rows: () => number, columns: () => number, at: () => [number, number], name: string, signal: AbortSignal, moved: (cell: [number, number]) => void}} about
 */
export function pathsPointing(box, { rows, columns, at, name, signal, moved }) {
  box.tabIndex = 0;
  box.setAttribute("role", "application");
  box.dataset.control = name;
  const clamp = (value, count) => Math.min(count - 1, Math.max(0, value));
  const point = (event) => {
    const frame = box.getBoundingClientRect();
    const row = clamp(Math.floor(((event.clientY - frame.top) / frame.height) * rows()), rows());
    const column = clamp(Math.floor(((event.clientX - frame.left) / frame.width) * columns()), columns());
    moved([row, column]);
  };
  let dragging = false;
  box.addEventListener("pointerdown", (event) => {
    dragging = true;
    box.focus({ preventScroll: true });
    point(event);
  }, { signal });
  box.addEventListener("pointermove", (event) => {
    if (dragging && event.buttons) point(event);
  }, { signal });
  for (const type of ["pointerup", "pointercancel", "pointerleave"]) box.addEventListener(type, () => { dragging = false; }, { signal });
  box.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const [row, column] = at();
    moved([clamp(row + step[0], rows()), clamp(column + step[1], columns())]);
  }, { signal });
}
