// Means of n pixels that show the same thing: what is left of the noise, over many draws.
//
// spec: sigma; counts: numbers of pixels that the slider offers; draws, seed; target: noise that is asked for;
// labels: n, measured, law, left, strip, across, up.

import { createChart } from "../../figures/chart.js";
import { createSlider } from "../../figures/field.js";
import { element, setText } from "../../../shared/dom.js";
import { meansOfDraws, noiseOfMeans } from "./pure/draws.js";

const SPACE_OF_SVG = "http://www.w3.org/2000/svg";
const [STRIP_WIDE, STRIP_HIGH, STRIP_DOTS] = [520, 84, 160];

/** @type {FigureMaker} */
export function createMeanFigure(root, spec, _data, { say, changed, state }) {
  const { sigma, counts, draws, seed, labels } = spec;
  const most = counts[counts.length - 1];
  const measured = noiseOfMeans(sigma, counts, draws, seed);
  let at = Number.isInteger(state?.at) ? Math.min(counts.length - 1, Math.max(0, state.at)) : 0;
  const slider = createSlider({
    name: "n", label: say(labels.n), least: 0, most: counts.length - 1, step: 1, value: at, write: (k) => String(counts[k]),
    moved(k) {
      at = k;
      draw();
      changed();
    },
  });
  const strip = document.createElementNS(SPACE_OF_SVG, "svg");
  strip.setAttribute("viewBox", `0 0 ${STRIP_WIDE} ${STRIP_HIGH}`);
  strip.setAttribute("class", "nlesson-averages-strip");
  strip.setAttribute("aria-hidden", "true");
  const told = element("p", { class: "nlesson-averages-told", "aria-live": "polite" });
  const chart = createChart({ label: say(labels.left), height: 230 });
  root.append(element("div", { class: "nlesson-controls" }, slider.element), element("div", {}, element("p", { class: "nlesson-said", text: say(labels.strip) }), strip), told, chart.element);

  function dot(tag, attributes, text = "") {
    const node = document.createElementNS(SPACE_OF_SVG, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
    node.textContent = text;
    return node;
  }

  function drawStrip() {
    const wide = 3 * sigma;
    const along = (value) => STRIP_WIDE * (0.5 + (0.48 * Math.max(-wide, Math.min(wide, value))) / wide);
    const nodes = [dot("line", { x1: STRIP_WIDE / 2, x2: STRIP_WIDE / 2, y1: 0, y2: 62, class: "nlesson-averages-truth" })];
    meansOfDraws(sigma, counts[at], STRIP_DOTS, seed, most).forEach((mean, n) => {
      nodes.push(dot("circle", { cx: along(mean), cy: 6 + ((n * 37) % 52), r: 3, class: "nlesson-averages-dot" }));
    });
    for (const value of [-2 * sigma, 0, 2 * sigma]) {
      nodes.push(dot("text", { x: along(value), y: STRIP_HIGH - 4, "text-anchor": "middle" }, value > 0 ? `+${value}` : String(value).replace("-", "−")));
    }
    strip.replaceChildren(...nodes);
  }

  function draw() {
    const n = counts[at];
    const found = { n, left: measured[at], draws };
    drawStrip();
    setText(told, say(labels.told, found));
    chart.draw({
      lines: [
        { name: say(labels.law), x: counts, y: counts.map((count) => sigma / Math.sqrt(count)) },
        { name: say(labels.measured, { draws }), x: counts, y: measured, kind: "points", tone: 1 },
      ],
      x: { label: say(labels.across), logarithmic: true, ticks: counts }, y: { label: say(labels.up), logarithmic: true, least: 2, most: 30, ticks: [2.5, 5, 10, 25] },
      at: n, said: say(labels.told, found),
    });
  }

  draw();
  return {
    state: () => (at ? { at } : {}), reading: () => ({ sigma, n: counts[at], measured: { draws, seed } }),
    destroy() {
      chart.destroy();
      root.replaceChildren();
    },
  };
}
