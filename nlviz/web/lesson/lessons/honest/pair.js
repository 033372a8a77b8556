// Two maps of one clip under one query: which of them is about the query?

import { element } from "../../../shared/dom.js";
import { createSegments } from "../../figures/field.js";
import { createBoard, createFacts } from "./board.js";
import { inCommon, stepsBetween } from "./pure/measures.js";
import { honestMap, honestSharesAt } from "./pure/rows.js";

const PAIR = ["a", "b"];

/** @type {FigureMaker} */
export function createPairFigure(root, spec, data, { say, changed, state }) {
  const maps = Object.fromEntries(PAIR.map((id) => [id, honestMap(data, `pair.${id}`)]));
  const start = maps.a.query;
  const cells = maps.a.keys;
  let query = Number.isInteger(state?.query) && state.query >= 0 && state.query < cells ? state.query : start;
  let chosen = PAIR.includes(state?.chosen) ? state.chosen : "";
  const opening = Object.fromEntries(PAIR.map((id) => [id, honestSharesAt(maps[id], start)]));
  const pictures = createBoard(data, { map: maps.a, label: say(spec.seen), name: "seen", seen: "pair.a.seen", frameName: (n) => say(spec.frame, { n }), pointed });
  const boards = Object.fromEntries(PAIR.map((id) => {
    return [id, createBoard(data, { map: maps[id], label: say(spec.maps[id]), name: id, legend: (top) => say(spec.colours, { top }), frameName: (n) => say(spec.frame, { n }), pointed })];
  }));
  const facts = Object.fromEntries(PAIR.map((id) => [id, createFacts()]));
  const which = createSegments({
    name: "map", label: say(spec.choose), value: chosen, choices: PAIR.map((value) => ({ value, text: say(spec.maps[value]) })),
    moved: (value) => { chosen = value; changed(); },
  });
  root.append(element("section", { class: "nlesson-honest-only-seen" }, element("b", { text: say(spec.seen) }), pictures.element), ...PAIR.map((id) => element("section", {}, element("b", { text: say(spec.maps[id]) }), boards[id].element, facts[id].element)), which.element);

  const changes = () => Object.fromEntries(PAIR.map((id) => [id, 1 - inCommon(opening[id], honestSharesAt(maps[id], query))]));
  function draw() {
    const moved = changes();
    pictures.draw({ shares: opening.a, at: query, marks: [start] });
    for (const id of PAIR) {
      boards[id].draw({ shares: honestSharesAt(maps[id], query), at: query, marks: [start] });
      facts[id].say([query === start ? say(spec.still) : say(spec.changed, { changed: moved[id] })]);
    }
  }
  function pointed(cell) {
    query = cell;
    draw();
    changed();
  }
  draw();
  return {
    state: () => ({ query, ...(chosen ? { chosen } : {}) }),
    reading: () => ({ chosen: chosen || null, steps: stepsBetween(maps.a, start, query), changes: changes() }),
    destroy: () => {},
  };
}
