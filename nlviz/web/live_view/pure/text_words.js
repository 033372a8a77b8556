// What a row over words, boxes or nodes says, in sentences: no frames and no pixels where there are none.

import { say, texts } from "../../shared/language.js";
import { lineOf, pagesOf, wordText } from "./pages.js";
import { changeText, joined, numberText, percentText, tokenText, weightText } from "./words.js";

const TELLS = 0.005;
const MOST_NAMED = 3;

/** Whether tokens of a grid are called by names rather than by where they are. */
export const isNamed = ({ kind } = /** @type {any} */ ({})) => kind === "line" || kind === "boxes" || kind === "nodes";

/** A token of a grid by its name: a word, a box, a node. */
export function tokenName(grid, index) {
  if (grid.kind === "line") return wordText(grid, index);
  return grid.names?.[index] === undefined ? `${index}` : wordText({ words: grid.names }, index);
}

/**
 * Who asks where no place does: a word, or a token without a place.
 * @param {Pick<Result, "named" | "asked">} result
 */
export function askerText({ named, asked }) {
  if (!named) return say("The query");
  if (named.word === undefined) return tokenText(named.name, named.own);
  return say("The word {word}", { word: wordText({ words: lineOf(asked)?.words ?? [] }, named.word) });
}

const KINDS_NAMED = texts({ line: ["word", "words"], boxes: ["box", "boxes"], nodes: ["node", "nodes"], grid: ["cell", "cells"] });
const PARTS_NAMED = texts({ text: "text", special: "special tokens", video: "the video", picture: "the picture" });

/**
 * What one, or several, tokens of a grid are.
 * @param {{kind?: string}} grid
 * @param {number} count
 */
export function kindText({ kind }, count) {
  const [one, several] = KINDS_NAMED[kind ?? "grid"] ?? KINDS_NAMED.grid;
  return say(count === 1 ? one : several);
}

/** Sums of a row over words: of those that were written, and of special tokens. */
function halves(values, special, from = 0, to = values.length) {
  let [text, apart] = [0, 0];
  for (let n = from; n < to; n++) {
    const size = Math.abs(values[n]) || 0;
    if (special.has(n)) apart += size;
    else text += size;
  }
  return [text, apart];
}

/**
 * How a row is shared out between pictures, text and special tokens; null where that says nothing.
 * @param {Head} head
 * @param {Result} result
 * @returns {{kind: string, name: string, where: string, share: number}[]|null} name, and where in a sentence, in English
 */
export function partsOfRow(head, result) {
  const { asked } = pagesOf(head, result.spec);
  if (result.column || result.logits || result.difference || !asked || !(result.total > 0)) return null;
  const { special } = asked.tokens;
  if (result.grid.kind === "line") {
    if (special.size === 0) return null;
    const [text, apart] = halves(result.values, special, result.from, result.to);
    return [{ kind: "text", name: "text", where: PARTS_NAMED.text, share: text / result.total }, { kind: "special", name: "special tokens", where: PARTS_NAMED.special, share: apart / result.total }];
  }
  if (!result.words) return null;
  const [text, apart] = halves(result.words, special);
  const film = head.clip.frames > 1 ? texts("video") : texts("picture");
  const shares = [
    { kind: "vision", name: film, where: PARTS_NAMED[film], share: Math.max(0, 1 - (text + apart) / result.total) },
    { kind: "text", name: "text", where: PARTS_NAMED.text, share: text / result.total },
  ];
  return special.size === 0 ? shares : [...shares, { kind: "special", name: "special tokens", where: PARTS_NAMED.special, share: apart / result.total }];
}

/** The strongest of some weights, in order, with their share of all. */
function strongestNamed(result, count) {
  return [...result.order.subarray(0, Math.min(count, result.found))].map((n) => ({ n, share: Math.abs(result.values[n]) / (result.total || 1) }));
}

/**
 * What a row over named tokens says: which of them, and how much.
 * @param {Result} result
 */
export function namedSentence(result) {
  const { asked, token, grid, own, column, spec } = result;
  const who = tokenName(asked, token);
  const name = (n) => tokenName(grid, n);
  if (result.logits) {
    const top = result.found > 0 ? say(", the largest for {name}", { name: name(result.order[0]) }) : "";
    const values = { who, least: numberText(result.least), most: numberText(result.most), top };
    return spec.pairwise === "cosine" ? say("{who} is like the others by a cosine from {least} to {most}{top}.", values)
      : say("Raw logits of {who} run from {least} to {most}{top}: likeness before C(x) turns it into weights.", values);
  }
  if (result.difference) return differenceOf(result, who, name);
  if (column) {
    const told = strongestNamed(result, MOST_NAMED).filter(({ n }) => result.values[n] > 0)
      .map(({ n }) => `${name(n)} (${spec.softmax ? weightText(result.values[n]) : numberText(result.values[n])})`);
    if (!told.length) return say("Nothing looks at {who}.", { who });
    return spec.softmax ? say("{who} is looked at most by {list}, each a share of its own row.", { who, list: joined(told) })
      : say("{who} is looked at most by {list}.", { who, list: joined(told) });
  }
  const itself = own >= 0 && result.ownShare >= TELLS ? [{ n: own, share: result.ownShare }] : [];
  const told = [...strongestNamed(result, MOST_NAMED), ...itself].filter(({ share }) => share >= TELLS).sort((a, b) => b.share - a.share);
  if (!told.length) {
    return result.found ? say("{who} spreads its weight: none of {count} {kind} gets as much as {share}.", { who, count: result.count, kind: kindText(grid, result.count), share: percentText(TELLS) })
      : say("{who} reaches nothing.", { who });
  }
  const first = texts(spec.softmax ? "{share} of its weight from {where}" : "{share} of all that it weighs from {where}");
  const parts = told.map(({ n, share }, i) => say(i ? "{share} from {where}" : first, { share: share < 0.0095 ? weightText(share) : percentText(share), where: n === own ? say("itself") : name(n) }));
  return say("{who} takes {list}.", { who, list: joined(parts) });
}

function differenceOf(result, who, name) {
  const strong = strongestNamed(result, MOST_NAMED).filter(({ n }) => result.values[n] > 0);
  const whole = result.balanced ? say("{who} puts {moved} of its weight elsewhere than the average {kind}", { who, moved: percentText(result.moved), kind: kindText(result.asked, 1) })
    : say("What sets {who} apart from the average", { who });
  const more = joined(strong.map(({ n }) => `${name(n)} (${result.balanced ? changeText(result.values[n]) : numberText(result.values[n])})`));
  return more ? say("{whole}: more on {list}.", { whole, list: more }) : say("{whole}.", { whole });
}

/** Edges that end in different targets are not to be compared: each target's row sums to 1 by itself. */
export function targetsText({ keys, softmax }) {
  if (keys.kind !== "boxes" && keys.kind !== "nodes") return "";
  return softmax ? say("Arrows end in one target and show what it takes from whom. Weights are comparable only within one target: each target’s row sums to 1 by itself.")
    : say("Arrows end in one target and show what it takes from whom. Weights are comparable only within one target: each target’s row is divided by itself.");
}

/**
 * Where a word beside pictures looks: pictures, words, special tokens.
 * @param {Head} head
 * @param {Result} result
 * @param {(frame: number) => string} when
 */
export function wordSentence(head, result, when) {
  const who = askerText(result);
  const words = result.words ? topWord(result) : null;
  if (result.column) {
    const from = strongFrames(result, when, 1);
    if (from && words) return say("{who} is looked at most from {from}, and by {words}.", { who, from, words });
    if (from) return say("{who} is looked at most from {from}.", { who, from });
    return words ? say("{who} is looked at most by {words}.", { who, words }) : say("{who} is looked at.", { who });
  }
  const shares = partsOfRow(head, result);
  if (result.logits) return say("{who}: raw logits run from {least} to {most}.", { who, least: numberText(result.least), most: numberText(result.most) });
  if (!shares) return say("{who}: {where}.", { who, where: strongFrames(result, when, 2) || say("its row lies on the pictures") });
  const parts = shares.filter(({ share }) => share >= TELLS).sort((a, b) => b.share - a.share)
    .map(({ where, share }, n) => say(n ? "{share} from {where}" : "{share} of its weight from {where}", { share: percentText(share), where: say(where) }));
  const most = head.clip.frames > 1 ? strongFrames(result, when, 1) : "";
  const more = [most && say("of the video most from {from}", { from: most }), words && say("of the text most from {words}", { words })].filter(Boolean).join(say(", "));
  return more ? say("{who} takes {list}: {more}.", { who, list: joined(parts), more }) : say("{who} takes {list}.", { who, list: joined(parts) });
}

function strongFrames(result, when, count) {
  const frames = [...result.mass.keys()].filter((f) => result.mass[f] > 0).sort((a, b) => result.mass[b] - result.mass[a]).slice(0, count);
  return joined(frames.map((f) => (result.mass.length > 1 ? say("the frame at {time} ({share})", { time: when(f), share: percentText(result.mass[f]) }) : say("the picture"))));
}

/** The strongest word beside the pictures, with its weight. */
function topWord({ words, column, spec, ownWord }) {
  let best = -1;
  words.forEach((value, n) => {
    if (n !== ownWord && value > 0 && (best < 0 || value > words[best])) best = n;
  });
  const line = /** @type {any} */ (lineOf(column ? spec.queries : spec.keys));
  return best < 0 || !line ? null : `${wordText(line, best)} (${spec.softmax ? weightText(words[best]) : numberText(words[best])})`;
}

/** What a place of the pictures gives to the words beside them. */
export function alsoWords(result) {
  const top = result.words && !result.logits && !result.difference ? topWord(result) : null;
  if (!top) return "";
  return result.column ? say(" Of the words {top} looks here most.", { top }) : say(" Of the text most from {top}.", { top });
}
