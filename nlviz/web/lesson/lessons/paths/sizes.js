// One network at many sizes of its input: a row of its block, and what layers would have to learn.
// spec: {size, built, labels: {board, size, layer, learned, runs, yes, no, convolution, connected, nonlocal, said}}
// state: {size}; reading: the same

import { element } from "../../../shared/dom.js";
import { createSlider } from "../../figures/field.js";
import { commonScale } from "../../figures/tiles.js";
import { createPathsBoard, pathsBox } from "./board.js";
import { pathsLearned } from "./pure/weights.js";

/** @type {FigureMaker} */
export function createPathsSizes(root, spec, data, { say, changed, state }) {
  const { sizes, channels } = data.head;
  const at = (size) => sizes.find((each) => each.size === size);
  let { size, rows, columns, query } = at(state?.size) ?? at(spec.size);
  const built = at(spec.built);
  const board = createPathsBoard(data, { rows: built.rows, columns: built.columns, label: say(spec.labels.board) });
  board.ground("picture_first");
  const said = element("p", { class: "nlesson-said", "aria-live": "polite" });
  const slider = createSlider({
    name: "size", label: say(spec.labels.size), least: sizes[0].size, most: sizes[sizes.length - 1].size, step: sizes[1].size - sizes[0].size, value: size, write: (value) => `${value} px`,
    moved(value) {
      ({ size, rows, columns, query } = at(value));
      draw();
      changed();
    },
  });
  const cells = ["convolution", "connected", "nonlocal"].map((kind) => ({ kind, learned: element("td", {}), runs: element("td", {}) }));
  const heads = ["layer", "learned", "runs"].map((name) => element("th", { scope: "col", text: say(spec.labels[name]) }));
  const table = element("table", { class: "nlesson-paths-table" }, element("thead", {}, element("tr", {}, ...heads)),
    element("tbody", {}, ...cells.map(({ kind, learned, runs }) => element("tr", {}, element("th", { scope: "row", text: say(spec.labels[kind]) }), learned, runs))));
  root.append(element("div", { class: "nlesson-controls" }, slider.element), board.element, said, table);
  draw();

  function draw() {
    const { data: row } = data.array(`row_${size}`);
    const own = query[0] * columns + query[1];
    board.map(row, commonScale([row.map((weight, cell) => (cell === own ? 0 : weight))]), { rows, columns, own });
    board.grid({ rows, columns });
    board.lines([pathsBox({ row: query[0], column: query[1], rows: 1, columns: 1 }, { class: "nlesson-paths-query" })]);
    const many = pathsLearned(rows * columns, channels);
    const few = pathsLearned(built.rows * built.columns, channels);
    for (const { kind, learned, runs } of cells) {
      const fits = kind !== "connected" || rows * columns === built.rows * built.columns;
      learned.textContent = say({ en: "{weights:,d}" }, { weights: many[kind] });
      runs.textContent = fits ? say(spec.labels.yes) : say(spec.labels.no, { built: few[kind], wanted: many[kind] });
      runs.dataset.fits = String(fits);
    }
    const most = row.reduce((best, value) => Math.max(best, value), 0);
    const sum = row.reduce((all, value) => all + value, 0);
    said.textContent = say(spec.labels.said, { rows, columns, cells: rows * columns, uniform: 1 / (rows * columns), most, times: most * rows * columns, sum });
    board.element.setAttribute("aria-label", `${say(spec.labels.board)}. ${said.textContent}`);
  }

  return { state: () => ({ size }), reading: () => ({ size }), destroy() {} };
}
