// Charts of one figure of a head over the clips: its distribution, and its means by the clips' labels.

import { element } from "../shared/dom.js";
import { say } from "../shared/language.js";
import { drawn } from "./marks.js";
import { unitless, withUnit } from "./pure/figure_numbers.js";
import { figureScale, placeOnScale } from "./pure/figure_scale.js";

const HIGH = 120;
const MOST_GROUPS = 24;

/**
 * Build the distribution of a figure over clips.
 * @param {any} report
 * @param {any} figure
 * @param {number} layer
 * @param {number} head
 */
export function createDistribution(report, figure, layer, head) {
  const found = report.histogram(figure.name, layer, head);
  if (!found) return element("p", { class: "nsv-dim", text: say("There is no distribution of this figure.") });
  const { edges } = found[0];
  const [first, last] = [edges[0], edges.at(-1)];
  const x = (value) => (last > first ? (100 * (value - first)) / (last - first) : 50);
  // Surveys of unequal size: shares of clips, so that their heights can be compared.
  const shares = found.map(({ counts }) => counts.map((count) => count / counts.reduce((sum, one) => sum + one, 0)));
  const top = Math.max(...shares.flat());
  const bars = found.flatMap(({ survey }, n) => shares[n].map((share, bin) => drawn("rect", {
    class: `nsv-bin nsv-survey${survey}`, x: `${x(edges[bin]).toFixed(2)}%`, width: `${Math.max(0.3, x(edges[bin + 1]) - x(edges[bin])).toFixed(2)}%`,
    y: HIGH - (share / top) * (HIGH - 6), height: (share / top) * (HIGH - 6),
  })));
  const means = found.map(({ survey }) => [survey, report.value(survey, figure.name, layer, head)]).filter(([, value]) => value);
  const lines = means.map(([survey, value]) => drawn("line", { class: `nsv-mean-line nsv-survey${survey}`, x1: `${x(value.mean)}%`, x2: `${x(value.mean)}%`, y1: 0, y2: HIGH }));
  const said = found.map(({ survey, counts }) => {
    const clips = counts.reduce((sum, one) => sum + one, 0);
    return report.compared ? say("{survey}: {clips} clips", { survey: "AB"[survey], clips }) : say("{clips} clips", { clips });
  }).join(", ");
  const picture = drawn("svg", { class: "nsv-histogram", width: "100%", height: HIGH + 1, role: "img", "aria-label": `${say(figure.label)}: ${said}` },
    ...bars, drawn("line", { class: "nsv-axis", x1: 0, x2: "100%", y1: HIGH, y2: HIGH }), ...lines);
  return element("div", {}, picture,
    element("div", { class: "nsv-ends" }, element("span", { text: unitless(first, figure.unit) }), element("span", { class: "nsv-dim", text: said }), element("span", { text: withUnit(last, figure.unit) })));
}

/** Build the dot plot by label of the clips; null where clips have none. */
export function createGroups(report, figure, layer, head) {
  const rows = report.byLabel(figure.name, layer, head);
  if (!rows.length) return null;
  const ends = rows.flatMap(({ of }) => of.filter(Boolean).flatMap(({ low, mean, high }) => [low ?? mean, high ?? mean]));
  const wide = figureScale(ends, figure.unit);
  const pad = 0.06 * (Math.max(...ends) - Math.min(...ends) || 1);
  const scale = wide.diverging || wide.logarithmic ? wide : { ...wide, lo: Math.max(0, Math.min(...ends) - pad), hi: Math.max(...ends) + pad };
  const at = (number) => `${(100 * placeOnScale(number, scale)).toFixed(2)}%`;
  const order = [...rows].sort((a, b) => (b.of.find(Boolean)?.mean ?? 0) - (a.of.find(Boolean)?.mean ?? 0));
  const lines = order.slice(0, MOST_GROUPS).map(({ name, of }) => element("tr", {},
    element("th", { scope: "row", title: name, text: name }),
    element("td", {}, drawn("svg", { class: "nsv-dots", width: "100%", height: 18, "aria-hidden": "true" },
      drawn("line", { class: "nsv-axis", x1: 0, x2: "100%", y1: 9, y2: 9 }),
      ...of.flatMap((value, survey) => (value ? [
        drawn("line", { class: `nsv-whisker nsv-survey${survey}`, x1: at(value.low ?? value.mean), x2: at(value.high ?? value.mean), y1: 9 + 4 * survey - (report.compared ? 2 : 0), y2: 9 + 4 * survey - (report.compared ? 2 : 0) }),
        drawn("circle", { class: `nsv-mean nsv-survey${survey}`, cx: at(value.mean), cy: 9 + 4 * survey - (report.compared ? 2 : 0), r: 4 })] : [])))),
    ...of.map((value, survey) => element("td", { class: `nsv-right${report.compared ? ` nsv-survey${survey}` : ""}` },
      value ? element("span", { text: withUnit(value.mean, figure.unit), title: value.low === null ? say("no interval") : `${unitless(value.low, figure.unit)} … ${withUnit(value.high, figure.unit)}` }) : "–",
      value && value.clips !== null ? element("small", { class: "nsv-dim", text: ` n ${value.clips}` }) : null))));
  const left = order.length - lines.length;
  return element("div", {},
    element("table", { class: "nsv-groups", "aria-label": say("{name} by label of the clips", { name: say(figure.label) }) }, element("tbody", {}, ...lines)),
    element("div", { class: "nsv-ends" }, element("span", { text: unitless(scale.lo, figure.unit) }), element("span", { text: withUnit(scale.hi, figure.unit) })),
    left > 0 ? element("p", { class: "nsv-dim", text: say("{left} more labels are in the tables.", { left }) }) : null);
}
