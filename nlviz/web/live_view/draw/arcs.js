// Arcs over words: from a word to those that it takes most from.

import { arrowHead, linkWidth } from "./links.js";

const MOST_RISE = 44;

/**
 * How an arc between two words runs: over both where they stand in one line, else from edge to edge.
 * @param {Rect} from
 * @param {Rect} to
 */
export function arcBetween(from, to) {
  const [a, b] = [from.x + from.w / 2, to.x + to.w / 2];
  const apart = to.y + to.h / 2 - from.y - from.h / 2;
  if (Math.abs(apart) < Math.max(from.h, to.h) / 2) {
    const [y, z] = [from.y, to.y];
    const rise = Math.min(MOST_RISE, 12 + 0.16 * Math.abs(b - a));
    return { start: { x: a, y }, end: { x: b, y: z }, first: { x: a, y: Math.min(y, z) - rise }, second: { x: b, y: Math.min(y, z) - rise } };
  }
  const down = apart > 0;
  const [y, z] = [down ? from.y + from.h : from.y, down ? to.y : to.y + to.h];
  const bend = (z - y) / 2;
  return { start: { x: a, y }, end: { x: b, y: z }, first: { x: a, y: y + bend }, second: { x: b, y: z - bend } };
}

/**
 * Draw arcs, the strongest last.
 * @param {CanvasRenderingContext2D} context
 * @param {{from: Rect, to: Rect, share: number, lit: boolean}[]} arcs strongest first
 * @param {{line: string, rim: string, opacity: number}} how
 */
export function drawArcs(context, arcs, { line, rim, opacity }) {
  context.lineCap = "round";
  for (let n = arcs.length - 1; n >= 0; n--) {
    const { from, to, share, lit } = arcs[n];
    const { start, end, first, second } = arcBetween(from, to);
    const width = 0.4 + linkWidth(share);
    context.globalAlpha = lit ? 1 : opacity * (0.15 + 0.85 * Math.sqrt(Math.max(share, 0)));
    context.beginPath();
    context.moveTo(start.x, start.y);
    context.bezierCurveTo(first.x, first.y, second.x, second.y, end.x, end.y);
    context.strokeStyle = rim;
    context.lineWidth = width + 1.6;
    context.stroke();
    context.strokeStyle = context.fillStyle = line;
    context.lineWidth = width;
    context.stroke();
    const [tip, left, right] = arrowHead(second, end, 4 + 1.6 * width);
    context.beginPath();
    context.moveTo(tip.x, tip.y);
    context.lineTo(left.x, left.y);
    context.lineTo(right.x, right.y);
    context.closePath();
    context.fill();
  }
  context.globalAlpha = 1;
}
