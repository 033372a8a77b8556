// Rows in sentences: where the weight comes from.

import { say, spoken, texts } from "../../shared/language.js";
import { isSimilarity, similaritySentence } from "./similarity.js";
import { alsoWords, isNamed, namedSentence, tokenName, wordSentence } from "./text_words.js";
import { alongText, changeText, counted, joined, numberText, percentText, THIN, timeText, tokenText, valueText } from "./words.js";

/** At or above this weight on its own cell, a row is described as attending to itself. */
const OWN_TELLS = 0.05;
/** From this share on, nothing else is worth a word. */
const ALL = 0.995;

function framesByMass(result) {
  return [...result.mass.keys()]
    .filter((f) => result.mass[f] > 0)
    .sort((a, b) => result.mass[b] - result.mass[a]);
}

/**
 * One sentence about a row, or a column: where the weight comes from.
 * @param {Result} result
 * @param {{frame: number}} query
 * @param {Head} head
 */
export function rowSentence(result, query, head) {
  const { clip } = head;
  if (result.parts && !isNamed(result.grid)) return crossSentence(result, result.parts, query, clip);
  if (result.named?.word !== undefined) return wordSentence(head, result, (f) => timeText(f, clip)) + compositionText(result.spec);
  const whole = isNamed(result.grid) ? namedSentence(result) + leftOutText(result) : ownSentence(result, query, clip) + alsoWords(result);
  return withName(whole, result) + compositionText(result.spec);
}

/**
 * A box or a node that asks is called by its name.
 * @param {string} whole
 * @param {Result} result
 */
function withName(whole, { asked, token, grid, named }) {
  if (!isNamed(asked) || isNamed(grid) || named) return whole;
  const name = () => tokenName(asked, token);
  return spoken() === "en" ? whole.replace(/\b[Tt]his point\b/, name) : whole.replace(say("This point"), name);
}

function ownSentence(result, query, clip) {
  if (isSimilarity(result.spec)) return similaritySentence(result, query.frame, numberText, (f) => timeText(f, clip)) + leftOutText(result);
  if (result.logits) {
    return say("Raw logits of this point run from {least} to {most}: likeness before C(x) turns it into weights.", { least: numberText(result.least), most: numberText(result.most) });
  }
  if (result.named) return tokenSentence(result, clip);
  if (result.difference) return differenceSentence(result, query, clip);
  const at = atText(query, clip);
  const shared = result.spec.split === "shared" && !result.column; // the same for all queries
  if (result.ownShare >= ALL && !shared && !result.column) {
    return say("This point{at} takes all its weight from its own cell.", { at }) + apartText(result) + leftOutText(result);
  }
  if (clip.frames === 1) return pictureSentence(result);
  const itself = result.ownShare >= OWN_TELLS && !shared;
  const frameText = (f, own) => (own && itself ? say("the rest of its frame") : own ? say("its own frame") : frameAt(f, clip));
  const shares = framesByMass(result).map((f) => {
    const own = f === query.frame && !shared;
    return { share: result.mass[f] - (itself && own ? result.ownShare : 0), where: frameText(f, own), own };
  }).filter(({ share }) => share >= 0.005).sort((a, b) => b.share - a.share);
  const named = shares.slice(0, 2);
  const own = shares.find((part) => part.own);
  if (own && !named.includes(own) && !result.column) named.push(own);
  if (itself) named.push({ share: result.ownShare, where: say("its own cell"), own: true });
  named.sort((a, b) => b.share - a.share);
  return shareSentence(named, { at, shared, column: result.column }) + apartText(result) + leftOutText(result);
}

/** Which frames a row takes its weight from, or a column its attention, or what a part puts where. */
function shareSentence(named, { at, shared, column }) {
  const list = (first, more = first) => joined(named.map(({ share, where }, n) => say(n ? more : first, { share: percentText(share), where })));
  if (column) {
    return named.length === 0 ? say("Of the attention this point{at} receives, nothing comes from any frame.", { at })
      : say("Of the attention this point{at} receives, {list}.", { at, list: list(texts("{share} comes from {where}")) });
  }
  if (shared) {
    return named.length === 0 ? say("The part that all queries share puts no weight on any frame.")
      : say("The part that all queries share puts {list}.", { list: list(texts("{share} on {where}")) });
  }
  return named.length === 0 ? say("This point{at} takes no weight from any frame.", { at })
    : say("This point{at} takes {list}.", { at, list: list(texts("{share} of its weight from {where}"), texts("{share} from {where}")) });
}

const HOW_MANY = ["No", "One", "Two", "Three"];

/**
 * Rows of several products at once: what each gives to tokens without a place, and to the own cell.
 * @param {Result} result
 * @param {Given[]} parts
 * @param {{frame: number}} query
 * @param {Clip} clip
 */
function crossSentence(result, parts, query, clip) {
  const { spec, leftOut } = result;
  const rows = parts.map(({ along, apart }) => (apart < 0.005 ? say(along)
    : say("{along} ({share} of it on {tokens})", { along: say(along), share: percentText(apart), tokens: say(spec.prefix_name) })));
  const own = joined(parts.map(({ along, own: share }) => `${say(along)} ${percentText(share)}`));
  const number = spoken() === "en" ? HOW_MANY[parts.length] ?? parts.length : parts.length;
  const whole = say("{number} rows of this point{at} on one scale, {all} each: {rows}.", { number, at: atText(query, clip), all: `100${THIN}%`, rows: joined(rows) });
  const cell = leftOut === "nothing" ? say(" Its own cell shows the sum: {own}.", { own }) : "";
  return whole + cell + leftOutText(result);
}

/** Where a token without a place looks. */
function tokenSentence(result, clip) {
  const { name, own } = result.named;
  const who = tokenText(name, own);
  if (own) return say("{who}, over its frame.", { who }) + apartText(result);
  if (clip.frames === 1) {
    return say("{who} takes half of its weight on the picture from {half} of {count}.", { who, half: result.half.toLocaleString("en"), count: countedCells(result) }) + apartText(result);
  }
  const parts = framesByMass(result).slice(0, 2)
    .map((f) => say("{share} of its weight from {where}", { share: percentText(result.mass[f]), where: frameAt(f, clip) }));
  return say("{who} takes {list}.", { who, list: joined(parts) }) + apartText(result);
}

/** When the query is, where that is not plain. */
const atText = (query, clip) => (clip.frames > 1 ? say(" at {time}", { time: timeText(query.frame, clip) }) : "");

/** A frame by its time. */
const frameAt = (f, clip) => say("the frame at {time}", { time: timeText(f, clip) });

/** What a row gives to tokens without a place. */
function apartText(result) {
  if (!result.spec.prefix || result.column || result.logits) return "";
  const tokens = say(result.spec.prefix_name);
  if (result.balanced) {
    return Math.abs(result.apartShare) < 5e-4 ? "" : say(" {change} on {tokens}.", { change: changeText(result.apartShare), tokens });
  }
  return result.difference ? "" : say(" {share} goes to {tokens}.", { share: percentText(result.apartShare), tokens });
}

/** What sets a row apart from that of the average query, or a column from what every query gives. */
function differenceSentence(result, query, clip) {
  const at = atText(query, clip);
  const named = (f) => (f === query.frame ? say("its own frame") : frameAt(f, clip));
  if (!result.balanced) {
    const parts = clip.frames === 1 ? say("half lies in {half} of {count} cells", { half: result.half, count: result.count })
      : joined(framesByMass(result).slice(0, 2).map((f) => say("{share} lies in {where}", { share: percentText(result.mass[f]), where: named(f) })));
    const list = parts || say("half lies in {half} of {count} cells", { half: result.half, count: result.count });
    const whole = result.column ? say("Of what tells apart who looks at this point{at}, {list}.", { at, list })
      : say("Of what sets this point{at} apart from the average query, {list}.", { at, list });
    return whole + leftOutText(result);
  }
  const moved = percentText(result.moved);
  const rest = apartText(result) + leftOutText(result);
  const plain = say("This point{at} puts {moved} of its weight elsewhere than the average query.", { at, moved });
  if (clip.frames === 1) return plain + rest;
  const most = result.mass.reduce((top, share) => Math.max(top, Math.abs(share)), 0);
  const told = [...result.mass.keys()].filter((f) => Math.abs(result.mass[f]) >= Math.max(5e-4, most / 10))
    .sort((a, b) => result.mass[b] - result.mass[a]);
  const list = (frames) => joined(frames.map((f) => say("{where} ({change})", { where: named(f), change: changeText(result.mass[f]) })));
  const more = list(told.filter((f) => result.mass[f] > 0).slice(0, 2));
  const less = list(told.filter((f) => result.mass[f] < 0).slice(-2).reverse());
  const parts = [more && say("more in {list}", { list: more }), less && say("less in {list}", { list: less })].filter(Boolean).join(say(", "));
  return (parts ? say("This point{at} puts {moved} of its weight elsewhere than the average query: {parts}.", { at, moved, parts }) : plain) + rest;
}

const unitOf = ({ grid }) => (grid.stride[1] === 1 ? "pixel" : "cell");
const countedCells = (result) => counted(result.count, unitOf(result));

function pictureSentence(result) {
  const shared = result.spec.split === "shared" && !result.column;
  const places = say("{half} of {count}", { half: result.half.toLocaleString("en"), count: countedCells(result) });
  const own = unitOf(result) === "pixel" ? say("its own pixel") : say("its own cell");
  const itself = result.ownShare >= OWN_TELLS && !shared ? say(", {share} from {own}", { share: percentText(result.ownShare), own }) : "";
  let whole = say("This point takes half of its weight from {places}{itself}.", { places, itself });
  if (result.apart) whole = say("This point takes half of its weight on the picture from {places}{itself}.", { places, itself });
  if (result.column) whole = say("Half of the attention this point receives comes from {places}{itself}.", { places, itself });
  else if (shared) whole = say("The part that all queries share puts half of its weight on {places}.", { places });
  return whole + apartText(result) + leftOutText(result);
}

/** What is hidden, and that the rest was scaled. */
function leftOutText(result) {
  if (result.leftOut === "nothing") return "";
  const what = result.leftOut === "frame" ? say("own frame")
    : { line: say("own word"), boxes: say("own box"), nodes: say("own node") }[result.grid?.kind ?? "grid"] ?? say("own cell");
  const asItWas = result.spec.layer?.kind === "together" || (result.spec.kind === "stored" && !result.spec.softmax);
  const scaled = !(result.column || result.logits || result.difference || asItWas);
  const share = result.logits ? "" : say(" ({share})", { share: percentText(result.excluded) });
  return scaled ? say(" Its {what}{share} is hidden; the rest is scaled to 100 %.", { what, share }) : say(" Its {what}{share} is hidden.", { what, share });
}

/** What to say while the row of the query is not there: it is too large for the browser, or takes a while. */
export function waitingFor(state, alone, { waits = "Too large to compute in the browser", layers = 0, pending = false } = {}) {
  if (!state.waiting) return null;
  // What is chosen is told at once, also where the query is not pinned.
  const sent = !state.hovered && (state.pinned || layers > 0 || pending);
  const why = say(waits);
  if (alone) return say("{why}: this page carries the row of its opening query only.", { why });
  return sent ? say("{why}: the row is on its way from the server.", { why }) : say("{why}: the row comes from the server when you pin.", { why });
}

/**
 * What a row says whose query lies in another clip; null for others.
 * @param {Result} result
 * @param {View} view
 * @param {Clip} clip
 */
export function acrossText(result, view, clip) {
  if (!result.spec.across || result.grid.kind === "line") return null;
  const [first] = framesByMass(result);
  const most = valueText(result.most, result, view.unit);
  if (clip.frames === 1 || first === undefined || result.logits) return say("Asked from the other clip: the strongest key has {most}.", { most });
  return say("Asked from the other clip: {share} of the weight lies at {time}; the strongest key has {most}.", { share: percentText(result.mass[first]), time: timeText(first, clip), most });
}

/** What a composition is, in a sentence; empty for a block's own rows. */
export function compositionText(spec) {
  const { layers, residual, layer } = spec;
  if (layer) return layer.kind === "together" ? say(" Together: {along}.", { along: alongText(spec) }) : say(" Composed: {along}.", { along: alongText(spec) });
  if (!layers) return "";
  return say(" Rollout: {layers} layers multiplied, {share} of each by its residual path.", { layers, share: percentText(residual) });
}
