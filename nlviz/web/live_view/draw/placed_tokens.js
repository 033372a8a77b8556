// Boxes and nodes over the pictures: tinted by weight where a row is laid on them, outlined where they ask.

import { shareOf } from "../pure/colour.js";
import { placedCentre, placedEdges } from "../pure/placed.js";

const OUTLINE = "rgba(255, 255, 255, 0.72)";
const SHADE = "rgba(0, 0, 0, 0.6)";
const UNDER = "#5b5b5d"; // what the colour bar lies on
const LABEL = 12; // CSS pixels
const MOST_LABELS = 60;

/** Colours of a table of RGBA words, as a canvas takes them. */
const cssOf = (word) => `rgba(${word & 255}, ${(word >>> 8) & 255}, ${(word >>> 16) & 255}, ${((word >>> 24) / 255).toFixed(3)})`;

/**
 * Whether a key is no choice at all for the query, unlike one that gets next to nothing: it is not
 * reached, or a gate took it out of the softmax, which rows mark alike.
 */
export const isGated = (result, index) => Number.isNaN(result.values[index]) || index < result.from || index >= result.to;

/**
 * Numbers of the tokens that a frame shows, the largest first.
 * @param {any} grid
 * @param {number} frame
 */
function inFrame(grid, frame) {
  const all = grid.places ? [...grid.places.keys()] : [...grid.boxes.keys()].filter((n) => Math.round(grid.boxes[n][0]) === frame);
  const size = (n) => {
    const [top, left, bottom, right] = placedEdges(grid, n);
    return (bottom - top) * (right - left);
  };
  return all.sort((a, b) => size(b) - size(a));
}

function label(context, text, x, y, rect, strong) {
  context.font = `${strong ? 600 : 400} ${LABEL}px system-ui, sans-serif`;
  const wide = context.measureText(text).width;
  const left = Math.min(Math.max(x, rect.x + 2), Math.max(rect.x + 2, rect.x + rect.w - wide - 10));
  const top = Math.min(Math.max(y, rect.y + 2), rect.y + rect.h - LABEL - 6);
  context.fillStyle = "rgba(16, 18, 23, 0.78)";
  context.beginPath();
  context.roundRect(left, top, wide + 8, LABEL + 5, 3);
  context.fill();
  context.fillStyle = "#fff";
  context.fillText(text, left + 4, top + LABEL);
}

function stroked(context, colour, width, dash = []) {
  for (const [stroke, thick] of /** @type {[string, number][]} */ ([[SHADE, width + 1.8], [colour, width]])) {
    context.setLineDash(stroke === SHADE ? [] : dash);
    context.strokeStyle = stroke;
    context.lineWidth = thick;
    context.stroke();
  }
  context.setLineDash([]);
}

/**
 * Draw the tokens of a grid that one picture shows.
 * @param {CanvasRenderingContext2D} context
 * @param {Grid} grid boxes or nodes
 * @param {{rect: Rect, frame: number, clip: Clip, large: boolean}} picture
 * @param {{result: Result, table: Uint32Array}|null} row weights that they are tinted by, or null
 */
export function drawPlaced(context, grid, { rect, frame, clip, large }, row) {
  const [sy, sx] = [rect.h / clip.height, rect.w / clip.width];
  const names = grid.names ?? [];
  const shown = inFrame(grid, frame);
  context.save();
  context.beginPath();
  context.rect(rect.x, rect.y, rect.w, rect.h);
  context.clip();
  for (const n of shown) {
    const gated = row !== null && isGated(row.result, n);
    const colour = row && !gated ? cssOf(row.table[Math.round(255 * shareOf(row.result.values[n], row.result.scale))]) : null;
    context.beginPath();
    if (grid.places) {
      const { y, x } = placedCentre(grid, n);
      context.arc(rect.x + (x + 0.5) * sx, rect.y + (y + 0.5) * sy, nodeRadius(rect, clip), 0, 2 * Math.PI);
      if (!gated) {
        context.fillStyle = UNDER;
        context.fill();
      }
    } else {
      const [top, left, bottom, right] = placedEdges(grid, n);
      context.rect(rect.x + left * sx, rect.y + top * sy, (right - left) * sx, (bottom - top) * sy);
    }
    if (colour) {
      context.fillStyle = colour;
      context.fill();
    }
    stroked(context, OUTLINE, large ? 1.4 : 1, gated ? [3, 4] : []);
  }
  if (large && shown.length <= MOST_LABELS) {
    for (const n of shown) {
      const [top, left, bottom] = placedEdges(grid, n);
      const { x } = placedCentre(grid, n);
      const own = row !== null && row.result.asked === grid && row.result.token === n;
      if (!grid.places) label(context, names[n] ?? String(n), rect.x + left * sx, rect.y + top * sy - LABEL - 6, rect, own);
      else label(context, names[n] ?? String(n), rect.x + (x + 0.5) * sx - 8, rect.y + bottom * sy + 3, rect, own);
    }
  }
  context.restore();
}

/** Radius of a node, in CSS pixels of a picture. */
export function nodeRadius(rect, clip) {
  return Math.max(7, Math.min(16, (12 * rect.w) / clip.width));
}
