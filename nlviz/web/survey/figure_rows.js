// The figures of one head: mean and interval of each, on the range that all heads span.

import { element } from "../shared/dom.js";
import { say } from "../shared/language.js";
import { drawn } from "./marks.js";
import { shortNumber, signedNumber, unitless, withUnit } from "./pure/figure_numbers.js";
import { figureScale, placeOnScale } from "./pure/figure_scale.js";

const LETTERS = ["A", "B"];

/** A bar of one interval: a thin line for the range of all heads, ticks for each, a thick one for this. */
function intervalBar(value, survey, scale, others) {
  const at = (number) => `${(100 * placeOnScale(number, scale)).toFixed(2)}%`;
  const [from, to] = [100 * placeOnScale(value.low ?? value.mean, scale), 100 * placeOnScale(value.high ?? value.mean, scale)];
  return drawn("svg", { class: `nsv-bar nsv-survey${survey}`, width: "100%", height: 16, "aria-hidden": "true" },
    drawn("line", { class: "nsv-axis", x1: 0, x2: "100%", y1: 8, y2: 8 }),
    ...others.map((mean) => drawn("line", { class: "nsv-other", x1: at(mean), x2: at(mean), y1: 4, y2: 12 })),
    value.low === null ? null : drawn("rect", { class: "nsv-interval", x: `${from.toFixed(2)}%`, width: `${Math.max(0.6, to - from).toFixed(2)}%`, y: 4.5, height: 7, rx: 3.5 }),
    drawn("circle", { class: "nsv-mean", cx: at(value.mean), cy: 8, r: 4 }));
}

/** A mean with its interval in words; one of no width is said once. */
function between(value, unit) {
  const text = withUnit(value.mean, unit);
  return element("span", { class: "nsv-number" }, element("b", { text }),
    element("span", { class: "nsv-dim", text: value.low === null ? say("no interval") : say("{low} to {high}", { low: unitless(value.low, unit), high: withUnit(value.high, unit) }) }));
}

/**
 * Build the table of a head's figures.
 * @param {any} report
 * @param {number} layer
 * @param {number} head
 * @param {{chosen: string, onChosen: (name: string) => void}} how
 */
export function createFigureRows(report, layer, head, { chosen, onChosen }) {
  const rows = report.figures.map((figure) => {
    const { name, unit } = figure;
    const values = report.surveys.map((_, survey) => report.value(survey, name, layer, head));
    const { least, most } = report.extent(name);
    const scale = figureScale([least, most], unit);
    const button = element("button", { type: "button", class: "nsv-figure", "data-figure": name, "aria-pressed": String(name === chosen), "data-tip": say(figure.definition), text: say(figure.label) });
    button.addEventListener("click", () => onChosen(name));
    const lines = values.map((value, survey) => element("div", { class: "nsv-line" },
      report.compared ? element("span", { class: `nsv-letter nsv-survey${survey}`, text: LETTERS[survey] }) : null,
      value ? intervalBar(value, survey, scale, survey ? [] : report.numbers(name).slice(0, 200)) : element("span", { class: "nsv-dim nsv-bar", text: say("cannot be told") }),
      value ? between(value, unit) : null));
    const change = report.compared ? report.change(name, layer, head) : null;
    return element("tr", { class: name === chosen ? "nsv-here" : null },
      element("th", { scope: "row" }, button, name === chosen ? element("p", { class: "nsv-definition", text: say(figure.definition) }) : null),
      element("td", {}, ...lines, change ? changeLine(change, unit) : null));
  });
  return element("table", { class: "nsv-figures", "aria-label": say("Figures of this head: mean over clips and 95 % interval") }, element("tbody", {}, ...rows));
}

/** What is different in the second survey, and whether that is more than noise. */
function changeLine(change, unit) {
  const text = change.low === null ? signedNumber(change.mean, unit) : say("{change} ({low} to {high})", { change: signedNumber(change.mean, unit), low: signedNumber(change.low, unit), high: signedNumber(change.high, unit) });
  const judged = change.told ? say("more than noise") : say("no more than noise");
  const p = change.p === null ? "" : `p ${change.p < 0.001 ? "< 0.001" : `= ${shortNumber(change.p)}`}`;
  return element("div", { class: `nsv-line nsv-change${change.told ? " nsv-is-told" : ""}` }, element("span", { class: "nsv-letter", text: "B − A" }),
    element("span", { text }), element("span", { class: "nsv-judged", text: [`${change.told ? "◆ " : ""}${judged}`, p].filter(Boolean).join(", ") }));
}
