// The colour scale of an atlas, with numbers.

import { contextOf, element } from "../shared/dom.js";
import { say } from "../shared/language.js";
import { signedNumber, withUnit } from "./pure/figure_numbers.js";
import { numberAt } from "./pure/figure_scale.js";

/**
 * Build the bar of a scale.
 * @param {any} scale see pure/figure_scale.js
 * @param {Uint8Array} table (256, 4) RGBA
 * @param {{unit: string, signed: boolean}} how
 */
export function createScaleBar(scale, table, { unit, signed }) {
  const ramp = element("canvas", { width: 256, height: 1, "aria-hidden": "true" });
  const context = contextOf(ramp);
  const image = context.createImageData(256, 1);
  for (let i = 0; i < 1024; i++) image.data[i] = i % 4 === 3 ? 255 : table[i];
  context.putImageData(image, 0, 0);
  const text = (share) => (signed ? signedNumber : withUnit)(numberAt(share, scale), unit);
  return element("div", { class: "nsv-scale" }, ramp,
    element("div", { class: "nsv-ends" }, ...[0, 0.5, 1].map((share) => element("span", { text: text(share) }))),
    scale.logarithmic ? element("small", { text: say("logarithmic") }) : null);
}
