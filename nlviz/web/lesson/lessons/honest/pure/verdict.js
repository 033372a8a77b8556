// The verdict's figures and rules in the browser, as in nlviz.analysis.row_origin and nlviz.analysis.verdict.

import { effectiveKeys, evenRow, inCommon, meanOfOthers, onSinks, without } from "./measures.js";
import { honestMap, honestSharesAt } from "./rows.js";

/** Figures of the row that a map of the quiz is about; the rows over other inputs came with the data. */
export function quizOrigin(data, n) {
  const map = honestMap(data, `quiz.${n}`);
  const row = honestSharesAt(map, map.query);
  const mean = meanOfOthers(map, map.query + map.prefix);
  const { own } = data.head.quiz[n];
  const { data: other, shape: [inputs, keys] } = data.array(`quiz.${n}.other`);
  const there = new Float32Array(keys);
  for (let i = 0; i < inputs; i++) {
    const each = without(other.subarray(i * keys, (i + 1) * keys), own);
    for (let j = 0; j < keys; j++) there[j] += each[j] / inputs;
  }
  const rest = without(row, own);
  const position = inCommon(rest, there);
  const base = inCommon(rest, data.array(`quiz.${n}.base`).data);
  return {
    keys, effective: effectiveKeys(row), uniform: inCommon(row, evenRow(keys)), shared: inCommon(row, mean),
    sink: onSinks(row, mean), own: own < 0 ? 0 : row[own], position, base,
    beyond: (position - base) / Math.max(1 - base, 1e-6),
  };
}

/** What a row follows from: the first rule that holds. */
export function sourceOf({ uniform, sink, shared, own, beyond }, rules) {
  if (uniform >= rules.near_uniform) return "uniform";
  if (sink >= rules.sink) return "sink";
  if (shared >= rules.same) return "same";
  if (own >= rules.itself) return "unknown";
  return beyond >= rules.position ? "position" : "content";
}

/** Whether the answer needs the row: "yes", "no", or "unknown". */
export function mattersOf({ strong, chance, even, none }, rules) {
  if (Math.max(Math.abs(strong), Math.abs(even), Math.abs(none)) < rules.least) return "no";
  return Math.abs(strong) >= rules.least && Math.abs(strong) > chance ? "yes" : "unknown";
}

/** @returns {{source: string, matters: string, origin: ReturnType<typeof quizOrigin>}} */
export function quizVerdict(data, n) {
  const origin = quizOrigin(data, n);
  return { origin, source: sourceOf(origin, data.head.rules), matters: mattersOf(data.head.quiz[n], data.head.rules) };
}
