// A network that must recall: all links to one frame are cut, and it answers again, here in the browser.

import { element } from "../../../shared/dom.js";
import { createSegments } from "../../figures/field.js";
import { createBoard, createFacts, honestScale } from "./board.js";
import { strongestOf, sumOf } from "./pure/measures.js";
import { keysByChance, keysOfFrames, recallLogits, recallOf, softmaxOf } from "./pure/recall.js";
import { honestFrames, honestSharesAt } from "./pure/rows.js";

const DRAWS = 4;

/** @type {FigureMaker} */
export function createKnockFigure(root, spec, data, { say, changed, state }) {
  const { clips } = spec;
  let clip = clips.includes(state?.clip) ? state.clip : clips[0];
  let cut = [0, 1, 2, 3, 4].includes(state?.cut) ? state.cut : null;
  const first = recallOf(data, clip, "learned");
  const board = createBoard(data, { map: first.map, label: say(spec.map), name: "row", seen: `recall.${clip}.seen`, through: true, legend: (top) => say(spec.scaleEnd, { top }), frameName: (n) => say(spec.frame, { n }) });
  const facts = createFacts();
  const bars = element("div", { class: "nlesson-honest-bars", role: "img" });
  const which = createSegments({
    name: "clip", label: say(spec.clip), value: String(clip), choices: clips.map((n, at) => ({ value: String(n), text: String(at + 1) })),
    moved: (value) => { clip = Number(value); cut = null; scissors.set("none"); draw(); changed(); },
  });
  const scissors = createSegments({
    name: "cut", label: say(spec.cut), value: cut === null ? "none" : String(cut),
    choices: [{ value: "none", text: say(spec.nothing) }, ...[0, 1, 2, 3, 4].map((n) => ({ value: String(n), text: say(spec.frame, { n: n + 1 }) }))],
    moved: (value) => { cut = value === "none" ? null : Number(value); draw(); changed(); },
  });
  root.append(which.element, element("b", { text: say(spec.map) }), board.element, scissors.element, bars, facts.element, element("p", { class: "nlesson-said", text: say(spec.marks) }));

  function reading() {
    const recall = recallOf(data, clip, "learned");
    const told = (logits) => {
      const shares = softmaxOf(logits);
      const answer = strongestOf(shares);
      return { answer, share: shares[answer], shares };
    };
    const before = told(recallLogits(recall));
    if (cut === null) return { cut, clip, before, after: before, mass: 0, chance: before.share };
    const gone = keysOfFrames(recall.map, [cut]);
    const after = told(recallLogits(recall, () => ({ cut: gone })));
    const many = sumOf(gone);
    const draws = Array.from({ length: DRAWS }, (_, seed) => softmaxOf(recallLogits(recall, (i) => ({ cut: keysByChance(recall.map.keys, many, 64 * seed + i + 1) })))[before.answer]);
    const row = honestSharesAt(recall.map, data.head.maps[`recall.${clip}`].query);
    return { cut, clip, before, after: { ...after, share: after.shares[before.answer] }, mass: sumOf(honestFrames(recall.map, row)[cut]), chance: sumOf(draws) / DRAWS };
  }

  function draw() {
    const { map } = recallOf(data, clip, "learned");
    const { query } = data.head.maps[`recall.${clip}`];
    const gone = cut === null ? null : keysOfFrames(map, [cut]);
    const shares = honestSharesAt(map, query, { cut: gone });
    board.draw({ shares, at: query, scale: honestScale(honestSharesAt(map, query)), pictures: `recall.${clip}.seen`, notes: honestFrames(map, shares).map((frame, n) => (n === cut ? say(spec.gone) : say(spec.holds, { mass: sumOf(frame) }))) });
    const { before, after, chance } = reading();
    const rows = data.head.colours.map((name, n) => [say(spec.colours[name]), before.shares[n], after.shares[n]]);
    bars.setAttribute("aria-label", rows.map(([name, was, is]) => say(spec.bar, { name, was, is })).join("; "));
    bars.replaceChildren(...rows.map(([name, was, is]) => element("div", { class: "nlesson-honest-bar" },
      element("span", { text: name }), element("i", { style: `--was:${was};--is:${is}` }), element("b", { text: say(spec.percent, { share: is }) }))));
    const colour = say(spec.colours[data.head.colours[before.answer]]);
    facts.say(cut === null ? [say(spec.answers, { colour, share: before.share })] : [say(spec.then, { colour, share: after.share }), say(spec.random, { chance })]);
  }
  draw();
  return { state: () => ({ clip, cut }), reading, destroy: () => {} };
}
