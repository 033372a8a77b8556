// Judges of the lesson on the choice of f: each runs the networks.

import { CELLS, keysKept, KEYS, rightOf, rowFigures } from "./recall.js";

/** Find a query from which the network looks at the partner. */
export function judgePartner({ reading: { clip, query }, data, spec: { figure, question } }) {
  const { share } = rowFigures(data, figure.asks, clip, query);
  const { asked } = data.head.clips[data.head.nets[figure.asks].clips];
  const values = { share, frame: Math.floor(query / CELLS) + 1, partner: asked[clip] + 1, least: question.least };
  if (query < KEYS - CELLS) return { right: false, say: "other-frame", values };
  return { right: share >= question.least, say: share >= question.least ? "right" : "elsewhere", values };
}

/** In how many clips is the network right once its rows change sign? */
export function judgeFlip({ given, data, spec: { figure } }) {
  const { right, count } = rightOf(data, figure.asks, { factor: -1 });
  const { right: whole } = rightOf(data, figure.asks);
  const values = { given, right, count, whole };
  return { right: given === right, say: given === right ? "right" : "count", values };
}

/** How many of the ten strongest keys stay when the query moves? */
export function judgeOrder({ given, reading: { clip, query }, data, spec: { figure, question } }) {
  const stays = Object.fromEntries(figure.nets.map((name) => [data.head.nets[name].f, keysKept(data, name, clip, figure.first, query)]));
  const own = stays[data.head.nets[figure.asks].f];
  const values = { given, stays: own, eg: stays.embedded_gaussian, gaussian: stays.gaussian };
  if (query === figure.first) return { right: false, say: "not-moved", values };
  // Where an f that can reorder keys keeps them too, the move shows nothing.
  if (stays.embedded_gaussian > question.most) return { right: false, say: "alike", values };
  return { right: given === own, say: given === own ? "right" : "count", values };
}

/** Which map is of which f? */
export function judgeNames({ reading: { names, clip, query }, data, spec: { figure } }) {
  const wrong = figure.nets.findIndex((name) => names[name] !== data.head.nets[name].f);
  const count = figure.nets.filter((name) => names[name] === data.head.nets[name].f).length;
  if (figure.nets.some((name) => !names[name])) return { right: false, say: "some", values: { left: figure.nets.filter((name) => !names[name]).length } };
  if (wrong < 0) return { right: true, say: "right", values: { count } };
  const name = figure.nets[wrong];
  const { sum, least } = rowFigures(data, name, clip, query);
  const kept = keysKept(data, name, clip, query, query < CELLS ? KEYS - 1 : 0);
  const values = { count, map: String.fromCharCode(65 + wrong), sum, least, kept };
  const said = names[name];
  if (said === "dot_product" && least >= 0) return { right: false, say: "not-signed", values };
  if (said !== "dot_product" && least < 0) return { right: false, say: "signed", values };
  if (said === "concatenation" && Math.abs(sum - 1) < 1e-3) return { right: false, say: "sums", values };
  if (said !== "concatenation" && Math.abs(sum - 1) >= 1e-3) return { right: false, say: "sums-not", values };
  return { right: false, say: "own", values };
}

/** Give the network rows with which it answers all clips. */
export function judgeDonor({ reading: { donor }, data, spec: { figure } }) {
  const { right, count } = rightOf(data, figure.asks, { giver: donor });
  const { right: before } = rightOf(data, figure.asks);
  const values = { right, count, before };
  if (donor === figure.asks) return { right: false, say: "own", values };
  if (right === count) return { right: true, say: "right", values };
  return { right: false, say: data.head.nets[donor].f === "dot_product" ? "signed" : "some", values };
}

const meanOf = (found) => found.reduce((all, each) => all + each, 0) / found.length;

/** How far apart the four lie in a task. */
export function spreadOf(figures, task, measure = "whole") {
  const means = Object.values(figures[task]).map((of) => meanOf(of[measure]));
  return { least: Math.min(...means), most: Math.max(...means) };
}

/** In which task does the choice of f matter least? */
export function judgeTask({ given, data }) {
  const { figures } = data.head;
  const spread = Object.fromEntries(Object.keys(figures).map((task) => [task, spreadOf(figures, task)]));
  const apart = ({ least, most }) => most - least;
  const closest = Object.keys(spread).reduce((best, task) => (apart(spread[task]) < apart(spread[best]) ? task : best));
  const values = { ...spread[given], apart: 100 * apart(spread[given]) };
  return { right: given === closest, say: given === closest ? "right" : "apart", values };
}
