// Painted cells over the pictures: tinted, with an outline around each area, and the brush itself.

import { tokenBox } from "../pure/grid.js";
import { below, paintedCells } from "../pure/painted.js";
import { drawMark } from "./marks.js";

const PAINTED_INK = "#7dff9a";
const PAINTED_TINT = "rgb(125 255 154 / 0.3)";

/** A cell of a tile's frame in CSS pixels of the stage. */
function boxIn(tile, grid, index) {
  const { left, top, width, height } = tokenBox(grid, index, tile.clip);
  const { x, y, w, h } = tile.box;
  return { x: x + left * w, y: y + top * h, w: width * w, h: height * h };
}

/**
 * Draw what is painted, in every tile whose frame shows it.
 * @param {CanvasRenderingContext2D} context
 * @param {any[]} tiles
 * @param {Int32Array} covers frame of the grid that each frame of the clip shows
 * @param {Grid} grid of the block's keys
 * @param {State} state
 */
export function drawPainted(context, tiles, covers, grid, state) {
  const cells = paintedCells(state.view.painted, grid.shape);
  if (cells.length === 0 && !state.brush) return;
  const [, h, w] = grid.shape;
  const painted = new Set(cells);
  for (const tile of tiles) {
    const first = covers[tile.frame] * h * w;
    if (first < 0) continue;
    context.save();
    context.beginPath();
    context.rect(tile.box.x, tile.box.y, tile.box.w, tile.box.h);
    context.clip();
    for (const cell of cells) {
      if (cell >= first && cell < first + h * w) drawCell(context, boxIn(tile, grid, cell), edgesOf(painted, cell, h, w));
    }
    if (state.brush) drawBrush(context, tile, grid, state.brush, first);
    context.restore();
  }
}

/** Which sides of a painted cell end its area. */
function edgesOf(painted, cell, h, w) {
  const [column, row] = [cell % w, Math.floor(cell / w) % h];
  return {
    top: row === 0 || !painted.has(cell - w), bottom: row === h - 1 || !painted.has(cell + w),
    left: column === 0 || !painted.has(cell - 1), right: column === w - 1 || !painted.has(cell + 1),
  };
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Rect} box
 * @param {ReturnType<typeof edgesOf>} edges
 */
function drawCell(context, box, edges) {
  const { x, y, w, h } = box;
  context.fillStyle = PAINTED_TINT;
  context.fillRect(x, y, w, h);
  outline(context, box, edges, "rgb(0 0 0 / 0.6)", 3.5);
  outline(context, box, edges, PAINTED_INK, 1.5);
}

function outline(context, { x, y, w, h }, { top, right, bottom, left }, colour, thick) {
  context.strokeStyle = colour;
  context.lineWidth = thick;
  context.beginPath();
  const line = (x0, y0, x1, y1) => {
    context.moveTo(x0, y0);
    context.lineTo(x1, y1);
  };
  if (top) line(x, y, x + w, y);
  if (right) line(x + w, y, x + w, y + h);
  if (bottom) line(x, y + h, x + w, y + h);
  if (left) line(x, y, x, y + h);
  context.stroke();
}

function drawBrush(context, tile, grid, brush, first) {
  const [, h, w] = grid.shape;
  if (brush.cell < first || brush.cell >= first + h * w) return;
  const under = below(grid.shape, brush.cell, brush.size);
  const [from, to] = [boxIn(tile, grid, under[0]), boxIn(tile, grid, under[under.length - 1])];
  drawMark(context, { x: from.x, y: from.y, w: to.x + to.w - from.x, h: to.y + to.h - from.y }, { dashed: true, colour: PAINTED_INK, width: 1.5 });
}
