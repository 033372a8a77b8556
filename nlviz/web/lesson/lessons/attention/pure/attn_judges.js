// Judges of the lesson on self-attention: each computes what is right from what the learner did.

import { attnBiasShares } from "./attn_bias.js";
import { attnApart, attnBlockRow, attnCommon, attnEffective, attnMassOn, attnMeanRows, attnRow, attnSelfRow } from "./attn_rows.js";
import { reachKeys, reachSteps } from "./reach_maths.js";
import { createSeqNet, seqRight } from "./seq_net.js";
import { seqIds, seqPosed, seqTexts } from "./seq_tasks.js";

/** @type {WeakMap<any, Map<string, any>>} */
const attnNets = new WeakMap();

/** A bundled network of the lesson's data by its name, made once. */
export function attnNet(data, name) {
  const known = attnNets.get(data) ?? new Map();
  attnNets.set(data, known);
  if (!known.has(name)) known.set(name, createSeqNet(data.head.sequences[name], (tensor) => data.array(`${name}/${tensor}`)));
  return known.get(name);
}

/** Name and number of a head, of "decoder.0.cross:1". */
export function attnHead(key) {
  const [block, head] = key.split(":");
  return { block, head: Number(head) };
}

/** A text of the learner's with its answer. */
export const attnPosed = (net, text) => seqPosed(net.spec, seqIds(net.spec, text) ?? []);

/** Two rows of one head, as the block and as self-attention make them, at a scale. */
export function attnBothWays(data, { net: name, head: key, text, query, scale }) {
  const net = attnNet(data, name);
  const { block, head } = attnHead(key);
  const made = net.run(attnPosed(net, text)).blocks[block];
  return { made, head, ofBlock: attnBlockRow(made, head, query, scale), ofSelf: attnSelfRow(made, head, query) };
}

/** Right where both ways give the same rows, whatever the query: at the scale that attention divides by. */
export function judgeAttnSameRows({ reading, data }) {
  const { made, head, ofBlock, ofSelf } = attnBothWays(data, reading);
  let apart = 0;
  for (let i = 0; i < made.n; i++) {
    apart = Math.max(apart, attnApart(attnBlockRow(made, head, i, reading.scale), attnSelfRow(made, head, i)));
  }
  const values = {
    scale: reading.scale, d: made.d, apart, block: attnEffective(ofBlock), attention: attnEffective(ofSelf),
  };
  if (apart < 0.002) return { right: true, say: "right", values };
  return { right: false, say: values.block < values.attention ? "too-sharp" : "too-flat", values };
}

/** Mean weight of each head of a network on the source symbol that is to be written; keys may be other things. */
export function attnMassOfHeads(net, posed) {
  const { blocks } = net.run(posed);
  const n = posed.source.length;
  return Object.entries(blocks).flatMap(([name, block]) => {
    const onSource = name.startsWith("encoder") || name.endsWith("cross");
    return Array.from({ length: net.heads }, (_, head) => ({
      key: `${name}:${head}`, onSource, mass: onSource ? attnMassOn(block, head, (i) => (i < n ? posed.partner[i] : -1)) : 0,
    }));
  });
}

/** Right for a head that puts at least half as much on the true place as the best one does. */
export function judgeAttnHeads({ reading, data }) {
  const net = attnNet(data, reading.net);
  const posed = attnPosed(net, reading.text);
  const heads = attnMassOfHeads(net, posed);
  const chosen = heads.find(({ key }) => key === reading.selected);
  const uniform = 1 / posed.source.length;
  if (!chosen) return { right: false, say: "none", values: {} };
  const best = Math.max(...heads.map(({ mass }) => mass));
  const values = { mass: chosen.mass, uniform, times: chosen.mass / uniform };
  if (!chosen.onSource) return { right: false, say: "other-keys", values };
  return chosen.mass >= best / 2 ? { right: true, say: "right", values } : { right: false, say: "elsewhere", values };
}

/** The texts by which networks are compared in this lesson: the same for every learner. */
export const attnTests = (net, { tests }) => seqTexts(net.spec, tests);

/** @type {WeakMap<any, Map<string, any>>} */
const attnMeans = new WeakMap();

/** Mean rows of a head over the lesson's texts of a length, taken once. */
function attnMeanOf(net, { means }, block, head, length) {
  const known = attnMeans.get(net) ?? new Map();
  attnMeans.set(net, known);
  const key = `${block}:${head}:${length}`;
  if (!known.has(key)) known.set(key, attnMeanRows(net, seqTexts(net.spec, { ...means, length }), block, head));
  return known.get(key);
}

/** Share of symbols right without each head alone. */
export function attnWithoutEach(net, texts) {
  const keys = Object.keys(net.run(texts[0]).blocks).flatMap((name) => Array.from({ length: net.heads }, (_, h) => `${name}:${h}`));
  return Object.fromEntries(keys.map((key) => [key, seqRight(net, texts, new Set([key]))]));
}

/** Right where exactly one head is off, and no other alone costs more symbols. */
export function judgeAttnCut({ reading, data }) {
  const net = attnNet(data, reading.net);
  const texts = attnTests(net, data.head);
  const { off } = reading;
  const right = seqRight(net, texts, new Set(off));
  const values = { right, all: seqRight(net, texts, new Set()), off: off.length };
  if (off.length !== 1) return { right: false, say: off.length ? "several" : "none", values };
  const worst = Math.min(...Object.values(attnWithoutEach(net, texts)));
  return right <= worst ? { right: true, say: "right", values } : { right: false, say: "another", values };
}

/** Right at the fewest frames at which divided attention looks at so many times fewer keys than joint. */
export function judgeAttnReach({ reading, spec }) {
  const { times } = spec.figure;
  const ratio = (t) => reachKeys("joint", { ...reading, t }) / reachKeys("divided", { ...reading, t });
  const { t } = reading;
  const values = {
    t, joint: reachKeys("joint", reading), divided: reachKeys("divided", reading), ratio: ratio(t), before: ratio(t - 1), times,
  };
  if (ratio(t) < times) return { right: false, say: "too-few", values };
  return ratio(t - 1) < times ? { right: true, say: "right", values } : { right: false, say: "too-many", values };
}

/** Right for the smallest windows that connect two marked cells in so many layers. */
export function judgeAttnSteps({ reading, spec }) {
  const { most, sides } = spec.figure;
  const layers = (side, shifted) => reachSteps("window", { ...reading, side, shifted }, reading.from)[reading.to];
  const steps = layers(reading.side, reading.shifted);
  const values = { side: reading.side, steps, most, keys: reachKeys("window", reading), joint: reachKeys("joint", reading) };
  if (steps < 0) return { right: false, say: "never", values };
  if (steps > most) return { right: false, say: "too-slow", values };
  const smaller = sides.some((side) => side < reading.side && [true, false].some((moved) => {
    const took = layers(side, moved);
    return took > 0 && took <= most;
  }));
  return smaller ? { right: false, say: "too-dear", values } : { right: true, say: "right", values };
}

/** How much of a row lies where it lies on average over other texts: one number for each head. */
export function attnByPosition(data, { net: name, head: key }, text, query) {
  const net = attnNet(data, name);
  const { block, head } = attnHead(key);
  const posed = attnPosed(net, text);
  const made = net.run(posed).blocks[block];
  const mean = attnMeanOf(net, data.head, block, head, posed.source.length);
  const row = attnRow(made, head, query);
  return { posed, made, head, row, mean: mean.row(query), common: attnCommon(row, mean.row(query)) };
}

/** Mean over all queries that count of the mass in common with the mean row of the position. */
export function attnPositionShare(data, of, text) {
  const net = attnNet(data, of.net);
  const { block, head } = attnHead(of.head);
  const posed = attnPosed(net, text);
  const made = net.run(posed).blocks[block];
  const mean = attnMeanOf(net, data.head, block, head, posed.source.length);
  let sum = 0;
  let counted = 0;
  posed.counts.forEach((counts, i) => {
    if (!counts || i >= posed.wanted.length - 1) return;
    sum += attnCommon(attnRow(made, head, i), mean.row(i));
    counted += 1;
  });
  return sum / counted;
}

/** Right for the head whose rows have most in common with what their positions alone decide. */
export function judgeAttnPosition({ given, reading, data, spec }) {
  const { heads } = spec.figure;
  const ofBias = (id) => attnBiasShares(data, heads[id].of_bias);
  const share = (id) => (heads[id].net ? attnPositionShare(data, heads[id], reading.texts[id]) : ofBias(id).position);
  const shares = Object.fromEntries(Object.keys(heads).map((id) => [id, share(id)]));
  const right = shares[given] === Math.max(...Object.values(shares));
  if (!heads[given].net && !right) return { right, say: "bias", values: ofBias(given) };
  return { right, say: right ? "right" : "content", values: { share: shares[given], texts: data.head.means.count } };
}

/** Right for the task that loses most where attention is switched off in every layer. */
export function judgeAttnBranches({ given, data, spec }) {
  const { nets, branch } = spec.figure;
  const measured = Object.fromEntries(Object.entries(nets).map(([id, name]) => {
    const net = attnNet(data, name);
    const texts = attnTests(net, data.head);
    return [id, { all: seqRight(net, texts, new Set()), without: seqRight(net, texts, new Set([branch])) }];
  }));
  const lost = (id) => measured[id].all - measured[id].without;
  const right = Object.keys(measured).every((id) => lost(id) <= lost(given));
  return { right, say: right ? "right" : "keeps", values: measured[given] };
}

/** Right for what rows of self-attention do as texts get longer: by how their number of keys grows. */
export function judgeAttnLength({ given, reading, data }) {
  const { lengths, transformer } = data.head.length;
  const last = lengths.length - 1;
  const keys = transformer.self;
  const grew = keys[last] / keys[0];
  const truth = grew < 1 / 1.5 ? "concentrates" : grew < 1.5 ? "stays" : "spreads";
  const at = Math.max(0, lengths.indexOf(reading.length));
  const values = {
    short: lengths[0], long: lengths[last], few: keys[0], many: keys[last], length: lengths[at], here: keys[at],
    share_short: keys[0] / lengths[0], share_long: keys[last] / lengths[last],
    cross_few: transformer.cross[0], cross_many: transformer.cross[last], true_short: transformer.true[0], true_long: transformer.true[last],
    muse_true: data.head.length.muse.true[last],
  };
  if (given === truth) return { right: true, say: "right", values };
  return { right: false, say: at === 0 ? "not-moved" : "look", values };
}
