// What the project's benchmark measured on many clips: a bar for each affinity, with its interval.

import { element } from "../../../shared/dom.js";
import { createSegments } from "../../figures/field.js";

/** @type {FigureMaker} */
export function createFeatureGain(root, spec, data, { say, changed, state }) {
  const { top1 } = data.head.benchmark;
  const choices = Object.keys(top1).map((value) => ({ value, text: say(spec.labels[value]) }));
  let frames = Object.hasOwn(top1, state?.frames ?? "") ? state.frames : spec.frames;
  const field = createSegments({
    name: "frames", label: say(spec.labels.frames), value: frames, choices,
    moved(value) {
      frames = value;
      draw();
      changed();
    },
  });
  const list = element("dl", { class: "nlesson-features-gain" });
  const caption = element("p", { class: "nlesson-said", text: say(spec.labels.caption) });
  root.append(element("div", { class: "nlesson-controls" }, field.element), list, caption);

  function draw() {
    list.replaceChildren(...spec.rows.flatMap((key) => {
      const [mean, low, high] = top1[frames][key];
      const bar = element("div", { class: "nlesson-features-long", "aria-hidden": "true" },
        element("i", { style: `width:${100 * mean}%` }), element("b", { style: `left:${100 * low}%;width:${100 * (high - low)}%` }));
      return [
        element("dt", { text: say(spec.labels[key]) }),
        element("dd", {}, bar, element("span", { text: say(spec.labels.value, { mean, low, high }) })),
      ];
    }));
    root.dataset.drawn = "";
  }
  draw();

  return { state: () => ({ frames }), reading: () => ({}), destroy() {} };
}
