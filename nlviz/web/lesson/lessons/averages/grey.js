// Grey pictures on canvases, one pixel a pixel; the style sheet enlarges them.

import { contextOf, element } from "../../../shared/dom.js";

/** A picture with its name below; paint shows other pixels. */
export function createGreyPicture(height, width, label) {
  const canvas = element("canvas", { width, height, role: "img", "aria-label": label, class: "nlesson-averages-picture" });
  const context = contextOf(canvas);
  const image = context.createImageData(width, height);
  const name = element("figcaption", { text: label });

  /** @param {ArrayLike<number>} pixels @param {string} [told] what stands below */
  function paint(pixels, told = label) {
    for (let n = 0; n < height * width; n++) {
      image.data[4 * n] = image.data[4 * n + 1] = image.data[4 * n + 2] = Math.round(pixels[n]);
      image.data[4 * n + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    name.textContent = told;
    canvas.setAttribute("aria-label", told);
  }

  return { element: element("figure", { class: "nlesson-averages-shown" }, canvas, name), paint };
}
