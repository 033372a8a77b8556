// What keys receive from all queries, and what their values give: three blocks.

import { element } from "../../../shared/dom.js";
import { createSegments } from "../../figures/field.js";
import { createBoard, createFacts } from "./board.js";
import { median, received, strongestOf } from "./pure/measures.js";
import { honestMap } from "./pure/rows.js";

/** @type {FigureMaker} */
export function createSinksFigure(root, spec, data, { say, changed, state }) {
  const ids = Object.keys(spec.blocks);
  /** @type {Map<string, any>} */
  const known = new Map();
  let block = ids.includes(state?.block) ? state.block : ids[0];
  let key = -1;
  const stage = element("div", { class: "nlesson-honest-stage" });
  const facts = createFacts();
  const which = createSegments({
    name: "block", label: say(spec.block), value: block, choices: ids.map((value) => ({ value, text: say(spec.blocks[value]) })),
    moved: (value) => { block = value; key = -1; mount(); changed(); },
  });
  root.append(which.element, stage, facts.element);

  function of(id) {
    const there = known.get(id);
    if (there) return there;
    const map = honestMap(data, id);
    const values = data.array(`${id}.values`).data;
    const found = { map, values, shares: received(map), typical: median(values), words: data.head.maps[id].words ?? null };
    known.set(id, found);
    return found;
  }

  /** @type {(() => void)} */
  let draw = () => {};
  function mount() {
    const { map, values, shares, words } = of(block);
    if (key < 0 || key >= map.keys) key = strongestOf(shares.map((share) => -share)); // away from any sink
    const about = { map, words, named: "", frameName: (n) => say(spec.frame, { n }), pointed: (cell) => { key = cell; draw(); changed(); } };
    const seen = words ? null : `${block}.seen`;
    const above = createBoard(data, { ...about, label: say(spec.received), name: "received", seen, legend: (top) => say(spec.colours, { top }) });
    const below = createBoard(data, { ...about, label: say(spec.given), name: "given", legend: (top) => say(spec.sizes, { top }) });
    stage.replaceChildren(element("section", {}, element("b", { text: say(spec.received) }), above.element), element("section", {}, element("b", { text: say(spec.given) }), below.element));
    const sizes = Float32Array.from(values);
    const scale = { lo: 0, hi: Math.max(...sizes), floor: 0, diverging: false, clipped: false, clippedBelow: false };
    draw = () => {
      above.draw({ shares, at: key });
      below.draw({ shares: sizes, at: key, scale });
      const { share, times, ratio } = reading();
      facts.say([say(spec.shareIs, { share, times }), say(spec.ratioIs, { ratio })]);
    };
    draw();
  }
  function reading() {
    const { map, values, shares, typical } = of(block);
    return { block, key, share: shares[key], times: shares[key] * map.keys, ratio: values[key] / typical };
  }
  if (Number.isInteger(state?.key) && state.key >= 0) ({ key } = state);
  mount();
  return { state: () => ({ block, key }), reading, destroy: () => {} };
}
