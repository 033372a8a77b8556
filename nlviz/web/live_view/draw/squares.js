// Pictures of single pixels: what a query may look at, patches, weights.

import { contextOf, element } from "../../shared/dom.js";

/** A canvas for square pictures of pixels. */
export function squareCanvas(side, label) {
  const canvas = element("canvas", { width: 2 * side, height: 2 * side, role: "img", "aria-label": label });
  canvas.style.aspectRatio = "1";
  return canvas;
}

/**
 * Paint a square of pixels without smoothing.
 * @param {HTMLCanvasElement} canvas
 * @param {{top: number, left: number, side: number}} region in pixels of the picture
 * @param {number[]|null} shape (frames, rows, columns, ...) of the picture; null paints everything
 * @param {(y: number, x: number) => ArrayLike<number>} colour red, green, blue and, perhaps, alpha
 */
export function paintSquare(canvas, region, shape, colour) {
  const { top, left, side } = region;
  const [, height, width] = shape ?? [];
  const image = new ImageData(side, side);
  for (let r = 0, at = 0; r < side; r++) {
    for (let c = 0; c < side; c++, at += 4) {
      const y = top + r;
      const x = left + c;
      if (shape && (y < 0 || x < 0 || y >= height || x >= width)) continue;
      const shown = colour(y, x);
      for (let n = 0; n < 3; n++) image.data[at + n] = shown[n];
      image.data[at + 3] = shown[3] ?? 255;
    }
  }
  const small = element("canvas", { width: side, height: side });
  contextOf(small).putImageData(image, 0, 0);
  const context = contextOf(canvas);
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
