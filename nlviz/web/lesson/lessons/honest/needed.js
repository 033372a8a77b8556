// A clear map that no answer needs beside a blurred one that an answer hangs on: strong links are cut in both.

import { element } from "../../../shared/dom.js";
import { createSegments } from "../../figures/field.js";
import { createBoard, createFacts } from "./board.js";
import { effectiveKeys, strongestOf, strongLinks } from "./pure/measures.js";
import { logOdds, recallLogits, recallOf, softmaxOf } from "./pure/recall.js";
import { honestAsks, honestMap, honestRow, honestShares, honestSharesAt } from "./pure/rows.js";

/** @type {FigureMaker} */
export function createNeededFigure(root, spec, data, { say, changed, state }) {
  const lite = honestMap(data, "lite");
  const recall = recallOf(data, spec.clip, "dot");
  const asks = strongestOf(recall.read); // the cell of the last frame that the head reads most
  let query = Number.isInteger(state?.query) && honestAsks(lite, state.query) ? state.query : lite.query;
  let cut = state?.cut === true;
  const frameName = (n) => say(spec.frame, { n });
  const boards = {
    left: createBoard(data, { map: lite, label: say(spec.names.left), name: "left", seen: "lite.seen", through: true, frameName, pointed }),
    right: createBoard(data, { map: recall.map, label: say(spec.names.right), name: "right", seen: `recall.${spec.clip}.seen`, through: true, frameName }),
  };
  const facts = { left: createFacts(), right: createFacts() };
  const which = createSegments({
    name: "cut", label: say(spec.links), value: cut ? "cut" : "whole", choices: ["whole", "cut"].map((value) => ({ value, text: say(spec.cuts[value]) })),
    moved: (value) => { cut = value === "cut"; draw(); changed(); },
  });
  root.append(which.element, ...["left", "right"].map((side) => element("section", {}, element("b", { text: say(spec.names[side]) }), boards[side].element, facts[side].element)));

  const rightRow = () => honestRow(recall.map, asks);
  const gone = () => strongLinks(rightRow());
  function reading() {
    const before = recallLogits(recall);
    const answer = strongestOf(before);
    const mask = gone();
    const after = recallLogits(recall, (i) => (i === asks ? { cut: mask } : {}));
    return {
      left: data.array("cut.lite").data[query - lite.first], right: logOdds(after, answer) - logOdds(before, answer), least: data.head.rules.least,
      effective: { left: effectiveKeys(honestSharesAt(lite, query)), right: effectiveKeys(honestShares(rightRow())) },
      answer: data.head.colours[answer], share: softmaxOf(before)[answer],
    };
  }
  function draw() {
    const found = reading();
    const links = cut ? strongLinks(honestSharesAt(lite, query)) : null;
    boards.left.draw({ shares: honestSharesAt(lite, query, { cut: links }), at: query });
    boards.right.draw({ shares: honestShares(honestRow(recall.map, asks, { cut: cut ? gone() : null })), at: 256 + asks });
    const answers = { left: data.head.numbers.lite_answer, right: say(spec.colours[found.answer]) };
    const shares = { left: data.head.numbers.lite_probability, right: found.share };
    for (const side of ["left", "right"]) {
      facts[side].say([
        say(spec.keys, { keys: found.effective[side] }), say(spec.answers, { answer: answers[side], share: shares[side] }),
        ...(cut ? [say(spec.odds, { times: Math.exp(found[side]) })] : []),
      ]);
    }
  }
  function pointed(cell) {
    if (!honestAsks(lite, cell)) return;
    query = cell;
    draw();
    changed();
  }
  draw();
  return { state: () => ({ query, cut }), reading, destroy: () => {} };
}
