// A clear map that no answer needs beside a blurred one that an answer hangs on: strong links are cut in both.

import { element } from "../../../shared/dom.js";
import { createSegments } from "../../figures/field.js";
import { createBoard, createFacts, honestScale } from "./board.js";
import { effectiveKeys, strongestOf, strongLinks, sumOf } from "./pure/measures.js";
import { keysByChance, logOdds, recallLogits, recallOf, softmaxOf } from "./pure/recall.js";
import { honestAsks, honestMap, honestRow, honestShares, honestSharesAt } from "./pure/rows.js";

const NEEDED_DRAWS = 8; // random cuts of the second row; those of the first came with the data

/** Odds as people say them: two digits, thousands set apart. */
const twoDigits = (odds) => Number(odds.toPrecision(2)).toLocaleString("en").replaceAll(",", "\u202f");

/** @type {FigureMaker} */
export function createNeededFigure(root, spec, data, { say, changed, state }) {
  const lite = honestMap(data, "lite");
  const recall = recallOf(data, spec.clip, "dot");
  const asks = strongestOf(recall.read); // the cell of the last frame that the head reads most
  let query = Number.isInteger(state?.query) && honestAsks(lite, state.query) ? state.query : lite.query;
  let cut = state?.cut === true;
  const frameName = (n) => say(spec.frame, { n });
  const boards = {
    left: createBoard(data, { map: lite, label: say(spec.names.left), name: "left", seen: "lite.seen", through: true, above: false, widest: 32, legend: (top) => say(spec.scaleEnd, { top }), frameName, pointed }),
    right: createBoard(data, { map: recall.map, label: say(spec.names.right), name: "right", seen: `recall.${spec.clip}.seen`, through: true, legend: (top) => say(spec.scaleEnd, { top }), frameName }),
  };
  const facts = { left: createFacts(), right: createFacts() };
  const which = createSegments({
    name: "cut", label: say(spec.links), value: cut ? "cut" : "whole", choices: ["whole", "cut"].map((value) => ({ value, text: say(spec.cuts[value]) })),
    moved: (value) => { cut = value === "cut"; draw(); changed(); },
  });
  root.append(which.element, ...["left", "right"].map((side) => element("section", {}, element("b", { text: say(spec.names[side]) }), boards[side].element, facts[side].element)));

  // Of the second network nothing moves but the cut: computed once.
  const rightRow = honestRow(recall.map, asks);
  const gone = strongLinks(rightRow);
  const before = recallLogits(recall);
  const answer = strongestOf(before);
  const moves = (mask) => logOdds(recallLogits(recall, (i) => (i === asks ? { cut: mask } : {})), answer) - logOdds(before, answer);
  const draws = Array.from({ length: NEEDED_DRAWS }, (_, seed) => Math.abs(moves(keysByChance(recall.map.keys, sumOf(gone), seed + 1, gone))));
  const right = moves(gone);
  function reading() {
    return {
      chance: { left: data.array("chance.lite").data[query - lite.first], right: Math.max(...draws) },
      read: recall.read[asks] / sumOf(recall.read),
      left: data.array("cut.lite").data[query - lite.first], right, least: data.head.rules.least,
      effective: { left: effectiveKeys(honestSharesAt(lite, query)), right: effectiveKeys(honestShares(rightRow)) },
      answer: data.head.colours[answer], share: softmaxOf(before)[answer],
    };
  }
  function draw() {
    const found = reading();
    const links = cut ? strongLinks(honestSharesAt(lite, query)) : null;
    const whole = { left: honestSharesAt(lite, query), right: honestShares(rightRow) };
    const rows = { left: honestSharesAt(lite, query, { cut: links }), right: honestShares(honestRow(recall.map, asks, { cut: cut ? gone : null })) };
    // The scale stays when links are cut: what is left must not shine by being rescaled.
    boards.left.draw({ shares: rows.left, at: query, scale: honestScale(whole.left) });
    boards.right.draw({ shares: rows.right, at: 256 + asks, scale: honestScale(whole.right) });
    const answers = { left: data.head.numbers.lite_answer, right: say(spec.colours[found.answer]) };
    const shares = { left: data.head.numbers.lite_probability, right: found.share };
    const afterCut = (side, row) => {
      const times = Math.exp(found[side]);
      const before = shares[side] / (1 - shares[side]);
      const after = times * before;
      return [
        say(spec.strongest, { top: Math.max(...row) }), say(spec.odds, { answer: answers[side], is: after / (1 + after), times, before: twoDigits(before), after: twoDigits(after) }),
        say(spec.random, { chance: Math.exp(found.chance[side]) }),
      ];
    };
    for (const side of ["left", "right"]) {
      facts[side].say([
        say(cut ? spec.keysBefore : spec.keys, { keys: found.effective[side] }),
        ...(cut ? afterCut(side, rows[side]) : [
          say(spec.answers, { answer: answers[side], share: shares[side] }), say(spec.reads[side], { cells: boards[side].cells, read: found.read }),
        ]),
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
