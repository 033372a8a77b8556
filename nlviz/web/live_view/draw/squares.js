// Pictures of single pixels: what a query may look at, patches, weights.

import { element } from "../../shared/dom.js";

/** A canvas for square pictures of pixels. */
export function squareCanvas(side, label) {
  const canvas = element("canvas", { width: 2 * side, height: 2 * side, role: "img", "aria-label": label });
  canvas.style.aspectRatio = "1";
  return canvas;
}

/**
 * Paint a square of pixels without smoothing.
 * @param {{top, left, side}} region in pixels of the picture
 * @param {number[]|null} shape (frames, rows, columns, ...) of the picture; null paints everything
 * @param {function} colour (y, x) => [red, green, blue, alpha]
 */
export function paintSquare(canvas, { top, left, side }, shape, colour) {
  const [, height, width] = shape ?? [];
  const image = new ImageData(side, side);
  for (let r = 0, at = 0; r < side; r++) {
    for (let c = 0; c < side; c++, at += 4) {
      const y = top + r;
      const x = left + c;
      if (shape && (y < 0 || x < 0 || y >= height || x >= width)) continue;
      const [red, green, blue, alpha = 255] = colour(y, x);
      image.data[at] = red;
      image.data[at + 1] = green;
      image.data[at + 2] = blue;
      image.data[at + 3] = alpha;
    }
  }
  const small = new OffscreenCanvas(side, side);
  small.getContext("2d").putImageData(image, 0, 0);
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  return context;
}

/** Mark a pixel, or the patch around it, in a square that shows a region. */
export function outlinePixels(context, region, pixel, half, colour, text = "") {
  const unit = context.canvas.width / region.side;
  const x = (pixel.x - half - region.left) * unit;
  const y = (pixel.y - half - region.top) * unit;
  const size = (2 * half + 1) * unit;
  for (const [stroke, thick] of [["rgba(0, 0, 0, 0.7)", 6], [colour, 3]]) {
    context.strokeStyle = stroke;
    context.lineWidth = thick;
    context.strokeRect(x, y, size, size);
  }
  if (!text) return;
  context.font = "bold 22px system-ui, sans-serif";
  context.lineWidth = 5;
  context.strokeStyle = "rgba(0, 0, 0, 0.8)";
  context.strokeText(text, x + 5, y + 22);
  context.fillStyle = colour;
  context.fillText(text, x + 5, y + 22);
}
