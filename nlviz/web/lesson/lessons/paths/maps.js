// Squared gradients of one unit of several networks, over two frames: on a linear and on a logarithmic scale.
// spec: {maps: [{id, map}], floor (of the logarithmic scale), scale: "linear"|"log", labels: {board, scale, linear, log, first, second, reached, said_linear, said_log}}
// state: {scale}; reading: the same

import { element } from "../../../shared/dom.js";
import { createSegments } from "../../figures/field.js";
import { createPathsBoard, pathsBox, pathsShape } from "./board.js";

const PATHS_GAP = 3; // cells between frames

/** @type {FigureMaker} */
export function createPathsMaps(root, spec, data, { say, changed, state }) {
  let scale = ["linear", "log"].includes(state?.scale) ? state.scale : spec.scale;
  const said = element("p", { class: "nlesson-said", "aria-live": "polite" });
  const segments = createSegments({
    name: "scale", label: say(spec.labels.scale), value: scale, choices: ["linear", "log"].map((value) => ({ value, text: say(spec.labels[value]) })),
    moved(value) {
      scale = value;
      draw();
      changed();
    },
  });
  const boards = spec.maps.map(({ id, map }) => {
    const { data: values, shape: [frames, rows, columns] } = data.array(`field_${map}`);
    const about = data.head.fields.find(({ name }) => name === map);
    const all = frames * (rows + PATHS_GAP) - PATHS_GAP;
    const label = say(spec.labels.board, { letter: id.toUpperCase() });
    const board = createPathsBoard(data, { rows: all, columns, label });
    const apart = new Float32Array(all * columns);
    for (let frame = 0; frame < frames; frame++) apart.set(values.subarray(frame * rows * columns, (frame + 1) * rows * columns), frame * (rows + PATHS_GAP) * columns);
    board.lines([
      pathsShape("rect", { x: 0, y: rows, width: columns, height: PATHS_GAP, class: "nlesson-paths-gap" }),
      pathsBox({ row: about.rows[0], column: about.columns[0], rows: about.rows[1] - about.rows[0] + 1, columns: about.columns[1] - about.columns[0] + 1 }, { class: "nlesson-paths-reached" }),
      pathsShape("text", { x: 1.5, y: 6, "font-size": 5, class: "nlesson-paths-frame" }, say(spec.labels.first)),
      pathsShape("text", { x: 1.5, y: rows + PATHS_GAP + 6, "font-size": 5, class: "nlesson-paths-frame" }, say(spec.labels.second)),
    ]);
    return { id, board, values: apart, most: apart.reduce((most, value) => Math.max(most, value), 0) };
  });
  const strongest = Math.max(...boards.map(({ most }) => most));
  root.append(
    element("div", { class: "nlesson-controls" }, segments.element),
    element("div", { class: "nlesson-paths-four" }, ...boards.map(({ id, board }) => element("figure", {}, element("figcaption", { text: id.toUpperCase() }), board.element))),
    element("p", { class: "nlesson-paths-key" }, element("span", { class: "nlesson-paths-key-reached", text: say(spec.labels.reached) })), said);
  draw();

  function draw() {
    const log = scale === "log";
    for (const { board, values, most } of boards) {
      board.map(values, { lo: 0, hi: log ? strongest : most, floor: log ? spec.floor : 0, diverging: false, clipped: false, clippedBelow: false });
    }
    said.textContent = say(spec.labels[`said_${scale}`], { most: strongest });
  }

  return { state: () => ({ scale }), reading: () => ({ scale }), destroy() {} };
}
