// The answer of a recall network from its rows. Behind the block the network is linear:
// logits = own + sum_i read_i sum_j p_ij told_j, over the cells i of the last frame and all keys j.

import { honestMap, honestRow } from "./rows.js";

/** Everything that is known of one clip under one network. */
export function recallOf(data, n, network) {
  const of = (name) => data.array(`recall.${n}.${network}.${name}`).data;
  return { map: honestMap(data, `recall.${n}.${network}`), told: of("told"), read: of("read"), own: of("own") };
}

/**
 * Logits of the colours.
 * @param {ReturnType<typeof recallOf>} recall
 * @param {(i: number) => {cut?: ArrayLike<number>|null}} [changeOf] what is cut of cell i of the last frame
 */
export function recallLogits({ map, told, read, own }, changeOf = () => ({})) {
  const logits = Float64Array.from(own);
  const colours = own.length;
  for (let i = 0; i < read.length; i++) {
    const row = honestRow(map, i, changeOf(i));
    for (let j = 0; j < row.length; j++) {
      const share = read[i] * row[j];
      if (share) for (let c = 0; c < colours; c++) logits[c] += share * told[j * colours + c];
    }
  }
  return logits;
}

export function softmaxOf(logits) {
  const most = Math.max(...logits);
  const f = Array.from(logits, (value) => Math.exp(value - most));
  const whole = f.reduce((a, b) => a + b, 0);
  return f.map((value) => value / whole);
}

/** log p / (1 - p) of one class. */
export function logOdds(logits, answer) {
  const others = Array.from(logits).filter((_, c) => c !== answer);
  const most = Math.max(...others);
  return logits[answer] - most - Math.log(others.reduce((sum, value) => sum + Math.exp(value - most), 0));
}

/** 1 for the keys of some frames. */
export function keysOfFrames(map, frames) {
  const [, h, w] = map.shape;
  const cut = new Uint8Array(map.keys);
  for (const frame of frames) cut.fill(1, map.prefix + frame * h * w, map.prefix + (frame + 1) * h * w);
  return cut;
}

/**
 * As many keys as a cut has, drawn by chance, those of `not` aside; the same seed gives the same.
 * @param {number} count
 * @param {number} many
 * @param {number} seed
 * @param {ArrayLike<number>|null} [not]
 */
export function keysByChance(count, many, seed, not = null) {
  let state = (seed * 2654435761 + 1) >>> 0;
  const draw = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const order = Array.from({ length: count }, (_, j) => [draw(), j]).filter(([, j]) => !not?.[j]).sort((a, b) => a[0] - b[0]);
  const cut = new Uint8Array(count);
  for (const [, j] of order.slice(0, many)) cut[j] = 1;
  return cut;
}
