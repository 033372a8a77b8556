// What the colours of a map mean: a bar from 0 to the end of the scale, with words.

import { contextOf, element, setText } from "../../../shared/dom.js";

export const HONEST_INK = [26, 29, 36]; // what maps lie on: the colours of weights are made for dark ground

/** @param {any} data its section lut_seq is the colours */
export function createScaleBar(data) {
  const { data: rgba } = data.array("lut_seq");
  const canvas = element("canvas", { width: 256, height: 1, "aria-hidden": "true" });
  const context = contextOf(canvas);
  const image = context.createImageData(256, 1);
  for (let n = 0; n < 1024; n += 4) {
    const share = rgba[n + 3] / 255;
    for (let c = 0; c < 3; c++) image.data[n + c] = Math.round(share * rgba[n + c] + (1 - share) * HONEST_INK[c]);
    image.data[n + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  const end = element("span");
  return { element: element("div", { class: "nlesson-said nlesson-honest-scale" }, "0", canvas, end), say: (text) => setText(end, text) };
}
