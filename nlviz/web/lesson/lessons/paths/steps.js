// Two cells of a picture, and what the output at A depends on after a few 3 x 3 layers.
// spec: {from: [row, column], to, layers, most, grid: {rows, columns}, picture, labels: {board, layers, apart}}
// state: {to: [row, column], layers}; reading: {from, to, layers}

import { element } from "../../../shared/dom.js";
import { createSlider } from "../../figures/field.js";
import { createPathsBoard, pathsAlong, pathsBox, pathsLetter, pathsPointing, pathsShape } from "./board.js";
import { pathsCells } from "./pure/reach.js";

/** @type {FigureMaker} */
export function createPathsSteps(root, spec, data, { say, changed, signal, state }) {
  const { rows, columns } = spec.grid;
  const from = spec.from;
  const inside = (cell) => Array.isArray(cell) && cell.every(Number.isInteger) && cell[0] >= 0 && cell[0] < rows && cell[1] >= 0 && cell[1] < columns;
  let to = inside(state?.to) ? state.to : spec.to;
  let layers = Number.isInteger(state?.layers) ? Math.min(spec.most, Math.max(0, state.layers)) : spec.layers;
  const board = createPathsBoard(data, { rows, columns, label: say(spec.labels.board) });
  board.ground(spec.picture);
  const said = element("p", { class: "nlesson-said", "aria-live": "polite" });
  const slider = createSlider({
    name: "layers", label: say(spec.labels.layers), least: 0, most: spec.most, step: 1, value: layers,
    moved(value) {
      layers = value;
      draw();
      changed();
    },
  });
  pathsPointing(board.element, {
    rows: () => rows, columns: () => columns, at: () => to, name: "place", signal,
    moved(cell) {
      if (cell[0] === to[0] && cell[1] === to[1]) return;
      to = cell;
      draw();
      changed();
    },
  });
  root.append(board.element, element("div", { class: "nlesson-controls" }, slider.element), said);
  draw();

  function draw() {
    const grid = pathsShape("path", {
      class: "nlesson-paths-grid",
      d: [...Array.from({ length: rows - 1 }, (_, n) => `M0 ${n + 1}H${columns}`), ...Array.from({ length: columns - 1 }, (_, n) => `M${n + 1} 0V${rows}`)].join(""),
    });
    const [row, column] = [Math.max(0, from[0] - layers), Math.max(0, from[1] - layers)];
    const reached = { row, column, rows: Math.min(rows, from[0] + layers + 1) - row, columns: Math.min(columns, from[1] + layers + 1) - column };
    const way = pathsCells(from, to).slice(0, layers + 1);
    board.lines([
      grid,
      pathsBox(reached, { class: "nlesson-paths-reached" }),
      pathsAlong(way, { class: "nlesson-paths-under" }),
      pathsAlong(way, { class: "nlesson-paths-way" }),
      ...way.slice(1).map(([r, c]) => pathsShape("circle", { cx: c + 0.5, cy: r + 0.5, r: 0.2, class: "nlesson-paths-stop" })),
      pathsLetter(from, "A", 1.35, "a"), pathsLetter(to, "B", 1.35, "b"),
    ]);
    const values = { across: Math.abs(to[1] - from[1]), down: Math.abs(to[0] - from[0]) };
    said.textContent = say(spec.labels.apart, values);
    board.element.setAttribute("aria-label", `${say(spec.labels.board)}. ${said.textContent}`);
  }

  return { state: () => ({ to, layers }), reading: () => ({ from, to, layers }), destroy() {} };
}
