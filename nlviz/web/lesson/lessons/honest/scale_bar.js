// What the colours of a map mean: a bar from 0 to the end of the scale, with words.

import { element, setText } from "../../../shared/dom.js";
import { colourBar } from "../../figures/colours.js";

export const HONEST_INK = [26, 29, 36]; // what maps lie on: the colours of weights are made for dark ground

/** @param {any} data its section lut_seq is the colours */
export function createScaleBar(data) {
  const bar = colourBar(data.array("lut_seq").data, HONEST_INK);
  const end = element("span");
  return { element: element("div", { class: "nlesson-said nlesson-honest-scale" }, "0", bar, end), say: (text) => setText(end, text) };
}
