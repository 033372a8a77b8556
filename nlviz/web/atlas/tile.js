// One head: its map over the frames, its strip of tokens, its figure.

import { say } from "../shared/language.js";
import { contextOf, element, setText } from "../shared/dom.js";
import { fitCanvas } from "../live_view/draw/marks.js";

const STRIP = 6; // CSS pixels of a strip of tokens
const WORDS = 18; // of a strip of words that is a tile
const TOKEN = 14; // that a token is wide, at most

/** A picture of levels, each a pixel. */
function imageOf(levels, height, width, words) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser gives a canvas no context to draw with");
  const image = context.createImageData(width, height);
  const out = new Uint32Array(image.data.buffer);
  for (let i = 0; i < out.length; i++) out[i] = words[levels[i]];
  context.putImageData(image, 0, 0);
  return canvas;
}

/**
 * Build the tile of a head.
 * @param {any} layer of the header
 * @param {number} number of the layer
 * @param {number} head
 * @param {string} name what stands below it
 */
export function createHeadTile(layer, number, head, name) {
  const canvas = element("canvas", { class: "nlv-atlas-map" });
  const strip = layer.apart ? element("canvas", { class: "nlv-atlas-strip" }) : null;
  const value = element("b");
  const bar = element("i");
  const track = element("span", { class: "nlv-atlas-bar" }, bar);
  const caption = element("span", { class: "nlv-atlas-caption" }, element("span", { text: name }), " ", value);
  const node = element("button", {
    type: "button", class: "nlv-atlas-tile", tabindex: "-1", "data-layer": number, "data-head": head,
  }, canvas, strip, track, caption);
  const context = contextOf(canvas);
  const below = strip && contextOf(strip);

  /** Give it its size: `side` wide, the height follows from the frames. */
  function resize(side, height) {
    const high = layer.named ? WORDS : height;
    node.style.width = `${side}px`;
    canvas.style.width = `${side}px`;
    canvas.style.height = `${high}px`;
    fitCanvas(canvas, side, high);
    if (!strip) return;
    const wide = Math.min(side, TOKEN * layer.tokens);
    strip.style.width = `${wide}px`;
    strip.style.height = `${STRIP}px`;
    fitCanvas(strip, wide, STRIP);
  }

  /**
   * Draw levels over the ground.
   * @param {Uint8Array} levels
   * @param {{height: number, width: number, ground: CanvasImageSource|null, words: Uint32Array, empty: number[]}} how
   *   empty: height and width of the corner without a frame, in pixels of the tile
   */
  function draw(levels, { height, width, ground, words, empty }) {
    const { width: w, height: h } = canvas;
    context.fillStyle = "#24272e";
    context.fillRect(0, 0, w, h);
    context.imageSmoothingEnabled = true;
    if (ground && !layer.named) context.drawImage(ground, 0, 0, w, h);
    context.imageSmoothingEnabled = false;
    context.drawImage(imageOf(levels, height, width, words), 0, 0, w, h);
    if (!layer.named && empty[0]) {
      const [high, wide] = [(empty[0] * h) / height, (empty[1] * w) / width];
      context.clearRect(w - wide, h - high, wide, high);
    }
    if (!layer.own) return;
    const [top, left, bottom, right] = layer.own;
    const [x, y] = [(left * w) / width, (top * h) / height];
    context.lineWidth = Math.max(1, w / 140);
    context.strokeStyle = "#2fd0ee";
    context.strokeRect(x, y, ((right - left) * w) / width, ((bottom - top) * h) / height);
  }

  /** Draw tokens without a place; null leaves them out. */
  function drawStrip(levels, words) {
    if (!below || !strip) return;
    below.fillStyle = "#24272e";
    below.fillRect(0, 0, strip.width, strip.height);
    below.imageSmoothingEnabled = false;
    if (levels) below.drawImage(imageOf(levels, 1, levels.length, words), 0, 0, strip.width, strip.height);
  }

  /** Say its figure, and whether it is the head on the screen. */
  function tell({ text, length, tip, pressed }) {
    setText(value, text ?? "");
    track.hidden = length === undefined;
    bar.style.width = `${100 * (length ?? 0)}%`;
    node.dataset.tip = tip;
    // What is seen comes first in what is heard.
    node.setAttribute("aria-label", say("{name}, {tip}: show it large", { name: [name, text].filter(Boolean).join(" "), tip }));
    node.setAttribute("aria-pressed", String(pressed));
  }

  return { node, number, head, resize, draw, drawStrip, tell };
}
