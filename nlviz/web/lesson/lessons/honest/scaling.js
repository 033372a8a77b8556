// One row over three frames, each divided by its own strongest cell, or all on one scale.

import { createSegments } from "../../figures/field.js";
import { createBoard, createFacts } from "./board.js";
import { sumOf } from "./pure/measures.js";
import { honestAsks, honestFrames, honestMap, honestSharesAt } from "./pure/rows.js";

/** @type {FigureMaker} */
export function createScalingFigure(root, spec, data, { say, changed, state }) {
  const map = honestMap(data, "lite");
  let query = Number.isInteger(state?.query) && honestAsks(map, state.query) ? state.query : map.query;
  let scale = state?.scale === "one" ? "one" : "frame";
  const board = createBoard(data, { map, label: say(spec.map), name: "row", seen: "lite.seen", through: true, legend: (top) => (top === null ? say(spec.coloursFrame) : say(spec.colours, { top })), frameName: (n) => say(spec.frame, { n }), pointed });
  const facts = createFacts();
  const which = createSegments({
    name: "scale", label: say(spec.scale), value: scale, choices: ["frame", "one"].map((value) => ({ value, text: say(spec.scales[value]) })),
    moved: (value) => { scale = value; draw(); changed(); },
  });
  root.append(which.element, board.element, facts.element);
  const masses = () => honestFrames(map, honestSharesAt(map, query)).map(sumOf);
  function draw() {
    const shares = honestSharesAt(map, query);
    const own = scale === "frame";
    board.draw({ shares, at: query, eachFrame: own, notes: own ? [] : masses().map((mass) => say(spec.holds, { mass })) });
    facts.say([say(own ? spec.saidFrame : spec.saidOne)]);
  }
  function pointed(cell) {
    if (!honestAsks(map, cell)) return;
    query = cell;
    draw();
    changed();
  }
  draw();
  return { state: () => ({ query, scale }), reading: () => ({ masses: masses(), scale }), destroy: () => {} };
}
