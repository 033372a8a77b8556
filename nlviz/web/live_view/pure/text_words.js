// What a row over words, boxes or nodes says, in sentences: no frames and no pixels where there are none.

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
  if (!named) return "The query";
  if (named.word === undefined) return tokenText(named.name, named.own);
  return `The word ${wordText({ words: lineOf(asked)?.words ?? [] }, named.word)}`;
}

/**
 * What one, or several, tokens of a grid are.
 * @param {{kind?: string}} grid
 * @param {number} count
 */
export function kindText({ kind }, count) {
  const [one, several] = { line: ["word", "words"], boxes: ["box", "boxes"], nodes: ["node", "nodes"] }[kind ?? "grid"] ?? ["cell", "cells"];
  return count === 1 ? one : several;
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
 * @returns {{kind: string, name: string, share: number}[]|null}
 */
export function partsOfRow(head, result) {
  const { asked } = pagesOf(head, result.spec);
  if (result.column || result.logits || result.difference || !asked || !(result.total > 0)) return null;
  const { special } = asked.tokens;
  if (result.grid.kind === "line") {
    if (special.size === 0) return null;
    const [text, apart] = halves(result.values, special, result.from, result.to);
    return [{ kind: "text", name: "text", share: text / result.total }, { kind: "special", name: "special tokens", share: apart / result.total }];
  }
  if (!result.words) return null;
  const [text, apart] = halves(result.words, special);
  const film = head.clip.frames > 1 ? "video" : "picture";
  const shares = [
    { kind: "vision", name: film, share: Math.max(0, 1 - (text + apart) / result.total) },
    { kind: "text", name: "text", share: text / result.total },
  ];
  return special.size === 0 ? shares : [...shares, { kind: "special", name: "special tokens", share: apart / result.total }];
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
    const span = `from ${numberText(result.least)} to ${numberText(result.most)}`;
    const top = result.found > 0 ? `, the largest for ${name(result.order[0])}` : "";
    return spec.pairwise === "cosine" ? `${who} is like the others by a cosine ${span}${top}.` : `Raw logits of ${who} run ${span}${top}: likeness before C(x) turns it into weights.`;
  }
  if (result.difference) return differenceOf(result, who, name);
  if (column) {
    const told = strongestNamed(result, MOST_NAMED).filter(({ n }) => result.values[n] > 0)
      .map(({ n }) => `${name(n)} (${spec.softmax ? weightText(result.values[n]) : numberText(result.values[n])})`);
    return told.length ? `${who} is looked at most by ${joined(told)}${spec.softmax ? ", each a share of its own row" : ""}.` : `Nothing looks at ${who}.`;
  }
  const itself = own >= 0 && result.ownShare >= TELLS ? [{ n: own, share: result.ownShare }] : [];
  const told = [...strongestNamed(result, MOST_NAMED), ...itself].filter(({ share }) => share >= TELLS).sort((a, b) => b.share - a.share);
  if (!told.length) return result.found ? `${who} spreads its weight: none of ${result.count} ${kindText(grid, result.count)} gets as much as ${percentText(TELLS)}.` : `${who} reaches nothing.`;
  const parts = told.map(({ n, share }, i) => `${share < 0.0095 ? weightText(share) : percentText(share)}${i ? "" : spec.softmax ? " of its weight" : " of all that it weighs"} from ${n === own ? "itself" : name(n)}`);
  return `${who} takes ${joined(parts)}.`;
}

function differenceOf(result, who, name) {
  const strong = strongestNamed(result, MOST_NAMED).filter(({ n }) => result.values[n] > 0);
  const whole = result.balanced ? `${who} puts ${percentText(result.moved)} of its weight elsewhere than the average ${kindText(result.asked, 1)}` : `What sets ${who} apart from the average`;
  const more = joined(strong.map(({ n }) => `${name(n)} (${result.balanced ? changeText(result.values[n]) : numberText(result.values[n])})`));
  return more ? `${whole}: more on ${more}.` : `${whole}.`;
}

/** Edges that end in different targets are not to be compared: each target's row sums to 1 by itself. */
export function targetsText({ keys, softmax }) {
  if (keys.kind !== "boxes" && keys.kind !== "nodes") return "";
  const why = softmax ? "each target’s row sums to 1 by itself" : "each target’s row is divided by itself";
  return `Arrows end in one target and show what it takes from whom. Weights are comparable only within one target: ${why}.`;
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
    return `${who} is looked at${from ? ` most from ${from}` : ""}${words ? `${from ? ", and" : " most"} by ${words}` : ""}.`;
  }
  const shares = partsOfRow(head, result);
  if (result.logits || !shares) return `${who}: ${result.logits ? `raw logits run from ${numberText(result.least)} to ${numberText(result.most)}` : strongFrames(result, when, 2) || "its row lies on the pictures"}.`;
  const parts = shares.filter(({ share }) => share >= TELLS).sort((a, b) => b.share - a.share)
    .map(({ name, share }, n) => `${percentText(share)}${n ? "" : " of its weight"} from ${name === "text" || name === "special tokens" ? name : `the ${name}`}`);
  const most = head.clip.frames > 1 ? strongFrames(result, when, 1) : "";
  const more = [most && `of the video most from ${most}`, words && `of the text most from ${words}`].filter(Boolean).join(", ");
  return `${who} takes ${joined(parts)}${more ? `: ${more}` : ""}.`;
}

function strongFrames(result, when, count) {
  const frames = [...result.mass.keys()].filter((f) => result.mass[f] > 0).sort((a, b) => result.mass[b] - result.mass[a]).slice(0, count);
  return joined(frames.map((f) => (result.mass.length > 1 ? `the frame at ${when(f)} (${percentText(result.mass[f])})` : "the picture")));
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
  return result.column ? ` Of the words ${top} looks here most.` : ` Of the text most from ${top}.`;
}
