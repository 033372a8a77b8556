// Answers of the quiz: how they are kept, how many are right, and which kinds were mixed up.

export const QUIZ_KINDS = ["content", "position", "sink", "same", "uniform"];
const LETTERS = "cpsau";

/** Answers as a short text, two letters a map: the kind, and y or n; "--" where none was given. */
export function writtenAnswers(answers) {
  return answers.map((answer) => (answer ? LETTERS[QUIZ_KINDS.indexOf(answer.kind)] + (answer.needs === "yes" ? "y" : "n") : "--")).join("");
}

/** Answers out of such a text; anything else gives none. */
export function readAnswers(text, count) {
  return Array.from({ length: count }, (_, n) => {
    const [kind, needs] = typeof text === "string" ? text.slice(2 * n, 2 * n + 2) : "";
    const found = LETTERS.indexOf(kind ?? "-");
    return found < 0 || !["y", "n"].includes(needs) ? null : { kind: QUIZ_KINDS[found], needs: needs === "y" ? "yes" : "no" };
  });
}

/**
 * @param {({kind: string, needs: string}|null)[]} answers
 * @param {{source: string, matters: string}[]} verdicts
 */
export function quizScore(answers, verdicts) {
  const given = answers.filter(Boolean).length;
  const right = answers.map((answer, n) => Boolean(answer) && answer?.kind === verdicts[n].source && answer.needs === verdicts[n].matters);
  /** @type {Map<string, {said: string, was: string, maps: number[]}>} */
  const mixed = new Map();
  let needs = 0;
  answers.forEach((answer, n) => {
    if (!answer) return;
    if (answer.needs !== verdicts[n].matters) needs++;
    if (answer.kind === verdicts[n].source) return;
    const key = `${answer.kind} ${verdicts[n].source}`;
    const found = mixed.get(key) ?? { said: answer.kind, was: verdicts[n].source, maps: [] };
    found.maps.push(n);
    mixed.set(key, found);
  });
  const pairs = [...mixed.values()].sort((a, b) => b.maps.length - a.maps.length);
  return { given, right: right.filter(Boolean).length, each: right, pairs, needs };
}
