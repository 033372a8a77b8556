// Labels of heads: a button each that leaves only its heads in the atlas, and the rule beside it.

import { element } from "../shared/dom.js";
import { say } from "../shared/language.js";
import { labelMark } from "./marks.js";

/**
 * Build the legend.
 * @param {any} report
 * @param {Set<string>} kept labels whose heads are not faded
 * @param {() => void} onChanged
 */
export function createLabelLegend(report, kept, onChanged) {
  const rules = new Map(report.rules.map(({ label, rule }) => [label, rule]));
  const rows = report.labels.map((label) => {
    const counts = report.surveys.map((_, survey) => report.counted(survey, label));
    const button = element("button", { type: "button", class: "nsv-chip", "aria-pressed": String(kept.has(label)) },
      labelMark(label, 13), element("span", { text: say(label) }), element("b", { text: counts.join(" → ") }));
    button.addEventListener("click", () => {
      if (!kept.delete(label)) kept.add(label);
      button.setAttribute("aria-pressed", String(kept.has(label)));
      onChanged();
    });
    return element("li", { class: counts.some((count) => count > 0) ? null : "nsv-unused" }, button, element("p", { text: say(rules.get(label) ?? "") }));
  });
  return element("section", { class: "nsv-legend" }, element("h3", { text: say("Labels of heads") }),
    element("p", { class: "nsv-dim", text: say("The number of heads that have it. Press a label to see its heads alone.") }), element("ul", {}, ...rows));
}
