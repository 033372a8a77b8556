// Lines over x with axes, marks and names beside the lines: an SVG that fits its place.

import { element } from "../../shared/dom.js";
import { powersOf, rangeOf, shareAlong, ticksOf } from "../pure/axis.js";
import { written } from "../pure/filled.js";
import { piecesOf, signsOf } from "../pure/inline.js";
import { richLine } from "../rich.js";

const SVG = "http://www.w3.org/2000/svg";
const DASHES = ["", "7 4", "2 3", "9 3 2 3", "4 4", "1 4"]; // lines differ without colour, too
const [LEFT, RIGHT, TOP, BELOW] = [54, 14, 12, 44];

function shape(tag, attributes, text = "") {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  if (text) node.textContent = text;
  return node;
}

/** The name of an axis; in a formula, what stands low or high and variables in italics. */
function axisName(label, attributes) {
  const node = shape("text", { ...attributes, class: "nlesson-axis-name" });
  let shift = 0;
  for (const { kind, text } of piecesOf(label)) {
    for (const sign of kind === "formula" ? signsOf(text) : [{ kind: "upright", text }]) {
      const wanted = sign.kind === "low" ? 4 : sign.kind === "high" ? -5 : 0;
      node.append(shape("tspan", { dy: wanted - shift, ...(wanted ? { "font-size": "75%" } : {}), ...(sign.kind === "upright" ? {} : { "font-style": "italic" }) }, sign.text));
      shift = wanted;
    }
  }
  return node;
}

/**
 * @typedef {{name: string, x: number[], y: number[], kind?: "line"|"points"|"bars", tone?: number}} Line
 * @typedef {{label: string, least?: number, most?: number, logarithmic?: boolean, form?: string, ticks?: number[]}} Axis
 */

/**
 * A chart; call draw with what there is to show.
 * @param {{label: string, height?: number|(() => number)}} about label: what it shows, for screen readers; height: in
 *   CSS pixels, or what computes it anew each time
 */
export function createChart({ label, height: tall = 250 }) {
  const box = element("figure", { class: "nlesson-chart", role: "img", "aria-label": label });
  const legend = element("figcaption", { class: "nlesson-legend" });
  const svg = shape("svg", { "aria-hidden": "true" });
  box.append(svg, legend);
  let width = 0;
  let height = 0;
  /** @type {any} */
  let drawn = null;
  const watcher = new ResizeObserver(() => {
    if (drawn && (box.clientWidth !== width || tallNow() !== height)) draw(drawn);
  });
  watcher.observe(box);
  const tallNow = () => (typeof tall === "function" ? tall() : tall);

  /**
   * @param {{lines: Line[], x: Axis, y: Axis, at?: number|null, marks?: {x: number, y: number, text?: string}[],
   *   levels?: {y: number, text: string}[], said?: string}} what
   *   at: an upright line at this x; levels: lines across; said: what the picture shows now, in words
   */
  function draw(what) {
    drawn = what;
    width = box.clientWidth || 480;
    height = tallNow();
    const { lines, x, y, at = null, marks = [], levels = [], said } = what;
    if (said) box.setAttribute("aria-label", `${label}: ${said}`);
    const inner = { w: Math.max(80, width - LEFT - RIGHT), h: height - TOP - BELOW };
    const every = (name) => lines.flatMap((line) => Array.from(line[name]));
    const spanX = { ...rangeOf(every("x"), 0), ...bounds(x) };
    const spanY = { ...rangeOf([...every("y"), ...levels.map((level) => level.y)]), ...bounds(y) };
    const along = shareAlong({ ...spanX, logarithmic: x.logarithmic });
    const up = shareAlong({ ...spanY, logarithmic: y.logarithmic });
    const px = (value) => LEFT + inner.w * along(value);
    const py = (value) => TOP + inner.h * (1 - Math.min(1.2, Math.max(-0.2, up(value))));
    const nodes = [];
    const ticksX = x.ticks ?? (x.logarithmic ? powersOf(spanX.least, spanX.most) : ticksOf(spanX.least, spanX.most, width < 420 ? 4 : 7));
    const ticksY = y.ticks ?? (y.logarithmic ? powersOf(spanY.least, spanY.most) : ticksOf(spanY.least, spanY.most, 4));
    for (const tick of ticksY) {
      nodes.push(shape("line", { x1: LEFT, x2: LEFT + inner.w, y1: py(tick), y2: py(tick), class: "nlesson-grid" }));
      nodes.push(shape("text", { x: LEFT - 7, y: py(tick) + 4, "text-anchor": "end" }, written(tick, y.form)));
    }
    for (const tick of ticksX) nodes.push(shape("text", { x: px(tick), y: TOP + inner.h + 18, "text-anchor": "middle" }, written(tick, x.form)));
    nodes.push(shape("line", { x1: LEFT, x2: LEFT + inner.w, y1: TOP + inner.h, y2: TOP + inner.h, class: "nlesson-axis" }));
    nodes.push(axisName(x.label, { x: LEFT + inner.w / 2, y: height - 6, "text-anchor": "middle" }));
    nodes.push(axisName(y.label, { x: 0, y: 0, transform: `translate(12 ${TOP + inner.h / 2}) rotate(-90)`, "text-anchor": "middle" }));
    for (const level of levels) {
      nodes.push(shape("line", { x1: LEFT, x2: LEFT + inner.w, y1: py(level.y), y2: py(level.y), class: "nlesson-level" }));
      nodes.push(shape("text", { x: LEFT + inner.w - 2, y: py(level.y) - 5, "text-anchor": "end", class: "nlesson-level-name" }, level.text));
    }
    if (at !== null) nodes.push(shape("line", { x1: px(at), x2: px(at), y1: TOP, y2: TOP + inner.h, class: "nlesson-at" }));
    lines.forEach((line, n) => {
      const tone = (line.tone ?? n) % DASHES.length;
      const points = Array.from(line.x, (value, i) => [px(value), py(line.y[i]), line.y[i]]).filter((point) => Number.isFinite(point[2]));
      if (line.kind === "points") {
        for (const [cx, cy] of points) nodes.push(shape("circle", { cx, cy, r: 3.5, class: `nlesson-line nlesson-points nlesson-tone-${tone}` }));
      } else if (line.kind === "bars") {
        const wide = Math.max(2, (0.7 * inner.w) / Math.max(1, points.length));
        const zero = py(Math.max(0, spanY.least));
        for (const [cx, cy] of points) nodes.push(shape("rect", { x: cx - wide / 2, y: Math.min(cy, zero), width: wide, height: Math.abs(zero - cy), class: `nlesson-bar nlesson-tone-${tone}` }));
      } else if (points.length) {
        const d = points.map(([cx, cy], i) => `${i ? "L" : "M"}${cx.toFixed(1)} ${cy.toFixed(1)}`).join("");
        nodes.push(shape("path", { d, class: `nlesson-line nlesson-tone-${tone}`, "stroke-dasharray": DASHES[tone] }));
      }
    });
    for (const mark of marks) {
      nodes.push(shape("circle", { cx: px(mark.x), cy: py(mark.y), r: 5, class: "nlesson-mark" }));
      if (mark.text) {
        const left = px(mark.x) > LEFT + inner.w / 2;
        nodes.push(shape("text", { x: px(mark.x) + (left ? -10 : 10), y: py(mark.y) - 9, "text-anchor": left ? "end" : "start", class: "nlesson-mark-text" }, mark.text));
      }
    }
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("height", String(height));
    svg.replaceChildren(...nodes);
    legend.hidden = lines.filter(({ name }) => name).length < 2;
    legend.replaceChildren();
    if (legend.hidden) return;
    lines.forEach((line, n) => {
      if (!line.name) return;
      const tone = (line.tone ?? n) % DASHES.length;
      const sample = shape("svg", { width: 26, height: 10, "aria-hidden": "true" });
      sample.append(line.kind === "points" ? shape("circle", { cx: 13, cy: 5, r: 3.5, class: `nlesson-line nlesson-points nlesson-tone-${tone}` })
        : shape("line", { x1: 0, x2: 26, y1: 5, y2: 5, class: `nlesson-line nlesson-tone-${tone}`, "stroke-dasharray": DASHES[tone] }));
      legend.append(element("span", {}, sample, element("span", {}, ...richLine(line.name))));
    });
  }

  return { element: box, draw, destroy: () => watcher.disconnect() };
}

/** @param {Axis} axis what is given of its ends */
function bounds({ least, most }) {
  return { ...(least === undefined ? {} : { least }), ...(most === undefined ? {} : { most }) };
}
