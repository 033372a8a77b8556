// Non-local means on a small noisy picture: another h, and all of it is computed again.
//
// spec: sigma; sides: {patch, window}; range: [least, most, step] of h in multiples of sigma; share: to open with;
// labels: h, noisy, done, psnr, across, up, told, chart.

import { createChart } from "../../figures/chart.js";
import { createSlider } from "../../figures/field.js";
import { element, setText } from "../../../shared/dom.js";
import { createGreyPicture } from "./grey.js";
import { decibels, meansOfPatches, patchDistances } from "./pure/patch_means.js";

/** @type {FigureMaker} */
export function createStrengthFigure(root, spec, data, { say, changed, state }) {
  const { sigma, range: [least, most, step], labels, sides } = spec;
  const { data: clean, shape: [height, width] } = data.array("small.clean");
  const { data: noisy } = data.array("small.noisy");
  const strengths = Array.from({ length: Math.round((most - least) / step) + 1 }, (_, n) => Number((sigma * (least + n * step)).toFixed(3)));
  let share = Number.isFinite(state?.share) ? Math.min(most, Math.max(least, state.share)) : spec.share;
  const before = decibels(clean, noisy);
  const distances = patchDistances(noisy, height, width, sides);
  /** @type {Map<number, number>} decibels at each h that was tried */
  const tried = new Map();
  const slider = createSlider({
    name: "h", label: say(labels.h), least, most, step, value: share, write: (value) => (sigma * value).toFixed(1),
    moved(value) {
      share = value;
      draw();
      changed();
    },
  });
  const shown = createGreyPicture(height, width, say(labels.noisy));
  const done = createGreyPicture(height, width, say(labels.done));
  shown.paint(noisy, `${say(labels.noisy)}, ${before.toFixed(1)} dB`);
  const chart = createChart({ label: say(labels.chart), height: 240 });
  const told = element("p", { class: "nlesson-averages-told", "aria-live": "polite" });
  root.append(element("div", { class: "nlesson-controls" }, slider.element), element("div", { class: "nlesson-averages-pair" }, shown.element, done.element), told, chart.element);

  function draw() {
    const h = sigma * share;
    const picture = meansOfPatches(distances, h, sigma);
    const psnr = decibels(clean, picture);
    tried.set(h, psnr);
    done.paint(picture, `${say(labels.done)}, ${psnr.toFixed(1)} dB`);
    const found = { h, psnr, before };
    setText(told, say(labels.told, found));
    const along = [...tried.keys()].sort((a, b) => a - b);
    chart.draw({
      lines: [{ name: say(labels.psnr), x: along, y: along.map((value) => tried.get(value) ?? 0), kind: "points" }],
      x: { label: say(labels.across), least: 0, most: sigma * most }, y: { label: say(labels.up), least: Math.floor(before) - 1, most: Math.ceil(before) + 12 }, at: h, said: say(labels.told, found),
    });
  }

  draw();
  return {
    state: () => (share === spec.share ? {} : { share }), reading: () => ({ sigma, h: sigma * share, strengths, sides }),
    destroy() {
      chart.destroy();
      root.replaceChildren();
    },
  };
}
