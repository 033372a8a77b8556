// Shares of right answers by f and task, over all seeds, as a table; what is done to the rows can be chosen.

import { createSegments } from "../../figures/field.js";
import { element } from "../../../shared/dom.js";

const MEASURED = ["whole", "asked frame", "uniform", "bypassed"];

/** @type {FigureMaker} */
export function createFiguresTable(root, spec, data, { say, changed, state }) {
  const { figures } = data.head;
  const word = (name, values) => say(spec.labels[name], values);
  let measure = MEASURED.includes(state?.measure) ? state.measure : MEASURED[0];
  const body = element("div", { class: "nlesson-pairwise-scroll" });
  const segments = createSegments({
    name: "measure", label: word("done"), value: measure,
    choices: MEASURED.map((value) => ({ value, text: word(value) })),
    moved: (value) => {
      measure = value;
      draw();
      changed();
    },
  });
  root.append(element("div", { class: "nlesson-pairwise" }, segments.element, body));

  /** A mean over seeds as a bar and a number, with the range where there are several. */
  function shareCell(found) {
    const mean = found.reduce((all, each) => all + each, 0) / found.length;
    const percent = (value) => `${Math.round(100 * value)}`;
    const [least, most] = [percent(Math.min(...found)), percent(Math.max(...found))];
    const range = least === most ? "" : element("span", { text: ` (${least}–${most})` });
    return element("td", { style: `--share:${percent(mean)}%` }, element("b", { text: `${percent(mean)} %` }), range);
  }

  function draw() {
    const tasks = spec.tasks;
    body.replaceChildren(element("table", { class: "nlesson-pairwise-table" },
      element("thead", {}, element("tr", {}, element("th", { scope: "col", text: "f" }), ...tasks.map((task) => element("th", { scope: "col", text: word(task) })))),
      element("tbody", {}, ...Object.keys(figures[tasks[0]]).map((f) => element("tr", {},
        element("th", { scope: "row", text: word(f) }), ...tasks.map((task) => shareCell(figures[task][f][measure])))))));
  }

  draw();
  return { state: () => ({ measure }), reading: () => ({ measure }), destroy: () => root.replaceChildren() };
}
