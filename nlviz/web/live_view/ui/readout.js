// What the row says: one sentence, the value under the pointer, and a close look at one link.

import { say } from "../../shared/language.js";
import { contextOf, element, setText } from "../../shared/dom.js";
import { cropSide, drawCrop, drawMark } from "../draw/marks.js";
import { insideClip, nearestToken, onGrid, tokenCentre } from "../pure/grid.js";
import { lineOf, wordText } from "../pure/pages.js";
import { rowSentence } from "../pure/sentences.js";
import { isNamed, tokenName } from "../pure/text_words.js";
import { counted, isAbsolute, numberText, valueText, whenText } from "../pure/words.js";

const CLOSE = 132;
const OFFER_FROM = 0.4;

/**
 * The sentence, in a box of one height: where it is long its letters are smaller. `onOffer` is called
 * where the reader takes the offer to leave the own cell out.
 */
export function createSentence(onOffer, signal) {
  // The sentence is read aloud by its copy, once it has come to rest.
  const text = element("span", { "aria-hidden": "true" });
  const offer = element("button", {
    type: "button", class: "nlv-offer", hidden: true, text: say("hide it"),
    "data-tip": say("Hide what the query gives to itself and scale the rest to 100 %"),
  });
  const spoken = element("p", { class: "nlv-spoken", "aria-live": "polite" });
  const line = element("p", { class: "nlv-sentence" }, text, offer);
  const node = element("div", { class: "nlv-finding" }, line, spoken);
  let timer = 0;
  offer.addEventListener("click", onOffer, { signal });

  function update(result, query, head, note) {
    const words = note ?? rowSentence(result, query, head);
    const offers = note === null && result.ownShare >= OFFER_FROM;
    if (text.textContent === words && offer.hidden !== offers) return;
    text.textContent = words;
    offer.hidden = !offers;
    if (!spoken.textContent) spoken.textContent = words;
    fit();
  }

  /** Choose the largest letters that fit into the box. */
  function fit() {
    for (const size of ["", "long", "longer"]) {
      node.dataset.size = size;
      if (line.offsetHeight <= node.clientHeight) return;
    }
  }

  /** Say the sentence to screen readers once the query has come to rest. */
  function speak() {
    clearTimeout(timer);
    timer = setTimeout(() => setText(spoken, text.textContent), 500);
  }

  return { element: node, update, fit, speak, stop: () => clearTimeout(timer) };
}

/** Build the small label at the pointer: the value there and its place. */
export function createReadout(clip) {
  const value = element("b");
  const place = element("span");
  const node = element("div", { class: "nlv-readout", hidden: true, "aria-hidden": "true" }, value, place);

  /** A cell of the pictures, or a box, or a node. */
  function inPicture(row, cursor) {
    const token = nearestToken(row.grid, cursor);
    if (row.grid.kind === "line") return { token: -1, weight: undefined, outside: true };
    const outside = token < row.from || token >= row.to || (row.box && !onGrid(row.grid, cursor));
    return { token, weight: row.values[token], outside };
  }

  /** A word, as a cell of the row or beside its cells. */
  function inText(row, { key = -1 }) {
    if (row.grid.kind === "line") return { token: key, weight: key < 0 ? undefined : row.values[key], outside: key < row.from || key >= row.to };
    return { token: -1, weight: row.words?.[key], outside: false };
  }

  function placeText(row, cursor, token) {
    if (cursor.strip !== undefined) {
      const line = lineOf(row.grid);
      return line ? wordText(/** @type {any} */ (line), cursor.key) : "";
    }
    const seconds = clip.frames > 1 ? `${whenText(cursor.frame, clip)} · ` : "";
    if (isNamed(row.grid)) return seconds + tokenName(row.grid, token);
    return `${seconds}y ${cursor.y}, x ${cursor.x} px`;
  }

  /**
   * @param {Place|null} cursor
   * @param {Result} row whose value is read
   * @param {string} unit
   * @param {string} label what the value is
   * @param {number} width of the stage
   */
  function update(cursor, row, unit, label, width) {
    node.hidden = cursor === null;
    if (cursor === null) return null;
    const { token, weight, outside: beyond } = cursor.strip === undefined ? inPicture(row, cursor) : inText(row, cursor);
    node.hidden = weight === undefined;
    if (weight === undefined) return null;
    const outside = beyond || Number.isNaN(weight);
    let text = outside ? say("not reachable") : token >= row.skipFrom && token < row.skipTo ? say("hidden") : "";
    if (!text) {
      text = valueText(weight, row, unit);
      if (!isAbsolute(row, unit) && !row.logits && !text.startsWith("<")) text += ` · ${numberText(weight)}`;
    }
    setText(value, label ? `${label} ${text}` : text);
    setText(place, placeText(row, cursor, token));
    const left = cursor.px + 190 > width ? cursor.px - 176 : cursor.px + 16;
    node.style.transform = `translate(${Math.max(0, left)}px, ${cursor.py + 18}px)`;
    return outside ? null : weight;
  }

  return { element: node, update };
}

/** Query and key side by side, enlarged: enough to see whether a link is right or a mistake. */
export function createInspector(clip, pictures, on, signal) {
  const query = element("canvas", { width: 2 * CLOSE, height: 2 * CLOSE });
  const key = element("canvas", { width: 2 * CLOSE, height: 2 * CLOSE });
  const queryText = element("figcaption");
  const keyText = element("figcaption");
  const facts = element("p");
  const look = element("button", { type: "button", class: "nlv-button", text: say("Make this the query") });
  const close = element("button", { type: "button", class: "nlv-close", "aria-label": say("Close"), text: "×" });
  const card = element("section", { class: "nlv-inspector", hidden: true, "aria-label": say("Query and key compared"), tabindex: "-1" },
    close, element("figure", {}, query, queryText), element("figure", {}, key, keyText),
    element("div", {}, facts, look));
  /** @type {Query|null} */
  let target = null;
  look.addEventListener("click", () => target && on.pin(target), { signal });
  close.addEventListener("click", () => hide(), { signal });

  function hide() {
    card.hidden = true;
    target = null;
  }

  function drawSide(canvas, frame, grid, centre) {
    const context = contextOf(canvas);
    const side = 1.6 * cropSide(grid);
    const crop = drawCrop(context, pictures[frame].colour, clip, centre, side, 0, 0, canvas.width);
    const zoom = canvas.width / crop.span;
    drawMark(context, {
      x: (centre.x + 0.5 - grid.stride[2] / 2 - crop.left) * zoom, y: (centre.y + 0.5 - grid.stride[1] / 2 - crop.top) * zoom,
      w: grid.stride[2] * zoom, h: grid.stride[1] * zoom,
    }, { width: 3 });
  }

  /** Close the card where it is open; returns whether it was. */
  function closeCard() {
    if (card.hidden) return false;
    hide();
    return true;
  }

  /** Two tokens that have names and no picture: what one gives to the other, in words. */
  function showNamed({ asked, token, grid, values, column, ...rest }, index, unit, box) {
    const [who, what] = [tokenName(asked, token), tokenName(grid, index)];
    const apart = Math.abs(index - token);
    const far = asked.kind === "line" && grid.kind === "line" && asked.shape[2] === grid.shape[2] ? say(", {words} apart", { words: counted(apart, "word") }) : "";
    facts.textContent = `${column ? what : who} → ${column ? who : what}: ${valueText(values[index], /** @type {any} */ ({ ...rest, column }), unit)}${far}.`;
    target = insideClip(tokenCentre(grid, index), clip);
    card.hidden = false;
    card.style.transform = `translate(8px, ${box.y + box.h + 8}px)`;
  }

  /** Compare; the card lies on the half of `box` where the query is not. */
  function show(result, shown, index, frame, unit, box) {
    const named = [result.asked, result.grid].some(({ kind }) => kind === "line" || kind === "nodes");
    for (const canvas of [query, key]) if (canvas.parentElement) canvas.parentElement.hidden = named;
    if (named) return showNamed(result, index, unit, box);
    const from = tokenCentre(result.asked, result.token);
    const to = tokenCentre(result.grid, index);
    drawSide(query, shown.frame, result.asked, from);
    drawSide(key, frame, result.grid, to);
    const [ofQuery, ofKey] = [say("query, {when}", { when: whenText(shown.frame, clip) }), say("key, {when}", { when: whenText(frame, clip) })];
    const [askedKey, asksKey] = [say("key, {when}", { when: whenText(shown.frame, clip) }), say("query, {when}", { when: whenText(frame, clip) })];
    queryText.textContent = result.column ? askedKey : ofQuery;
    keyText.textContent = result.column ? asksKey : ofKey;
    const distance = Math.round(Math.hypot(to.y - from.y, to.x - from.x));
    const seconds = Math.abs(clip.times[frame] - clip.times[shown.frame]);
    const value = valueText(result.values[index], result, unit);
    facts.textContent = clip.frames > 1 ? say("{value}, {distance} px and {seconds} s away. Same thing, or a mismatch?", { value, distance, seconds: seconds.toFixed(2) })
      : say("{value}, {distance} px away. Same thing, or a mismatch?", { value, distance });
    target = { frame, y: Math.round(to.y), x: Math.round(to.x) };
    card.hidden = false;
    const right = from.x < clip.width / 2 ? Math.max(0, box.x + box.w - card.offsetWidth - 8) : box.x + 8;
    card.style.transform = `translate(${right}px, ${box.y + 8}px)`;
  }

  return { element: card, show, hide, close: closeCard };
}
