// The most and least typical clips of a head, each a link to the live view at its query.

import { element } from "../shared/dom.js";
import { say } from "../shared/language.js";
import { shortNumber } from "./pure/figure_numbers.js";
import { parametersOf } from "./pure/head_address.js";

const PICTURE = /^[A-Za-z0-9+/=]+$/;

/**
 * Build both rows of examples.
 * @param {any} report
 * @param {number} survey
 * @param {number} layer
 * @param {number} head
 * @param {(parameters: string) => string|null} leadsTo the whole address; null where there is none
 */
export function createExamples(report, survey, layer, head, leadsTo) {
  const { most, least } = report.examples(survey, layer, head);
  if (!most.length && !least.length) return element("p", { class: "nsv-dim", text: say("No clip has enough figures here to be called typical.") });
  const card = (example) => {
    const asked = example.query !== null;
    const parameters = asked ? parametersOf(example, report.surveys[survey], report.layers[layer], head) : "";
    const [frame, y, x] = example.query ?? [0, 0, 0];
    const place = !asked ? "" : say("frame {frame}, y {y}, x {x}", { frame: Math.round(frame) + 1, y: Math.round(y), x: Math.round(x) });
    const picture = PICTURE.test(example.thumbnail ?? "")
      ? element("img", { src: `data:image/jpeg;base64,${example.thumbnail}`, alt: "", loading: "lazy", decoding: "async" })
      : element("span", { class: "nsv-no-picture", text: say("no picture") });
    const address = asked ? leadsTo(parameters) : null;
    const told = [
      element("span", { class: "nsv-picture" }, picture),
      element("span", { class: "nsv-clip", text: example.clip, title: example.uri }),
      element("span", { class: "nsv-dim", text: [example.label, place].filter(Boolean).join(" · ") }),
      element("span", { class: "nsv-dim nsv-why", text: example.why }),
    ];
    const far = typeof example.distance === "number" ? say("distance {distance}", { distance: shortNumber(example.distance) }) : "";
    return element("li", { title: [example.why, far].filter(Boolean).join("; ") || null }, address
      ? element("a", { href: address, target: "_blank", rel: "noopener", "data-parameters": parameters }, ...told)
      : element("div", { class: "nsv-unlinked" }, ...told));
  };
  const row = (title, text, found) => element("section", {}, element("h4", { text: title }), element("p", { class: "nsv-dim", text }), element("ul", { class: "nsv-cards" }, ...found.map(card)));
  return element("div", { class: "nsv-examples" },
    row(say("Most typical clips"), say("Their figures are the nearest to this head's middle."), most),
    row(say("Least typical clips"), say("Their figures are the farthest from it: look here first for what the means hide."), least));
}
