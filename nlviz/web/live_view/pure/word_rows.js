// Rows and columns of words beside a picture: queries and keys without a place that can be asked for,
// since they are the words of a text. theta begins with them, as phi does.

import { divideByCount, dotProducts, softmaxInPlace } from "./normalise.js";

/**
 * @typedef {object} WordRows
 * @property {(out: Float32Array, given: Float32Array, word: number, head: any, values: string) => Filled} row
 *   the row of a word: over the cells, and over the words in `given`; NaN where it does not reach
 * @property {((given: Float32Array, key: number, head: any, values: string) => void)|null} at
 *   what every word gives to a key, counted among all keys, words first
 * @property {((out: Float32Array, word: number, head: any, values: string) => Filled)|null} column
 *   what every cell gives to a word
 */

/**
 * Rows of the words of an embedded source, or null where they were not sent.
 * @param {Spec} spec
 * @param {ArrayOf} array
 * @param {import("./support.js").Support} support
 * @param {import("./bias.js").Bias|null} bias
 * @returns {WordRows|null}
 */
export function wordRows(spec, array, support, bias) {
  const before = spec.query_prefix ?? 0;
  if (!before || spec.theta_mean) return null;
  const theta = array(spec.theta);
  const phi = array(spec.phi);
  const [heads, all, d] = theta.shape;
  const [, keys] = phi.shape;
  const prefix = spec.prefix ?? 0;
  const scale = spec.scale ?? 1;
  const concatenation = spec.pairwise === "concatenation";
  const similarity = spec.pairwise === "cosine";
  const added = spec.word_bias ? array(spec.word_bias) : null;
  const reached = spec.word_reach ? array(spec.word_reach).data : null;
  const lse = spec.log_normaliser ? array(spec.log_normaliser).data : null;
  const lseOfWords = spec.log_normaliser_apart ? array(spec.log_normaliser_apart).data : null;
  const one = new Float32Array(keys);
  const sum = new Float32Array(keys);
  const other = new Float32Array(all);
  const hasColumns = !spec.softmax || (lse !== null && lseOfWords !== null);

  const reaches = (word, key) => reached === null || reached[word * keys + key] !== 0;
  const reachedBy = (word) => {
    let count = 0;
    for (let key = 0; key < keys; key++) count += reaches(word, key) ? 1 : 0;
    return count;
  };
  const addedTo = (head, word, key) => (added ? added.data[((added.shape[0] === 1 ? 0 : head * before) + word) * keys + key] : 0);

  /** Logit of a query, counted with the words first, with a key, likewise. */
  function logit(head, query, key) {
    if (concatenation) return theta.data[head * all + query] + phi.data[head * keys + key];
    let dot = 0;
    const [a, b] = [(head * all + query) * d, (head * keys + key) * d];
    for (let k = 0; k < d; k++) dot += theta.data[a + k] * phi.data[b + k];
    return scale * dot;
  }

  function rowOfHead(target, word, head, values) {
    if (concatenation) for (let key = 0; key < keys; key++) target[key] = logit(head, word, key);
    else {
      const from = (head * all + word) * d;
      dotProducts(target, theta.data.subarray(from, from + d), phi.data, head * keys * d, d, scale, 0, keys);
    }
    if (added) for (let key = 0; key < keys; key++) target[key] += addedTo(head, word, key);
    if (reached) for (let key = 0; key < keys; key++) if (!reaches(word, key)) target[key] = -Infinity;
    let logC = NaN;
    if (values !== "logits" && !similarity) {
      if (spec.softmax) logC = softmaxInPlace(target, 0, keys);
      else logC = divideByCount(target, reachedBy(word), concatenation, 0, keys);
    }
    if (reached) for (let key = 0; key < keys; key++) if (!reaches(word, key)) target[key] = NaN;
    return logC;
  }

  /** One head, the mean or the maximum over heads, of what `fill(target, head)` gives. */
  function overHeads(target, scratch, head, fill) {
    if (typeof head === "number" || heads === 1) return fill(target, Math.min(heads === 1 ? 0 : head, heads - 1));
    target.fill(0);
    for (let n = 0; n < heads; n++) {
      fill(scratch, n);
      for (let j = 0; j < target.length; j++) {
        if (head !== "max") target[j] += scratch[j] / heads;
        else if (n === 0 || scratch[j] > target[j]) target[j] = scratch[j];
      }
    }
    return NaN;
  }

  function row(out, given, word, head, values) {
    const logC = overHeads(sum, one, head, (target, n) => rowOfHead(target, word, n, values));
    given.set(sum.subarray(0, prefix));
    out.set(sum.subarray(prefix));
    let apart = 0;
    if (values !== "logits") for (const share of given) if (!Number.isNaN(share)) apart += share;
    return { from: 0, to: out.length, logC, apart };
  }

  /** Weight, or logit, of queries [from, to) for one key. */
  function columnOfHead(target, from, to, head, key, values) {
    for (let query = from; query < to; query++) {
      const word = query < before;
      const place = query - before;
      let value = logit(head, query, key);
      if (word) value += addedTo(head, query, key);
      else if (bias) value += key < prefix ? bias.apart(head, key, place) : bias.at(head, place, key - prefix);
      const [a, b] = word ? [0, prefix] : support.apart(place);
      const there = word ? reaches(query, key) : key >= prefix || (key >= a && key < b && !support.misses?.(place, key));
      if (values !== "logits" && !similarity) {
        if (spec.softmax) {
          const normaliser = word ? lseOfWords?.[head * before + query] : lse?.[head * (all - before) + place];
          value = Math.exp(value - (normaliser ?? 0));
        } else {
          value = (concatenation ? Math.max(value, 0) : value) / (word ? reachedBy(query) : support.counted(place));
        }
      }
      target[query - from] = there ? value : NaN;
    }
    return NaN;
  }

  function at(given, key, head, values) {
    overHeads(given, other.subarray(0, before), head, (target, n) => columnOfHead(target, 0, before, n, key, values));
  }

  function column(out, word, head, values) {
    overHeads(out, other.subarray(0, out.length), head, (target, n) => columnOfHead(target, before, all, n, word, values));
    return { from: 0, to: out.length, logC: NaN, apart: 0 };
  }

  return { row, at: hasColumns ? at : null, column: hasColumns ? column : null };
}
