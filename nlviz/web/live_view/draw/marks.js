// Marks and thumbnails on canvases.

/** Give a canvas as many pixels as the screen shows; returns true if it changed. */
export function fitCanvas(canvas, width, height) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const w = Math.max(1, Math.round(width * ratio));
  const h = Math.max(1, Math.round(height * ratio));
  if (canvas.width === w && canvas.height === h) return false;
  canvas.width = w;
  canvas.height = h;
  return true;
}

export function drawBase(context, picture) {
  const { canvas } = context;
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "medium";
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
}

/**
 * Crop of a picture around a cell, drawn over the whole canvas of `context` (or a part of it).
 * The crop stays inside the picture and shows the cell with some of its surroundings.
 */
export function drawCrop(context, picture, clip, centre, side, x, y, size) {
  const scale = picture.width / clip.width;
  const span = Math.min(side * scale, picture.width, picture.height);
  const left = Math.min(Math.max((centre.x + 0.5) * scale - span / 2, 0), picture.width - span);
  const top = Math.min(Math.max((centre.y + 0.5) * scale - span / 2, 0), picture.height - span);
  context.drawImage(picture, left, top, span, span, x, y, size, size);
  return { left: left / scale, top: top / scale, span: span / scale };
}

/** Side of the crop that shows a cell of this grid, or this box, in clip pixels. */
export function cropSide(grid, index = 0) {
  if (grid.kind === "boxes") {
    const [, top, left, bottom, right] = grid.boxes[index];
    return Math.max(1.2 * Math.max(bottom - top, right - left), 20);
  }
  return Math.max(2.4 * Math.max(grid.stride[1], grid.stride[2]), 20);
}

function rounded(context, x, y, w, h, radius) {
  context.beginPath();
  context.roundRect(x, y, w, h, radius);
}

/** Outline of a cell: solid for the pinned query, dashed for a hovered one; dark halo below. */
export function drawMark(context, box, { dashed = false, colour = "#fff", width = 2 } = {}) {
  const grow = width / 2 + 0.5;
  const at = [box.x - grow, box.y - grow, box.w + 2 * grow, box.h + 2 * grow, 2.5];
  context.setLineDash([]);
  context.lineWidth = width + 2.5;
  context.strokeStyle = "rgba(0, 0, 0, 0.65)";
  rounded(context, ...at);
  context.stroke();
  context.setLineDash(dashed ? [4, 3] : []);
  context.lineWidth = width;
  context.strokeStyle = colour;
  rounded(context, ...at);
  context.stroke();
  context.setLineDash([]);
}

/** Ring around a lit key. */
export function drawRing(context, box, colour) {
  const radius = Math.max(box.w, box.h) * 0.5 + 5;
  context.beginPath();
  context.arc(box.x + box.w / 2, box.y + box.h / 2, radius, 0, 2 * Math.PI);
  context.lineWidth = 4.5;
  context.strokeStyle = "rgba(0, 0, 0, 0.6)";
  context.stroke();
  context.lineWidth = 2;
  context.strokeStyle = colour;
  context.stroke();
}
