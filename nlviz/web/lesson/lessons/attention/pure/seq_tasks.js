// Tasks on sequences of symbols as nlviz/networks/sequence/tasks.py poses them: ids, answers, texts.

const SEQ_SHIFT = 3;

/** Numbers in [0, 1) that follow from a seed, the same on every machine (mulberry32). */
export function seqRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Symbols of a task by id; the separator, which is the end as well, comes behind them. */
export const seqTokens = (spec) => [...spec.symbols, "|"];

/** Ids of a text's symbols; null where one is none of the task's. */
export function seqIds(spec, text) {
  const ids = [...text].map((symbol) => spec.symbols.indexOf(symbol));
  return ids.includes(-1) ? null : ids;
}

/** Whether a text is a source of the task: of recall, pairs of a letter and its digit. */
export function seqFits(spec, text) {
  const ids = seqIds(spec, text);
  if (!ids || ids.length < 2) return false;
  if (spec.task !== "recall") return true;
  if (ids.length % 2) return false;
  const known = new Map();
  return ids.every((id, i) => {
    if (i % 2 === 0) return id < spec.keys;
    const letter = ids[i - 1];
    if (id < spec.keys || (known.has(letter) && known.get(letter) !== id)) return false;
    known.set(letter, id);
    return true;
  });
}

/** What is to be written to a source; of recall each letter, in the order of the alphabet, and its digit. */
export function seqTarget(spec, source) {
  if (spec.task === "copy") return [...source];
  if (spec.task === "reverse") return [...source].reverse();
  if (spec.task === "shift") return source.map((_, i) => source[(i - SEQ_SHIFT + source.length) % source.length]);
  if (spec.task === "sort") return [...source].sort((a, b) => a - b);
  const known = new Map();
  for (let i = 0; i < source.length; i += 2) known.set(source[i], source[i + 1]);
  return [...known].sort((a, b) => a[0] - b[0]).flat();
}

/**
 * A source with its answer: what stands behind it, what is to come next at each of these, whether it
 * counts (of recall the digits alone), and where in the source the symbol stands that is to come (-1: at
 * no one place).
 */
export function seqPosed(spec, source) {
  const end = spec.symbols.length;
  const target = seqTarget(spec, source);
  const n = source.length;
  const placed = { copy: (i) => i, reverse: (i) => n - 1 - i, shift: (i) => (i - SEQ_SHIFT + n) % n }[spec.task];
  const partner = [...target, end].map((_, i) => (placed && i < n ? placed(i) : -1));
  if (spec.task === "recall") {
    for (let i = 0; i < target.length; i += 2) partner[i + 1] = source.findIndex((id, j) => j % 2 === 0 && id === target[i]) + 1;
  }
  return {
    source, given: [end, ...target], wanted: [...target, end], partner,
    counts: [...target, end].map((_, i) => spec.task !== "recall" || i % 2 === 1),
  };
}

/** Draw the source of a task: letters at random, of recall pairs whose letters differ as long as they can. */
export function seqDrawn(spec, length, random) {
  const one = (count) => Math.floor(random() * count);
  if (spec.task !== "recall") return Array.from({ length }, () => one(spec.symbols.length));
  const digits = spec.symbols.length - spec.keys;
  const digitOf = Array.from({ length: spec.keys }, () => spec.keys + one(digits));
  const source = [];
  let left = [];
  while (source.length < length) {
    if (!left.length) left = Array.from({ length: spec.keys }, (_, i) => i);
    const [letter] = left.splice(one(left.length), 1);
    source.push(letter, digitOf[letter]);
  }
  return source;
}

/** As many sources as asked for, the same for every learner. */
export function seqTexts(spec, { count, length, seed }) {
  const random = seqRandom(seed);
  return Array.from({ length: count }, () => seqPosed(spec, seqDrawn(spec, length, random)));
}

/** Ids as a text. */
export const seqText = (spec, ids) => ids.map((id) => seqTokens(spec)[id]).join("");
