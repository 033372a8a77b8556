// What an output of n random layers depends on, and how much: measured gradients, the field that can be reached and
// the square that holds 95 % of the gradient, and both widths over the number of layers.
// spec: {depth, labels: {board, layers, reached, held, x, y, said}}
// state: {depth}; reading: the same

import { element } from "../../../shared/dom.js";
import { createChart } from "../../figures/chart.js";
import { createSlider } from "../../figures/field.js";
import { createPathsBoard, pathsBox } from "./board.js";
import { pathsWidthOf } from "./pure/judges.js";

/** @type {FigureMaker} */
export function createPathsField(root, spec, data, { say, changed, state }) {
  const depths = data.head.depths.slice(0, -1); // the deepest is asked for
  const deepest = depths[depths.length - 1];
  const side = 2 * deepest + 1;
  let depth = depths.includes(state?.depth) ? state.depth : spec.depth;
  const board = createPathsBoard(data, { rows: side, columns: side, label: say(spec.labels.board) });
  board.element.classList.add("nlesson-paths-square");
  const chart = createChart({ label: say(spec.labels.chart), height: () => Math.round(15.5 * (Number.parseFloat(getComputedStyle(root).fontSize) || 15)) });
  const said = element("p", { class: "nlesson-said", "aria-live": "polite" });
  const slider = createSlider({
    name: "depth", label: say(spec.labels.layers), least: 0, most: depths.length - 1, step: 1, value: depths.indexOf(depth), write: (value) => String(depths[value]),
    moved(value) {
      depth = depths[value];
      draw();
      changed();
    },
  });
  const key = element("p", { class: "nlesson-paths-key" },
    element("span", { class: "nlesson-paths-key-reached", text: say(spec.labels.reached) }), element("span", { class: "nlesson-paths-key-held", text: say(spec.labels.held) }));
  root.append(element("div", { class: "nlesson-controls" }, slider.element), element("div", { class: "nlesson-paths-pair" }, element("div", {}, board.element, key), chart.element), said);
  draw();

  function draw() {
    const reached = 2 * depth + 1;
    const width = pathsWidthOf(data, depth);
    const { data: field } = data.array(`plain_${depth}`);
    // In the middle of paper that the deepest of the slider's fills.
    const values = new Float32Array(side * side);
    const edge = deepest - depth;
    for (let row = 0; row < reached; row++) {
      for (let column = 0; column < reached; column++) values[(row + edge) * side + column + edge] = field[row * reached + column];
    }
    const hi = values.reduce((most, value) => Math.max(most, value), 0);
    board.map(values, { lo: 0, hi, floor: 0, diverging: false, clipped: false, clippedBelow: false });
    const square = (across) => ({ row: (side - across) / 2, column: (side - across) / 2, rows: across, columns: across });
    board.lines([pathsBox(square(reached), { class: "nlesson-paths-reached" }), pathsBox(square(width), { class: "nlesson-paths-held" })]);
    const seen = depths.filter((each) => each <= depth);
    chart.draw({
      lines: [
        { name: say(spec.labels.reached), x: [1, ...seen], y: [3, ...seen.map((each) => 2 * each + 1)], tone: 1 },
        { name: say(spec.labels.held), x: seen, y: seen.map((each) => pathsWidthOf(data, each)), tone: 0, kind: "points" },
      ],
      x: { label: say(spec.labels.x), least: 0, most: data.head.depths[data.head.depths.length - 1] },
      y: { label: say(spec.labels.y), least: 0, most: 70 },
      at: depth,
    });
    said.textContent = say(spec.labels.said, { depth, reached, width });
    board.element.setAttribute("aria-label", `${say(spec.labels.board)}. ${said.textContent}`);
  }

  return { state: () => ({ depth }), reading: () => ({ depth }), resize: draw, destroy: () => chart.destroy() };
}
