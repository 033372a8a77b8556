// The colour bar: what a colour stands for, with its clipped end marked.

import { say } from "../../shared/language.js";
import { roundUp, shareOf, tableOf, toGround } from "../pure/colour.js";
import { contextOf, element, setText } from "../../shared/dom.js";
import { isSimilarity } from "../pure/similarity.js";
import { isAbsolute, valueText } from "../pure/words.js";

/**
 * Build the bar; it lies on what a mid-grey frame looks like below a map.
 * @param {Lut} lut
 * @param {(top: number) => void} onWhole called where the reader asks for a scale up to the strongest
 *   key, with its end in multiples of uniform attention
 * @param {AbortSignal} signal
 */
export function createBar(lut, onWhole, signal) {
  const ramp = element("canvas", { width: 256, height: 1, class: "nlv-ramp" });
  const needle = element("i", { class: "nlv-needle", hidden: true });
  const low = element("span", { class: "nlv-low" });
  const middle = element("span", { class: "nlv-middle" });
  const high = element("span", { class: "nlv-high" });
  const title = element("span", { class: "nlv-bar-title" });
  const beyond = element("button", { type: "button", class: "nlv-beyond", "data-tip": say("The colours end below it. Press to lock the scale there, so that all keys differ") });
  let whole = 0;
  beyond.addEventListener("click", () => whole > 0 && onWhole(whole), { signal });
  const box = element("div", { class: "nlv-ramp-box" }, ramp, needle);
  const ground = `rgb(${toGround(Uint8ClampedArray.of(128, 128, 128, 255), lut.ground).subarray(0, 3).join(" ")})`;
  const colours = element("div", { role: "img" }, box, element("div", { class: "nlv-ticks" }, low, middle, high));
  const bar = element("div", { class: "nlv-bar" }, element("div", { class: "nlv-bar-head" }, title, beyond), colours);
  const context = contextOf(ramp);
  const image = context.createImageData(256, 1);
  const words = new Uint32Array(image.data.buffer);
  let drawn = "";

  function titleOf(result, view) {
    if (result.logits && result.difference) return say("Difference");
    if (result.logits) return isSimilarity(result.spec) ? say("Cosine similarity") : say("Raw logit");
    const weight = result.difference ? say("Difference") : say("Weight");
    const what = isAbsolute(result, view.unit) ? weight : say("{weight}, × uniform attention", { weight });
    const how = { query: "", locked: say(" · scale locked"), frame: say(" · own scale per frame"), log: say(" · logarithmic") }[view.scale];
    return what + how;
  }

  /**
   * Say what the colours of a row mean.
   * @param {Result} result
   * @param {View} view
   * @param {any} ink colours of words and their paper, where it is words alone that are coloured
   */
  function update(result, view, ink) {
    const { scale } = result;
    const wanted = `${view.strength} ${scale.diverging} ${ink?.paper.rgb}`;
    if (wanted !== drawn) {
      drawn = wanted;
      if (ink) words.set(ink.words);
      else tableOf(scale.diverging ? lut.diverging : lut.sequential, view.strength, words);
      box.style.background = ink ? `rgb(${ink.paper.rgb.join(" ")})` : ground;
      context.putImageData(image, 0, 0);
    }
    setText(title, titleOf(result, view));
    const clipped = scale.clipped && view.scale !== "frame";
    whole = roundUp(result.most / result.uniform);
    beyond.hidden = !clipped;
    setText(beyond, clipped ? say("strongest other key {value}", { value: valueText(result.most, result, view.unit) }) : "");
    const text = (value) => valueText(value, result, view.unit);
    if (view.scale === "frame" && !result.logits) {
      setText(low, "0");
      setText(middle, "");
      setText(high, say("each frame's strongest"));
      return;
    }
    const least = scale.floor > 0 && !scale.diverging ? scale.floor : scale.lo;
    const floor = isAbsolute(result, view.unit) ? text(scale.floor) : `${Number((scale.floor / result.uniform).toPrecision(2))}×`;
    setText(low, least > scale.lo ? `≤${floor}` : (scale.clippedBelow ? "<" : "") + text(least));
    setText(middle, middleOf(scale, text, floor));
    setText(high, (scale.clipped ? ">" : "") + text(scale.hi));
    const end = beyond.textContent ? `, ${beyond.textContent}` : "";
    colours.setAttribute("aria-label", say("{title}: colours from {least} to {most}{end}", { title: title.textContent, least: text(least), most: text(scale.hi), end }));
  }

  /** Point the needle at a value, or hide it for null. */
  function point(value, scale) {
    needle.hidden = value === null;
    if (value === null) return;
    needle.style.left = `${100 * shareOf(value, scale)}%`;
  }

  return { element: bar, update, point };
}

function middleOf({ lo, hi, floor, diverging }, text, least) {
  if (!(floor > 0)) return text((lo + hi) / 2);
  return diverging ? say("within ±{least}", { least }) : text(Math.sqrt(floor * hi));
}

/** Top of a result's scale in multiples of uniform attention: what locking keeps. */
export function topOf(result) {
  return Number((result.scale.hi / result.uniform).toPrecision(3));
}
