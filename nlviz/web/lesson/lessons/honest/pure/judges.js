// What is said of the learner's answers, from the learner's own numbers. No judge knows an answer: each computes it.

import { quizScore } from "./quiz_score.js";

export const HONEST_LIMITS = {
  steps: 3, // cells that the query must have moved
  kept: 0.25, // of the weight may move where a row "hardly changes"
  moved: 0.5, // of the weight moves where a row does change
  much: 0.3, // of all weight on one key, from which it is a sink
  off: 0.25, // size of a value against the median, below which it gives next to nothing
  near: 2, // per cent
  pass: 8, // maps of ten: guessing gets one of ten, and who mixes up one pair of kinds loses two
};

/** Screen same: the map that was named must stay, the other one must not. */
export function judgeSame({ reading }) {
  const { chosen, steps, changes } = reading;
  const limits = HONEST_LIMITS;
  if (!chosen) return { right: false, say: "none", values: {} };
  if (steps < limits.steps) return { right: false, say: "near", values: { steps, least: limits.steps } };
  const changed = changes[chosen];
  const other = changes[chosen === "a" ? "b" : "a"];
  if (changed >= limits.kept) return { right: false, say: "changed", values: { changed, other, map: chosen.toUpperCase() } };
  if (other < limits.moved) return { right: false, say: "both", values: { changed, other } };
  return { right: true, say: "right", values: { changed, other, steps } };
}

/** Screen sinks: much received, next to nothing given. */
export function judgeSink({ reading }) {
  const { share, times, ratio } = reading;
  const values = { share, times, ratio };
  if (share < HONEST_LIMITS.much) return { right: false, say: "little", values };
  if (ratio >= HONEST_LIMITS.off) return { right: false, say: "gives", values };
  return { right: true, say: "right", values };
}

/** Screen twins: the map that found the digit in the fewest clips. */
export function judgeUntrained({ given, reading }) {
  const { maps, clips } = reading;
  const fewest = Math.min(...maps.map(({ found }) => found));
  const one = maps.find(({ id }) => id === given);
  const values = { map: given.toUpperCase(), ...one, clips };
  if (one.found === fewest) return { right: true, say: "right", values };
  return { right: false, say: one.opened < 2 ? "one" : "finds", values };
}

/** Screen scaling: the weight of the frame that holds least. */
export function judgeShare({ given, reading }) {
  const { masses } = reading;
  const least = Math.min(...masses);
  const values = { given, least: 100 * least, frame: masses.indexOf(least) + 1, most: 100 * Math.max(...masses) };
  if (Math.abs(given - values.least) <= HONEST_LIMITS.near) return { right: true, say: "right", values };
  const looks = 100 / masses.length;
  return { right: false, say: reading.scale === "frame" ? "scaled" : Math.abs(given - looks) < 8 ? "third" : "off", values: { ...values, looks } };
}

/** Screen cut: the frame without which the answer is another. */
export function judgeCut({ reading }) {
  const { cut, mass, before, after, chance } = reading;
  if (cut === null) return { right: false, say: "none", values: {} };
  const values = { frame: cut + 1, mass, before: before.share, after: after.share, chance };
  return after.answer === before.answer ? { right: false, say: "kept", values } : { right: true, say: "right", values };
}

/** Screen needed: which answers change when the strong links are cut. */
export function judgeNeeded({ given, reading }) {
  const { left, right, least, effective, read } = reading;
  const values = { left: Math.exp(left), right: Math.exp(right), left_keys: effective.left, right_keys: effective.right, read };
  const changes = { left: Math.abs(left) >= least, right: Math.abs(right) >= least };
  const said = { left: given === "left" || given === "both", right: given === "right" || given === "both" };
  if (said.left !== changes.left) return { right: false, say: changes.left ? "left-changes" : "left-keeps", values };
  if (said.right !== changes.right) return { right: false, say: changes.right ? "right-changes" : "right-keeps", values };
  return { right: true, say: "right", values };
}

/** The figure that decides about a kind, and its rule. */
export function decidingFigure(kind, origin, rules) {
  const of = {
    uniform: [origin.uniform, rules.near_uniform], sink: [origin.sink, rules.sink], same: [origin.shared, rules.same],
    position: [origin.beyond, rules.position], content: [origin.beyond, rules.position],
  };
  const [figure, rule] = of[kind] ?? [Number.NaN, Number.NaN];
  return { figure, rule };
}

/** Screen quiz: eight of ten, with kind and need. */
export function judgeQuiz({ reading, data }) {
  const { answers, verdicts, names } = reading;
  const score = quizScore(answers, verdicts);
  const values = { right: score.right, all: answers.length, given: score.given, pass: HONEST_LIMITS.pass };
  if (score.given < answers.length) return { right: false, say: "unfinished", values };
  if (score.right >= HONEST_LIMITS.pass) return { right: true, say: "right", values };
  const [pair] = score.pairs;
  if (!pair || score.needs > pair.maps.length) {
    const wrong = answers.findIndex((answer, n) => answer.needs !== verdicts[n].matters);
    const { strong } = data.head.quiz[wrong];
    return { right: false, say: "needs", values: { ...values, count: score.needs, map: wrong + 1, odds: Math.exp(strong) } };
  }
  const [first] = pair.maps;
  const { figure, rule } = decidingFigure(pair.was, verdicts[first].origin, data.head.rules);
  return {
    right: false, say: "mixed",
    values: { ...values, said: names[pair.said], was: names[pair.was], count: pair.maps.length, map: first + 1, name: names[`figure_${pair.was}`], figure: Math.max(0, figure), rule },
  };
}
