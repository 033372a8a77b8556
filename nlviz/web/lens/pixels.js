// Pictures as the browser holds them, and as it draws them.

import { contextOf } from "../shared/dom.js";
import { glassCut } from "./geometry.js";

/**
 * Decode every picture and its method noise into canvases whose pixels can be read.
 * @param {Container} container
 * @param {LensHead} lens
 * @returns {Promise<LensItem[]>}
 */
export async function decodeAll(container, lens) {
  const decode = async (section) => {
    if (section === null) return null;
    const blob = new Blob([container.array(section).data], { type: "image/png" });
    // Pixels stay as they were written: no colour profile of the screen is applied.
    const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" });
    const canvas = document.createElement("canvas");
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
    contextOf(canvas, { willReadFrequently: true }).drawImage(bitmap, 0, 0);
    bitmap.close();
    return canvas;
  };
  return Promise.all(lens.pictures.map(async (entry) => {
    const [picture, noise] = await Promise.all([decode(entry.picture), decode(entry.noise)]);
    return { ...entry, picture, noise };
  }));
}

/** The canvas that is shown of a picture, or null where it has no method noise. */
export const shownOf = (item, show) => (show === "noise" ? item.noise : item.picture);

export function pixelAt(canvas, { y, x }) {
  const { data } = contextOf(canvas).getImageData(x, y, 1, 1);
  return [data[0], data[1], data[2]];
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
  const context = contextOf(canvas);
  context.clearRect(0, 0, canvas.width, canvas.height);
  if (!picture) return;
  context.imageSmoothingEnabled = canvas.width < 2 * picture.width;
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
}

/** Draw the surroundings of a pixel, `zoom` CSS pixels for each of its own, the pixel in the middle. */
export function drawGlass(canvas, picture, point, zoom, ratio) {
  const context = contextOf(canvas);
  context.clearRect(0, 0, canvas.width, canvas.height);
  const cell = Math.max(1, Math.round(zoom * ratio));
  const { left, top, width, height, toX, toY, middle: at } = glassCut(point, picture, canvas.width, cell);
  context.imageSmoothingEnabled = false;
  context.drawImage(picture, left, top, width, height, toX, toY, width * cell, height * cell);
  const line = Math.max(1, Math.round(ratio));
  context.lineWidth = line;
  context.strokeStyle = "rgb(0 0 0 / 0.75)";
  context.strokeRect(at - 1.5 * line, at - 1.5 * line, cell + 3 * line, cell + 3 * line);
  context.strokeStyle = "#fff";
  context.strokeRect(at - line / 2, at - line / 2, cell + line, cell + line);
}
