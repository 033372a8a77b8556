// What the colours of maps say: one bar for weights from 0 up, one for weights with a sign.

import { contextOf, element } from "../../shared/dom.js";

const PAPER = [244, 244, 244]; // behind what is not quite opaque, as on tiles

/**
 * A colour table as a bar: what stands for the least value is at its left.
 * @param {ArrayLike<number>} rgba (256, 4)
 * @param {number[]} [ground] RGB that maps lie on
 */
export function colourBar(rgba, ground = PAPER) {
  const canvas = element("canvas", { width: 256, height: 1, "aria-hidden": "true" });
  const context = contextOf(canvas);
  const image = context.createImageData(256, 1);
  for (let i = 0; i < 1024; i += 4) {
    const share = rgba[i + 3] / 255;
    for (let c = 0; c < 3; c++) image.data[i + c] = Math.round(share * rgba[i + c] + (1 - share) * ground[c]);
    image.data[i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/**
 * A line with both bars and words at their ends; in words too, for whoever does not see the colours.
 * @param {LessonData} data its sections lut_seq and lut_div are the colours
 * @param {{zero: string, most: string, negative: string, positive: string}} words of the four ends
 */
export function createColourLegend(data, { zero, most, negative, positive }) {
  const line = (table, left, right) => element("span", {},
    element("span", { text: left }), colourBar(data.array(table).data), element("span", { text: right }));
  return element("p", { class: "nlesson-colours" }, line("lut_seq", zero, most), line("lut_div", negative, positive));
}
