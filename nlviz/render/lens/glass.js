// The glass itself: true pixels, each a square of whole device pixels, around one of them.

/**
 * Draw the pixels around (y, x) so that this one lies in the middle.
 * @param {HTMLCanvasElement} glass square, its width in device pixels
 * @param {HTMLCanvasElement} source one canvas pixel for each pixel of the picture
 * @param {number} cell device pixels across one pixel of the picture
 */
export function drawGlass(glass, source, y, x, cell) {
  const context = glass.getContext("2d");
  const middle = Math.floor((glass.width - cell) / 2);
  const reach = Math.ceil(middle / cell);
  const left = Math.max(0, x - reach);
  const top = Math.max(0, y - reach);
  const columns = Math.min(source.width, x + reach + 1) - left;
  const rows = Math.min(source.height, y + reach + 1) - top;
  context.imageSmoothingEnabled = false;
  context.clearRect(0, 0, glass.width, glass.height);
  context.drawImage(
    source, left, top, columns, rows,
    middle + (left - x) * cell, middle + (top - y) * cell, columns * cell, rows * cell,
  );
  // Dark inside light, so that the frame is seen on any pixel.
  context.lineWidth = Math.max(1, Math.round(cell / 10));
  context.strokeStyle = "rgb(255 255 255 / 0.95)";
  context.strokeRect(middle - 0.5 * context.lineWidth, middle - 0.5 * context.lineWidth, cell + context.lineWidth, cell + context.lineWidth);
  context.strokeStyle = "rgb(10 12 16 / 0.9)";
  context.strokeRect(middle - 1.5 * context.lineWidth, middle - 1.5 * context.lineWidth, cell + 3 * context.lineWidth, cell + 3 * context.lineWidth);
}
