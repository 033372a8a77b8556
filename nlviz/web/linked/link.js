// What two live views have in common: the query, how they are drawn, and the colour scale.

import { isSimilarity } from "../live_view/pure/similarity.js";

const SHARED = ["strength", "cells", "show", "links", "scale", "top", "unit", "leave_out", "values", "direction", "token", "objects"];
const LEAST_CLIPPED = 1e-6;

/** A place of one clip as it lies in another that is stretched over it; frames are whole. */
export function placeIn(query, from, to) {
  const along = (value, size, other) => (size === other ? value : Math.min(Math.max(((value + 0.5) * other) / size - 0.5, 0), other - 1));
  return {
    ...query,
    frame: Math.round(along(query.frame, from.frames, to.frames)),
    y: along(query.y, from.height, to.height),
    x: along(query.x, from.width, to.width),
  };
}

/**
 * The scale of a row when it shares its end with another's, in multiples of uniform attention.
 * @param {Scale} own
 * @param {number} uniform
 * @param {number} most largest weight of the row
 * @param {number} top
 * @returns {Scale}
 */
export function sharedScale(own, uniform, most, top) {
  const hi = top * uniform;
  const floor = own.floor > 0 ? (own.floor / own.hi) * hi : 0;
  return { ...own, hi, lo: own.diverging ? -hi : 0, floor, clipped: most > hi * (1 + LEAST_CLIPPED) };
}

/**
 * Link two stores: what the reader does in one, the other follows.
 * @param {Store[]} stores of A and B
 * @param {boolean} crossed whether B's keys are asked by A's queries, so that B has none of its own
 * @param {AbortSignal} signal
 * @param {boolean} apart whether B opens at a query of its own, until the reader moves either
 */
export function linkStores(stores, crossed, signal, apart = false) {
  let following = false;
  const clips = stores.map(({ head }) => head.clip);

  function placed(query, n) {
    if (!query) return null;
    const there = placeIn(query, clips[n], clips[1 - n]);
    delete there.across;
    if (crossed && n === 0) there.across = { frame: query.frame, y: query.y, x: query.x };
    return there;
  }

  /** What is drawn alike on both sides, as one of them has it. */
  const shared = ({ view }) => Object.fromEntries(SHARED.map((name) => [name, view[name]]));

  function follow(n) {
    if (following) return;
    following = true;
    const { state } = stores[n];
    const query = { hovered: placed(state.hovered, n), pinned: placed(state.pinned, n), resting: placed(state.resting, n) };
    // Where B has no query of its own it only takes over how A is drawn, and A how B is.
    const own = stores[1 - n].state;
    const taken = crossed && n === 1 ? { hovered: own.hovered, pinned: own.pinned, resting: own.resting } : query;
    stores[1 - n].follow(/** @type {any} */ (taken), shared(state));
    following = false;
  }

  stores.forEach((store, n) => {
    const stop = store.subscribe(() => follow(n));
    signal.addEventListener("abort", stop);
  });
  if (crossed) {
    const [, b] = stores;
    Object.assign(b, { hover: readOnly(b), pin() {}, pinWord() {}, unpin() {}, move() {}, peek() {}, read() {} });
  }
  if (!apart) follow(0);
}

/** Follow the pointer without asking. */
function readOnly(store) {
  const { hover } = store;
  return (place) => hover(place && { ...place, asks: false });
}

/**
 * One colour scale for two painters, up to the larger of their ends.
 * @param {() => any[]} painters of A and B
 * @returns {(n: number) => (result: Result, view: View) => void}
 */
export function oneScale(painters) {
  /** @type {WeakMap<Result, Scale>} the scale that each row would have by itself */
  const alone = new WeakMap();
  const topOf = (result) => /** @type {Scale} */ (alone.get(result)).hi / result.uniform;
  const shares = (result, view) => !result.logits && !isSimilarity(result.spec) && (view.scale === "query" || view.scale === "log");

  return (n) => (result, view) => {
    if (!alone.has(result)) alone.set(result, result.scale);
    const own = /** @type {Scale} */ (alone.get(result));
    const other = painters()[1 - n];
    const beside = other?.result;
    result.scale = own;
    if (!beside || !alone.has(beside) || !shares(result, view) || !shares(beside, view)) return;
    if (result.difference !== beside.difference) return;
    const top = Math.max(topOf(result), topOf(beside));
    result.scale = sharedScale(own, result.uniform, result.most, top);
    if (Math.abs(beside.scale.hi / beside.uniform - top) > 1e-9 * top) other.request();
  };
}
