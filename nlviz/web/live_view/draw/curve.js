// How a weighted mean settles as keys are added.

import { contextOf } from "../../shared/dom.js";

const CURVE_POINTS = 160;
const CHANNELS = ["#e5484d", "#30a46c", "#3e8cff"];

/**
 * Draw the mean after 1, 2, 3 and more keys.
 * @param {HTMLCanvasElement} curve
 * @param {number[][]} means by step, then channel
 * @param {number} count steps that have been taken
 * @param {number[]} wanted clean values, drawn dashed; empty where they are unknown
 * @param {number} least smallest span of values that fills the height
 */
export function drawMeans(curve, means, count, wanted, least) {
  const context = contextOf(curve);
  const { width: w, height: h } = curve;
  const style = getComputedStyle(curve);
  const channels = means[0].length;
  const pad = 14;
  const [low, high] = [Math.min, Math.max].map((one) => (
    means.reduce((end, mean) => one(end, ...mean), one(...means[0], ...wanted))));
  const middle = (low + high) / 2;
  const far = Math.max(high - low, least) / 2;
  // The strongest few matter most, so that counts are spread by their logarithm.
  const across = (n) => pad + (w - 2 * pad) * (Math.log(n) / Math.log(Math.max(2, means.length)));
  const down = (value) => h / 2 - ((value - middle) / far) * (h / 2 - pad);
  context.clearRect(0, 0, w, h);
  context.lineWidth = 2;
  context.strokeStyle = style.getPropertyValue("--line") || "#888";
  context.strokeRect(1, 1, w - 2, h - 2);
  const grey = style.color;
  wanted.forEach((value, c) => {
    context.setLineDash([8, 7]);
    context.strokeStyle = channels === 1 ? grey : CHANNELS[c];
    context.globalAlpha = 0.55;
    strokeLine(context, [[pad, down(value)], [w - pad, down(value)]]);
  });
  context.setLineDash([]);
  context.globalAlpha = 1;
  for (let c = 0; c < channels; c++) {
    context.strokeStyle = channels === 1 ? grey : CHANNELS[c];
    context.lineWidth = 4;
    const points = [];
    for (let n = 1; n < count; n += Math.ceil(n / CURVE_POINTS)) points.push([across(n), down(means[n - 1][c])]);
    points.push([across(count), down(means[count - 1][c])]);
    strokeLine(context, points);
    context.beginPath();
    const [x, y] = points[points.length - 1];
    context.arc(x, y, 7, 0, 2 * Math.PI);
    context.fillStyle = context.strokeStyle;
    context.fill();
  }
}

function strokeLine(context, points) {
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y); // the first one begins the line
  context.stroke();
}
