// The Gaussian filter on a noisy picture: what it leaves of the noise, what it blurs, and the error of both.
//
// spec: sigma; range: [least, most, step] of s; s: to open with; labels: s, noisy, filtered, noise, blur, error,
// across, up, told, chart.

import { createChart } from "../../figures/chart.js";
import { createSlider } from "../../figures/field.js";
import { element, setText } from "../../../shared/dom.js";
import { createGreyPicture } from "./grey.js";
import { gaussianFiltered, partsOfError, rootMeanSquare } from "./pure/blurred.js";

/** @type {FigureMaker} */
export function createBlurFigure(root, spec, data, { say, changed, state }) {
  const { sigma, range: [least, most, step], labels } = spec;
  const { data: clean, shape: [height, width] } = data.array("rim.clean");
  const { data: noisy } = data.array("rim.noisy");
  const steps = Array.from({ length: Math.round((most - least) / step) + 1 }, (_, n) => Number((least + n * step).toFixed(3)));
  const parts = steps.map((value) => partsOfError(clean, height, width, sigma, value));
  let s = Number.isFinite(state?.s) ? Math.min(most, Math.max(least, state.s)) : spec.s;
  /** @type {Map<number, number>} error of this picture at each s that was tried */
  const tried = new Map();
  const slider = createSlider({
    name: "s", label: say(labels.s), least, most, step, value: s, write: (value) => value.toFixed(1),
    moved(value) {
      s = value;
      draw();
      changed();
    },
  });
  const before = createGreyPicture(height, width, say(labels.noisy));
  const after = createGreyPicture(height, width, say(labels.filtered));
  before.paint(noisy);
  const chart = createChart({ label: say(labels.chart), height: 260 });
  const told = element("p", { class: "nlesson-averages-told", "aria-live": "polite" });
  root.append(element("div", { class: "nlesson-controls" }, slider.element), element("div", { class: "nlesson-averages-pair" }, before.element, after.element), told, chart.element);

  function draw() {
    const done = gaussianFiltered(noisy, height, width, s);
    const error = rootMeanSquare(done, clean);
    tried.set(s, error);
    after.paint(done);
    const { noise, blur } = partsOfError(clean, height, width, sigma, s);
    const found = { s, noise, blur, error };
    setText(told, say(labels.told, found));
    const along = [...tried.keys()].sort((a, b) => a - b);
    chart.draw({
      lines: [
        { name: say(labels.noise), x: steps, y: parts.map((part) => part.noise) },
        { name: say(labels.blur), x: steps, y: parts.map((part) => part.blur), tone: 1 },
        { name: say(labels.error), x: along, y: along.map((value) => tried.get(value) ?? 0), kind: "points", tone: 2 },
      ],
      x: { label: say(labels.across), least, most }, y: { label: say(labels.up), least: 0, most: sigma }, at: s, said: say(labels.told, found),
    });
  }

  draw();
  return {
    state: () => (s === spec.s ? {} : { s }), reading: () => ({ s, sigma, range: spec.range }),
    destroy() {
      chart.destroy();
      root.replaceChildren();
    },
  };
}
