// Rows in sentences: where the weight comes from.

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
  return isNamed(asked) && !isNamed(grid) && !named ? whole.replace(/\b[Tt]his point\b/, tokenName(asked, token)) : whole;
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
  const what = result.leftOut === "frame" ? "own frame" : `own ${{ line: "word", boxes: "box", nodes: "node" }[result.grid?.kind ?? "grid"] ?? "cell"}`;
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

/**
 * What a row says whose query lies in another clip; null for others.
 * @param {Result} result
 * @param {View} view
 * @param {Clip} clip
 */
export function acrossText(result, view, clip) {
  if (!result.spec.across || result.grid.kind === "line") return null;
  const [first] = framesByMass(result);
  const most = `the strongest key has ${valueText(result.most, result, view.unit)}`;
  if (clip.frames === 1 || first === undefined || result.logits) return `Asked from the other clip: ${most}.`;
  return `Asked from the other clip: ${percentText(result.mass[first])} of the weight lies at ${timeText(first, clip)}; ${most}.`;
}

/** What a composition is, in a sentence; empty for a block's own rows. */
export function compositionText(spec) {
  const { layers, residual, layer } = spec;
  if (layer) return ` ${layer.kind === "together" ? "Together" : "Composed"}: ${alongText(spec)}.`;
  if (!layers) return "";
  return ` Rollout: ${layers} layers multiplied, ${percentText(residual)} of each by its residual path.`;
}
