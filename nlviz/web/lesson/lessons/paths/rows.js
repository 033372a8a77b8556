// Weights of one place over all places of two pictures: of a convolution, a fully connected and a non-local layer.
// spec: {layer, picture, query: [row, column], kinds: {name: text}, pictures: {name: text}, labels: {board, kind, picture, first, said}}
// state: {kind, picture, query}; reading: the same, query as the number of its cell

import { element } from "../../../shared/dom.js";
import { createSegments } from "../../figures/field.js";
import { commonScale } from "../../figures/tiles.js";
import { createPathsBoard, pathsBox, pathsPointing } from "./board.js";
import { pathsRowOf } from "./pure/judges.js";
import { pathsConnected, pathsConvolved, pathsMoved } from "./pure/weights.js";
import { createPathsSelect } from "./select.js";

/** @type {FigureMaker} */
export function createPathsRows(root, spec, data, { say, changed, signal, state }) {
  const { rows, columns } = data.head.block;
  const known = (value, names, otherwise) => (Object.hasOwn(names, value ?? "") ? value : otherwise);
  let kind = known(state?.kind, spec.kinds, spec.layer);
  let picture = known(state?.picture, spec.pictures, spec.picture);
  const inside = (cell) => Array.isArray(cell) && cell.every(Number.isInteger) && cell[0] >= 0 && cell[0] < rows && cell[1] >= 0 && cell[1] < columns;
  let query = inside(state?.query) ? state.query : spec.query;
  const act = (set) => (value) => {
    set(value);
    draw();
    changed();
  };
  const said = element("p", { class: "nlesson-said", "aria-live": "polite" });
  const kinds = createSegments({ name: "kind", label: say(spec.labels.kind), value: kind, moved: act((value) => { kind = value; }), choices: Object.entries(spec.kinds).map(([value, text]) => ({ value, text: say(text) })) });
  const pictures = createPathsSelect({ name: "picture", label: say(spec.labels.picture), value: picture, moved: act((value) => { picture = value; }), choices: Object.entries(spec.pictures).map(([value, text]) => ({ value, text: say(text) })) });
  const captions = [say(spec.labels.first), ""].map((text) => element("figcaption", { text }));
  const boards = captions.map(() => createPathsBoard(data, { rows, columns, label: say(spec.labels.board) }));
  boards.forEach(({ element: box }, n) => {
    pathsPointing(box, {
      rows: () => rows, columns: () => columns, at: () => query, name: n ? "second" : "first", signal,
      moved: (cell) => {
        if (cell[0] !== query[0] || cell[1] !== query[1]) act((value) => { query = value; })(cell);
      },
    });
  });
  boards[0].ground("picture_first");
  root.append(
    element("div", { class: "nlesson-controls" }, kinds.element, pictures.element),
    element("div", { class: "nlesson-paths-two" }, ...boards.map((board, n) => element("figure", {}, captions[n], board.element))), said);
  draw();

  /** The weights of the query on a picture; only the block's need the picture. */
  function rowOn(name) {
    const cell = query[0] * columns + query[1];
    if (kind === "nonlocal") return pathsRowOf(data, name, cell);
    return kind === "convolution" ? pathsConvolved(data.array("kernel").data, cell, rows, columns) : pathsConnected(cell, rows * columns);
  }

  function draw() {
    const found = [rowOn("first"), rowOn(picture)];
    const own = query[0] * columns + query[1];
    // The cell's own weight would leave the rest without colour: it is said instead.
    const scale = commonScale(found.map((row) => row.map((weight, cell) => (cell === own ? 0 : weight))));
    const [kept, keptThere] = found.map((row) => Math.abs(row[own]) / row.reduce((all, weight) => all + Math.abs(weight), 0));
    boards[1].ground(`picture_${picture}`);
    captions[1].textContent = say(spec.pictures[picture]);
    said.textContent = say(spec.labels.said, { moved: pathsMoved(found[0], found[1]), kind: say(spec.kinds[kind]), kept, kept_there: keptThere });
    found.forEach((row, n) => {
      boards[n].map(row, scale, { rows, columns, own });
      boards[n].lines([pathsBox({ row: query[0], column: query[1], rows: 1, columns: 1 }, { class: "nlesson-paths-query" })]);
      boards[n].element.setAttribute("aria-label", `${captions[n].textContent}. ${say(spec.labels.board)}. ${said.textContent}`);
    });
  }

  return {
    state: () => ({ kind, picture, query }),
    reading: () => ({ kind, picture, query: query[0] * columns + query[1] }),
    destroy() {},
  };
}
