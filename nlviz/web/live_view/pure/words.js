// Numbers and rows in plain words. The numbers are rounded as in nlviz/words/numbers.py.

import { isSimilarity, similaritySentence } from "./similarity.js";

const THIN = "\u202f";
/** At or above this weight on its own cell, a row is described as attending to itself. */
const OWN_TELLS = 0.05;
/** From this share on, nothing else is worth a word. */
const ALL = 0.995;

export function percentText(share) {
  const percent = 100 * share;
  if (percent > 0 && percent < 0.95) return `<1${THIN}%`;
  return `${fixedText(percent, 0)}${THIN}%`;
}

/** A gain or a loss in percent of a whole row: +5.4 %, −0.3 %. */
export function changeText(share) {
  const percent = 100 * share;
  const size = Math.abs(percent);
  if (size < 0.05) return `0${THIN}%`;
  return `${percent > 0 ? "+" : ""}${fixedText(percent, size >= 9.95 ? 0 : 1)}${THIN}%`;
}

/** A weight's share with one decimal where it is small: 12 %, 4.1 %, 0.03 %. */
export function weightText(share) {
  const percent = 100 * share;
  const size = Math.abs(percent);
  if (size > 0 && size < 0.0005) return `${percent < 0 ? ">−" : "<"}0.001${THIN}%`;
  const digits = size >= 10 ? 0 : size >= 0.995 ? 1 : size >= 0.0995 ? 2 : 3;
  return `${fixedText(percent, digits)}${THIN}%`;
}

/** A multiple of uniform attention: 864×, 5×, 0.25×. */
export function multipleText(multiple) {
  const size = Math.abs(multiple);
  if (size > 0 && size < 0.005) return multiple < 0 ? ">−0.01×" : "<0.01×";
  return `${shortText(multiple, size >= 10 ? 0 : size >= 1 ? 1 : 2)}×`;
}

/** A weight or a logit with the digits that matter. */
export function numberText(value) {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 1e-6) return value < 0 ? ">−0.000001" : "<0.000001";
  if (size < 1e-3) return shortText(value, 1 - Math.floor(Math.log10(size)));
  if (size >= 1e5) {
    const exponent = Math.floor(Math.log10(size));
    return `${fixedText(value / 10 ** exponent, 1)}·10^${exponent}`;
  }
  return fixedText(value, size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

/** A small number as one digit and a power of ten: 5·10⁻⁷, 0.03. */
export function powerText(value) {
  const size = Math.abs(value);
  if (size === 0 || !Number.isFinite(size)) return size === 0 ? "0" : "–";
  let exponent = Math.floor(Math.log10(size));
  let digit = fixedText(value / 10 ** exponent, 0);
  if (digit.endsWith("10")) {
    digit = digit.slice(0, -1);
    exponent += 1;
  }
  if (exponent >= -2) return fixedText(value, Math.max(-exponent, 0));
  return `${digit}·10⁻${[...String(-exponent)].map((n) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[n]).join("")}`;
}

/** Format a number at this many decimals, halves away from zero; zero has no sign. */
function fixedText(value, digits) {
  if (!Number.isFinite(value)) return "–";
  const text = Math.abs(value).toFixed(digits);
  return value < 0 && Number(text) !== 0 ? `−${text}` : text;
}

/** The same without zeros at the end of its decimals. */
function shortText(value, digits) {
  const text = fixedText(value, digits);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

export function secondsText(seconds) {
  return `${fixedText(seconds, 2)}${THIN}s`;
}

/** A time of a clip: 1.60 s, and from a minute on 6:51. */
export function clockText(seconds) {
  const whole = Math.floor(seconds + 0.5);
  if (!(whole >= 60)) return secondsText(seconds);
  const two = (value) => String(value).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  const head = minutes < 60 ? String(minutes) : `${Math.floor(minutes / 60)}:${two(minutes % 60)}`;
  return `${head}:${two(whole % 60)}`;
}

/** Times of a clip as labels: in seconds where two frames would have the same one. */
function timeLabels(times) {
  const labels = Array.from(times, clockText);
  return new Set(labels).size === labels.length ? labels : Array.from(times, secondsText);
}

/** @type {WeakMap<Clip, string[]>} */
const labelsByClip = new WeakMap();

/** The time of a frame as a label. */
export function timeText(frame, clip) {
  const labels = labelsByClip.get(clip) ?? timeLabels(clip.times);
  labelsByClip.set(clip, labels);
  return labels[frame];
}

/** Words for a number of things: 1 key, 2 keys. */
export const counted = (count, word, words = `${word}s`) => `${count.toLocaleString("en")} ${count === 1 ? word : words}`;

/** Whether weights are said as they are: several rows at once have no common uniform attention. */
export const isAbsolute = ({ spec }, unit) => unit === "absolute" || spec?.layer?.kind === "together";

/** A key's weight as the reader asked for it. */
export function valueText(value, result, unit) {
  if (result.logits) return numberText(value);
  return isAbsolute(result, unit) ? numberText(value) : multipleText(value / result.uniform);
}

/** When and where: "1.60 s" for clips, "this picture" for one frame. */
export function whenText(frame, clip) {
  return clip.frames > 1 ? timeText(frame, clip) : "this picture";
}

function framesByMass(result) {
  return [...result.mass.keys()]
    .filter((f) => result.mass[f] > 0)
    .sort((a, b) => result.mass[b] - result.mass[a]);
}

function joined(parts) {
  if (parts.length < 2) return parts.join("");
  return `${parts.slice(0, -1).join(", ")} and ${parts[parts.length - 1]}`;
}

/**
 * One sentence about a row, or a column: where the weight comes from.
 * @param {Result} result
 * @param {{frame: number}} query
 * @param {Clip} clip
 */
export function rowSentence(result, query, clip) {
  if (result.parts) return crossSentence(result, result.parts, query, clip);
  return ownSentence(result, query, clip) + compositionText(result.spec);
}

function ownSentence(result, query, clip) {
  if (isSimilarity(result.spec)) return similaritySentence(result, query.frame, numberText, (f) => timeText(f, clip)) + leftOutText(result);
  if (result.logits) {
    const span = `from ${numberText(result.least)} to ${numberText(result.most)}`;
    return `Raw logits of this point run ${span}: likeness before C(x) turns it into weights.`;
  }
  if (result.named) return tokenSentence(result, clip);
  if (result.difference) return differenceSentence(result, query, clip);
  const shared = result.spec.split === "shared" && !result.column; // the same for all queries
  if (result.ownShare >= ALL && !shared && !result.column) {
    return `This point${atText(query, clip)} takes all its weight from its own cell.${apartText(result)}${leftOutText(result)}`;
  }
  if (clip.frames === 1) return pictureSentence(result);
  const itself = result.ownShare >= OWN_TELLS && !shared;
  const frameText = (f, own) => (own && itself ? "the rest of its frame" : own ? "its own frame" : `the frame at ${timeText(f, clip)}`);
  const shares = framesByMass(result).map((f) => {
    const own = f === query.frame && !shared;
    return { share: result.mass[f] - (itself && own ? result.ownShare : 0), where: frameText(f, own), own };
  }).filter(({ share }) => share >= 0.005).sort((a, b) => b.share - a.share);
  const named = shares.slice(0, 2);
  const own = shares.find((part) => part.own);
  if (own && !named.includes(own) && !result.column) named.push(own);
  if (itself) named.push({ share: result.ownShare, where: "its own cell", own: true });
  named.sort((a, b) => b.share - a.share);
  const list = (word) => joined(named.map(({ share, where }) => `${percentText(share)} ${word} ${where}`));
  const unsaid = named.length === 0;
  let whole = `This point${atText(query, clip)} takes ${unsaid ? "no weight from any frame" : list("from").replace(" from", " of its weight from")}`;
  if (result.column) whole = `Of the attention this point${atText(query, clip)} receives, ${unsaid ? "nothing comes from any frame" : list("comes from")}`;
  else if (shared) whole = `The part that all queries share puts ${unsaid ? "no weight on any frame" : list("on")}`;
  return `${whole}.${apartText(result)}${leftOutText(result)}`;
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
  const rows = parts.map(({ along, apart }) => (apart < 0.005 ? along : `${along} (${percentText(apart)} of it on ${spec.prefix_name})`));
  const own = joined(parts.map(({ along, own: share }) => `${along} ${percentText(share)}`));
  const whole = `${HOW_MANY[parts.length] ?? parts.length} rows of this point${atText(query, clip)} on one scale, 100${THIN}% each: ${joined(rows)}`;
  const cell = leftOut === "nothing" ? ` Its own cell shows the sum: ${own}.` : "";
  return `${whole}.${cell}${leftOutText(result)}`;
}

/** A token without a place by its name; `own` where each frame has one. */
export function tokenText(name, own) {
  const called = name === "cls" ? "class token (cls)" : `token ${name}`;
  return own ? `Each frame’s own ${called}` : `The ${called}`;
}

/** Where a token without a place looks. */
function tokenSentence(result, clip) {
  const { name, own } = result.named;
  const who = tokenText(name, own);
  if (clip.frames === 1 || own) {
    const cells = clip.frames === 1 ? ` from ${result.half.toLocaleString("en")} of ${counted(result.count, unitOf(result))}` : "";
    const whole = own ? `${who}, over its frame` : `${who} takes half of its weight on the picture${cells}`;
    return `${whole}.${apartText(result)}`;
  }
  const parts = framesByMass(result).slice(0, 2).map((f) => `${percentText(result.mass[f])} of its weight from the frame at ${timeText(f, clip)}`);
  return `${who} takes ${joined(parts)}.${apartText(result)}`;
}

/** When the query is, where that is not plain. */
const atText = (query, clip) => (clip.frames > 1 ? ` at ${timeText(query.frame, clip)}` : "");

/** What a row gives to tokens without a place. */
function apartText(result) {
  if (!result.spec.prefix || result.column || result.logits) return "";
  const what = result.spec.prefix_name;
  if (result.balanced) {
    return Math.abs(result.apartShare) < 5e-4 ? "" : ` ${changeText(result.apartShare)} on ${what}.`;
  }
  return result.difference ? "" : ` ${percentText(result.apartShare)} goes to ${what}.`;
}

/** What sets a row apart from that of the average query, or a column from what every query gives. */
function differenceSentence(result, query, clip) {
  const at = atText(query, clip);
  const named = (f) => (f === query.frame ? "its own frame" : `the frame at ${timeText(f, clip)}`);
  if (!result.balanced) {
    const apart = result.column ? `tells apart who looks at this point${at}` : `sets this point${at} apart from the average query`;
    const parts = clip.frames === 1 ? "" : joined(framesByMass(result).slice(0, 2)
      .map((f) => `${percentText(result.mass[f])} lies in ${named(f)}`));
    return `Of what ${apart}, ${parts || `half lies in ${result.half} of ${result.count} cells`}.${leftOutText(result)}`;
  }
  const whole = `This point${at} puts ${percentText(result.moved)} of its weight elsewhere than the average query`;
  if (clip.frames === 1) return `${whole}.${apartText(result)}${leftOutText(result)}`;
  const most = result.mass.reduce((top, share) => Math.max(top, Math.abs(share)), 0);
  const told = [...result.mass.keys()].filter((f) => Math.abs(result.mass[f]) >= Math.max(5e-4, most / 10))
    .sort((a, b) => result.mass[b] - result.mass[a]);
  const list = (frames) => joined(frames.map((f) => `${named(f)} (${changeText(result.mass[f])})`));
  const more = list(told.filter((f) => result.mass[f] > 0).slice(0, 2));
  const less = list(told.filter((f) => result.mass[f] < 0).slice(-2).reverse());
  const parts = [more && `more in ${more}`, less && `less in ${less}`].filter(Boolean).join(", ");
  return `${whole}${parts ? `: ${parts}` : ""}.${apartText(result)}${leftOutText(result)}`;
}

const unitOf = ({ grid }) => (grid.stride[1] === 1 ? "pixel" : "cell");

function pictureSentence(result) {
  const shared = result.spec.split === "shared" && !result.column;
  const places = `${result.half.toLocaleString("en")} of ${counted(result.count, unitOf(result))}`;
  const itself = result.ownShare >= OWN_TELLS && !shared ? `, ${percentText(result.ownShare)} from its own ${unitOf(result)}` : "";
  let whole = `This point takes half of its weight${result.apart ? " on the picture" : ""} from ${places}${itself}`;
  if (result.column) whole = `Half of the attention this point receives comes from ${places}${itself}`;
  else if (shared) whole = `The part that all queries share puts half of its weight on ${places}`;
  return `${whole}.${apartText(result)}${leftOutText(result)}`;
}

/** What is hidden, and that the rest was scaled. */
function leftOutText(result) {
  if (result.leftOut === "nothing") return "";
  const what = result.leftOut === "cell" ? "own cell" : "own frame";
  const asItWas = result.spec.layer?.kind === "together" || (result.spec.kind === "stored" && !result.spec.softmax);
  const scaled = result.column || result.logits || result.difference || asItWas ? "" : "; the rest is scaled to 100 %";
  const share = result.logits ? "" : ` (${percentText(result.excluded)})`;
  return ` Its ${what}${share} is hidden${scaled}.`;
}

/** What to say while the row of the query is not there: it is too large for the browser, or takes a while. */
export function waitingFor(state, alone, { waits = "Too large to compute in the browser", layers = 0, pending = false } = {}) {
  if (!state.waiting) return null;
  // What is chosen is told at once, also where the query is not pinned.
  const sent = !state.hovered && (state.pinned || layers > 0 || pending);
  const where = alone ? "this page carries the row of its opening query only."
    : sent ? "the row is on its way from the server." : "the row comes from the server when you pin.";
  return `${waits}: ${where}`;
}

/** What the products of a layer run along: side by side, or the last one after those before it. */
export function alongText({ layer: { kind, along } }) {
  if (kind === "together") return along.join(" and ");
  return `${[...along].reverse().join(" after ")}, without residual path, projections and layers between`;
}

/** What a composition is, in a sentence; empty for a block's own rows. */
export function compositionText(spec) {
  const { layers, residual, layer } = spec;
  if (layer) return ` ${layer.kind === "together" ? "Together" : "Composed"}: ${alongText(spec)}.`;
  if (!layers) return "";
  return ` Rollout: ${layers} layers multiplied, ${percentText(residual)} of each by its residual path.`;
}
