// Pictures as the browser holds them, and the numbers in them.

/** Decode every picture and its method noise into canvases whose pixels can be read. */
export async function decodeAll(container) {
  const decode = async (section) => {
    if (section === null) return null;
    const blob = new Blob([container.array(section).data], { type: "image/png" });
    // Pixels stay as they were written: no colour profile of the screen is applied.
    const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" });
    const canvas = document.createElement("canvas");
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
    canvas.getContext("2d", { willReadFrequently: true }).drawImage(bitmap, 0, 0);
    bitmap.close();
    return canvas;
  };
  return Promise.all(container.head.lens.pictures.map(async (entry) => {
    const [picture, noise] = await Promise.all([decode(entry.picture), decode(entry.noise)]);
    return { ...entry, picture, noise };
  }));
}

/** The canvas that is shown of a picture, or null where it has no method noise. */
export const shownOf = (item, show) => (show === "noise" ? item.noise : item.picture);

export function pixelAt(canvas, { y, x }) {
  const { data } = canvas.getContext("2d").getImageData(x, y, 1, 1);
  return [data[0], data[1], data[2]];
}

const MINUS = "\u2212";

/** A number of the method noise in grey levels; at the ends of the scale it may be beyond. */
function noiseText(level, scale) {
  const value = scale === null ? level - 128 : ((level - 127.5) / 127.5) * scale;
  const rounded = level === 128 ? 0 : Math.round(value);
  const sign = rounded < 0 ? MINUS : rounded > 0 ? "+" : "";
  const beyond = { 0: "\u2264\u202f", 255: "\u2265\u202f" }[level] ?? "";
  return `${beyond}${sign}${Math.abs(rounded)}`;
}

/** Grey level, or red, green and blue; in the method noise with their sign. */
export function valueText([r, g, b], show, scale) {
  const text = (level) => (show === "noise" ? noiseText(level, scale) : String(level));
  return r === g && g === b ? text(r) : `R ${text(r)}  G ${text(g)}  B ${text(b)}`;
}

/** Give a canvas as many pixels as the screen shows; returns its pixels for one CSS pixel. */
export function sized(canvas, width, height) {
  const ratio = Math.min(window.devicePixelRatio || 1, 3);
  const w = Math.max(1, Math.round(width * ratio));
  const h = Math.max(1, Math.round(height * ratio));
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  return ratio;
}

/** Draw a whole picture into a canvas: smooth where it shrinks, in clear pixels where it grows. */
export function drawWhole(canvas, picture) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  if (!picture) return;
  context.imageSmoothingEnabled = canvas.width < 2 * picture.width;
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
}

/** Draw the surroundings of a pixel, `zoom` CSS pixels for each of its own, the pixel in the middle. */
export function drawGlass(canvas, picture, { y, x }, zoom, ratio) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  const cell = Math.max(1, Math.round(zoom * ratio));
  const reach = Math.ceil(canvas.width / cell / 2) + 1;
  const corner = Math.round(canvas.width / 2 - cell / 2) - reach * cell;
  const left = Math.max(0, x - reach);
  const top = Math.max(0, y - reach);
  const w = Math.min(picture.width, x + reach + 1) - left;
  const h = Math.min(picture.height, y + reach + 1) - top;
  context.imageSmoothingEnabled = false;
  context.drawImage(picture, left, top, w, h,
    corner + (left - x + reach) * cell, corner + (top - y + reach) * cell, w * cell, h * cell);
  const at = corner + reach * cell;
  const line = Math.max(1, Math.round(ratio));
  context.lineWidth = line;
  context.strokeStyle = "rgb(0 0 0 / 0.75)";
  context.strokeRect(at - 1.5 * line, at - 1.5 * line, cell + 3 * line, cell + 3 * line);
  context.strokeStyle = "#fff";
  context.strokeRect(at - line / 2, at - line / 2, cell + line, cell + line);
}
