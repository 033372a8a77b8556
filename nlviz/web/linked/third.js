// The third strip: what B gives more than A, on the frames of A's clip.

import { say, texts } from "../shared/language.js";
import { createBar } from "../live_view/ui/colour_bar.js";
import { createStage } from "../live_view/draw/stage.js";
import { createTextStage } from "../live_view/draw/text_stage.js";
import { measure, scaleOf } from "../live_view/pure/measure.js";
import { ownCell } from "../live_view/pure/words_asked.js";
import { sideOf } from "../live_view/pure/room.js";
import { isText } from "../live_view/pure/pages.js";
import { agreementOf, agreementText } from "./pure/agreement.js";
import { secondMinusFirst, heldBy, onCommon } from "./pure/common.js";
import { element, setText } from "../shared/dom.js";

const SETTLED = 90; // milliseconds at rest before agreement is told
const SHARES = texts("Their rows are no weights of one kind: each was divided by the sum of its magnitudes.");

/**
 * Build the strip.
 * @param {any} told the header of the linked view: the common grids
 * @param {Container[]} containers of A and B
 * @param {Pictures} pictures of A
 * @param {Store[]} stores
 * @param {Lut} lut
 * @param {AbortSignal} signal
 */
export function createThird(told, containers, pictures, stores, lut, signal) {
  const [{ head }] = containers;
  const { clip } = head;
  const [a] = stores;
  const nothing = () => {};
  const on = new Proxy({ hover: a.hover, pin: a.pin, large: a.large, lit: a.light, brushing: () => false }, {
    get: (known, name) => known[name] ?? nothing,
  });
  const text = isText(head);
  const now = { spec: a.spec, view: () => viewOf(), hasWord: () => false, home: () => null };
  /** @type {any} */
  const stage = text ? createTextStage(head, on, now, signal) : createStage(clip, pictures, on, signal, []);
  const bar = createBar(lut, nothing, signal);
  const heading = element("h3", { text: say("B minus A") });
  const sentence = element("p", { class: "nlink-agreement" });
  const spoken = element("p", { class: "nlv-spoken", "aria-live": "polite" });
  const why = element("p", { class: "nlv-dim", hidden: true });
  const node = element("section", { class: "nlink-third", "aria-label": say("B minus A: where B gives more than A, and where less") },
    element("div", { class: "nlv-top" }, element("div", { class: "nlink-finding" }, heading, sentence), bar.element), why, stage.element, spoken);
  const sides = new Map();
  let timer = 0;
  let drawn = "";

  /** As A is shown, but for what a difference has not. */
  function viewOf() {
    return { ...a.state.view, show: "map", scale: "query", top: null, leave_out: "nothing" };
  }

  /**
   * Draw the difference of two rows.
   * @param {(Result|null)[]} results
   * @param {string} what they are of, so that the same is drawn once
   */
  function draw(results, what) {
    const [one, other] = results;
    const state = { ...a.state, view: viewOf(), cursor: null, reading: false, brush: null };
    if (!one || !other || a.state.waiting) return without("", state);
    const direction = one.column ? "to" : "from";
    const common = told.difference[direction];
    if (one.column !== other.column) return without(say("One shows a row and the other a column, which have no difference."), state);
    if (!common.grid) return without(common.why, state);
    if (heldBy(one) !== heldBy(other)) return without(say("A shows {one} and B {other}, which have no difference.", { one: say(heldBy(one)), other: say(heldBy(other)) }), state);
    const wanted = `${what} ${state.large ?? state.shown.frame}`;
    if (wanted === drawn) return;
    drawn = wanted;
    const pair = /** @type {Result[]} */ (results);
    const laid = onCommon(pair, common.lay);
    const views = stores.map((store) => store.state.view);
    const found = secondMinusFirst(pair, laid, views);
    const result = resultOf(one, other, common.grid, direction, found);
    measure(result, state.view);
    result.scale = scaleOf(result, state.view);
    why.hidden = !found.shares;
    setText(why, found.shares ? say(SHARES) : "");
    stage.element.hidden = bar.element.hidden = false;
    stage.draw(result, state, lut);
    stage.drawDetails(result);
    bar.update(result, state.view, stage.ink ?? null);
    clearTimeout(timer);
    timer = setTimeout(() => {
      const said = agreementText(agreementOf(laid, common.grid.shape));
      setText(sentence, said);
      setText(spoken, said);
    }, SETTLED);
  }

  /** Frames without a difference, and why there is none. */
  function without(reason, state) {
    drawn = "";
    clearTimeout(timer);
    setText(sentence, "");
    setText(why, reason);
    why.hidden = !reason;
    bar.element.hidden = true;
    if (reason) stage.element.hidden = true;
    else stage.drawFrames(state);
  }

  function resultOf(one, other, grid, direction, { values, apart, balanced }) {
    let side = sides.get(direction);
    if (!side) {
      side = sideOf(grid, clip.frames);
      sides.set(direction, side);
    }
    side.values.set(values);
    const alike = heldBy(one) === "similarities";
    const across = one.spec.across || other.spec.across;
    const count = values.reduce((sum, value) => sum + (Number.isNaN(value) ? 0 : 1), 0);
    const spec = { ...one.spec, difference: true, signed: true, softmax: false, pairwise: one.spec.pairwise, across: false };
    return /** @type {any} */ ({
      waiting: false, spec, token: one.token, asked: one.asked, column: one.column, logits: one.logits,
      own: across || one.named ? -1 : ownCell(one.asked, one.token, side.grid), box: null, side, grid: side.grid, values: side.values,
      logC: NaN, from: 0, to: values.length, skipFrom: 0, skipTo: 0, apart, leftOut: "nothing", excluded: 0,
      signed: true, difference: true, balanced, named: one.named, words: null, ownWord: -1, parts: null, count,
      uniform: alike || one.logits ? 1 : 1 / Math.max(1, count),
    });
  }

  function resize(width) {
    stage.resize(width, 0.72);
    drawn = "";
  }

  return { element: node, draw, resize, stop: () => clearTimeout(timer), get agreement() { return sentence.textContent; } };
}
