// Below the picture, where pixels are averaged: the query's window as it is, what each pixel in it
// counts, the patches that match best, and the weighted mean y = sum_j f g / C as it comes about.

import { drawMeans } from "./curve.js";
import { element, setText } from "../../shared/dom.js";
import { clipFrame, gridBox, nearestToken, tokenCentre } from "../pure/grid.js";
import { mirrored } from "../pure/patch_rows.js";
import { runningMean } from "../pure/running_mean.js";
import { outlinePixels, paintSquare, squareCanvas } from "./squares.js";
import { numberText, weightText } from "../pure/words.js";

const SIDE = 216; // CSS pixels of the two squares
const MATCH_SIDE = 54;
const MATCHES = 5;
const AROUND = 20; // pixels to each side of the query where it reaches the whole picture
const PLAY_FOR = 2400; // milliseconds
const CURVE = { width: 300, height: 118 };
const QUERY = "#3fe0ff";
const MATCH = "#ffd23f";

/**
 * Build the panel.
 * @param {object} head the header; its `pixels` say which section is summed, and what white is
 * @param {{sequential: Uint8Array}} lut colours of weights, (256, 4) RGBA
 */
export function createCloseup(head, array, lut, engine, signal) {
  const { clip, pixels } = head;
  const noisy = array(pixels.section);
  const clean = pixels.clean ? array(pixels.clean) : null;
  const [, height, width, channels] = noisy.shape;
  const seen = squareCanvas(SIDE, "the noisy pixels that are averaged");
  const counts = squareCanvas(SIDE, "the weight of each of these pixels");
  const seenText = element("figcaption");
  const countsText = element("figcaption");
  const own = squareCanvas(MATCH_SIDE, "the query's patch");
  const matches = Array.from({ length: MATCHES }, (_, n) => {
    const canvas = squareCanvas(MATCH_SIDE, `patch number ${n + 1}`);
    const weight = element("b");
    const apart = element("span");
    return { canvas, weight, apart, node: element("li", {}, canvas, weight, apart) };
  });
  const list = element("ol", { class: "nlv-matches" },
    element("li", {}, own, element("b", { text: "query" }), element("span", { text: "its patch" })), ...matches.map((m) => m.node));
  const noise = pixels.sigma > 0 ? ` Noise alone makes two equal patches differ by about ${numberText(Math.SQRT2 * pixels.sigma)}.` : "";
  const matchesText = element("p", {
    class: "nlv-legend",
    text: `Weight, and root mean square difference from the query's patch.${noise}`,
  });
  const curve = element("canvas", { width: 2 * CURVE.width, height: 2 * CURVE.height, class: "nlv-curve", role: "img", "aria-label": "weighted mean as pixels are added in order of their weight",
    "data-tip": "From left to right: the weighted mean of 1, 2, 3 and more pixels, the strongest first. Dashed: the clean picture" });
  const from = element("span", { class: "nlv-swatch" });
  const to = element("span", { class: "nlv-swatch" });
  const truth = element("span", { class: "nlv-swatch" });
  const fromText = element("span");
  const toText = element("output");
  const truthText = element("span");
  const truthBox = element("span", { class: "nlv-value", hidden: clean === null }, truth, truthText);
  const play = element("button", { type: "button", class: "nlv-button nlv-sum", text: "▶ Add them up" });
  const values = element("div", { class: "nlv-values" },
    element("span", { class: "nlv-value" }, from, fromText), element("span", { class: "nlv-op", text: "→" }),
    element("span", { class: "nlv-value" }, to, toText), truthBox, play);
  const patches = element("div", { class: "nlv-closeup-part nlv-closeup-patches" }, element("h4", { text: "Patches that match best" }), list, matchesText);
  const why = element("p", { class: "nlv-legend" });
  const sum = element("div", { class: "nlv-closeup-part nlv-closeup-sum" }, element("h4", { text: "The weighted mean, pixel by pixel" }), curve, values, why);
  const other = element("p", { class: "nlv-closeup-other", hidden: true, text: "This choice averages features inside a network, not pixels: the weights above are where it looks. Its picture is among the results." });
  const panel = element("section", { class: "nlv-closeup", "aria-label": "The query from close up" },
    element("figure", { class: "nlv-closeup-part" }, element("h4", { text: "What lies around it" }), seen, seenText),
    element("figure", { class: "nlv-closeup-part" }, element("h4", { text: "What each counts" }), counts, countsText),
    patches, sum, other);
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  let shown = null;
  let sums = null;
  let started = 0;
  let frameRequest = 0;
  let due = false;

  play.addEventListener("click", () => start(), { signal });
  signal.addEventListener("abort", () => cancelAnimationFrame(frameRequest));

  const level = (value) => Math.min(255, Math.max(0, Math.round((255 * value) / pixels.white)));

  function valueAt({ data }, frame, y, x) {
    const at = ((frame * height + y) * width + x) * channels;
    return Array.from({ length: channels }, (_, n) => data[at + n]);
  }

  const colourOf = (value) => (value.length === 1 ? [value[0], value[0], value[0]] : value).map(level);
  const cssOf = (value) => `rgb(${colourOf(value).join(" ")})`;
  const textOf = (value) => value.map((v) => v.toFixed(pixels.white > 2 ? 1 : 3)).join(" ");
  const pixelOf = ({ frame, y, x }) => ({
    frame: Math.min(Math.max(Math.round(frame), 0), clip.frames - 1),
    y: Math.min(Math.max(Math.round(y), 0), height - 1),
    x: Math.min(Math.max(Math.round(x), 0), width - 1),
  });

  /** The part of the picture that both squares show, in pixels; square, mirrored nowhere. */
  function regionOf(result, query) {
    if (!result.box) {
      return { top: query.y - AROUND, left: query.x - AROUND, side: 2 * AROUND + 1 };
    }
    const box = gridBox(result.grid, clip);
    const rows = Math.round(box.height * height);
    const columns = Math.round(box.width * width);
    const side = Math.max(rows, columns);
    const top = Math.round(box.top * height) - Math.floor((side - rows) / 2);
    const left = Math.round(box.left * width) - Math.floor((side - columns) / 2);
    return { top, left, side };
  }

  function drawSeen(count) {
    const { result, query, region } = shown;
    const used = count < sums.means.length ? new Set(sums.order.subarray(0, count)) : null;
    const context = paintSquare(seen, region, noisy.shape, (y, x) => {
      const colour = colourOf(valueAt(noisy, query.frame, y, x));
      if (!used) return colour;
      return used.has(nearestToken(result.grid, { frame: query.frame, y, x })) ? colour : [...colour, 70];
    });
    if (shown.patch > 1) outlinePixels(context, region, query, (shown.patch - 1) / 2, QUERY);
    else outlinePixels(context, region, query, 0, QUERY);
    if (used) return;
    shown.best.forEach((pixel, n) => {
      if (pixel.frame === query.frame) outlinePixels(context, region, pixel, 0, MATCH, String(n + 1));
    });
  }

  function drawCounts() {
    const { result, query, region } = shown;
    const { lo, hi } = result.scale;
    const context = paintSquare(counts, region, noisy.shape, (y, x) => {
      const value = result.values[nearestToken(result.grid, { frame: query.frame, y, x })];
      const at = 4 * Math.min(255, Math.max(0, Math.round((255 * (value - lo)) / (hi - lo))));
      return lut.sequential.subarray(at, at + 3);
    });
    outlinePixels(context, region, query, 0, QUERY);
  }

  function drawMatches() {
    const { query, rows, patch, best, result } = shown;
    const half = (patch - 1) / 2;
    // Beyond the border lies what the distance sees there: mirrored pixels.
    const thumb = (canvas, { frame, y, x }) => paintSquare(
      canvas, { top: y - half, left: x - half, side: patch }, null,
      (v, u) => colourOf(valueAt(noisy, frame, mirrored(v, height), mirrored(u, width))));
    thumb(own, query);
    matches.forEach((match, n) => {
      match.node.hidden = n >= best.length;
      if (match.node.hidden) return;
      const there = best[n];
      thumb(match.canvas, there);
      const apart = rows.apart([query.frame, query.y, query.x], [there.frame, there.y, there.x]);
      setText(match.weight, weightText(result.values[there.index]));
      setText(match.apart, `± ${numberText(Math.sqrt(apart))}`);
    });
  }

  /** Show the sum with the first so many pixels in it. */
  function drawSum(count) {
    const whole = count >= sums.means.length;
    const { frame, y, x } = shown.query;
    const before = valueAt(noisy, frame, y, x);
    const now = sums.means[count - 1];
    from.style.background = cssOf(before);
    to.style.background = cssOf(now);
    setText(fromText, `noisy ${textOf(before)}`);
    const added = whole ? sums.count : count;
    const many = `${added} ${added === 1 ? "pixel" : "pixels"}`;
    setText(toText, whole ? `mean of ${many} ${textOf(now)}` : `${many}, ${weightText(sums.shares[count - 1])}: ${textOf(now)}`);
    const wanted = clean ? valueAt(clean, frame, y, x) : [];
    if (clean) {
      truth.style.background = cssOf(wanted);
      setText(truthText, `clean ${textOf(wanted)}`);
    }
    drawMeans(curve, sums.means, count, wanted, pixels.white / 64);
    drawSeen(count);
  }

  function step(now) {
    started ||= now;
    const part = Math.min(1, (now - started) / PLAY_FOR);
    // Slowly at first: the strongest few matter most.
    const steps = sums.means.length;
    drawSum(part < 1 ? Math.min(Math.round(steps ** part), steps) : steps);
    panel.dataset.playing = String(part < 1);
    frameRequest = part < 1 ? requestAnimationFrame(step) : 0;
  }

  /** Let the sum run, from the query's own pixel to the whole window. */
  function start() {
    if (!shown?.pixelwise) return;
    cancelAnimationFrame(frameRequest);
    started = 0;
    if (still.matches) drawSum(sums.means.length);
    else frameRequest = requestAnimationFrame(step);
  }

  /** A query was pinned: its sum runs once it is shown. */
  function pinned() {
    due = true;
  }

  /** Show another row; `moving` while the pointer does. */
  function update(result, place, moving) {
    cancelAnimationFrame(frameRequest);
    panel.dataset.playing = "false";
    const query = pixelOf(place);
    const { spec } = result;
    const pixelwise = spec.kind === "patch" && !result.logits && !result.column && result.leftOut === "nothing";
    const best = Array.from(result.order.subarray(0, Math.min(MATCHES, result.found)), (index) => ({
      index, ...pixelOf({ ...tokenCentre(result.grid, index), frame: clipFrame(result.grid, index, clip.frames) }),
    }));
    shown = {
      result, query, best: pixelwise ? best : [], pixelwise, patch: spec.kind === "patch" ? spec.patch : 1,
      rows: engine.source(spec.key).rows, region: regionOf(result, query),
    };
    sums = pixelwise ? runningMean(result, noisy) : { order: [], means: [], shares: [], count: 0 };
    patches.hidden = !pixelwise || shown.patch === 1;
    sum.hidden = !pixelwise;
    other.hidden = spec.kind === "patch";
    const unit = result.grid.stride[1] > 1 ? "cells" : "pixels";
    setText(seenText, result.box ? `The ${shown.region.side} × ${shown.region.side} pixels that it may look at, with their noise.` : "The noisy pixels near it; it may look at the whole picture.");
    setText(countsText, result.logits ? "The logits, before C(x)."
      : `Strongest ${weightText(Math.max(result.most, result.ownShare))} of ${result.count} ${unit}${result.half ? `; half of the weight lies on ${result.half}` : ""}.`);
    drawCounts();
    if (pixelwise) {
      const falls = pixels.sigma > 0 ? `: with these weights from ${numberText(pixels.sigma)} to about ${numberText(pixels.sigma * sums.noise)}` : "";
      setText(why, `Noise differs from pixel to pixel and averages out${falls}. What the pixels share stays; where they differ in more than noise, the mean blurs it.`);
      if (!patches.hidden) drawMatches();
      drawSum(sums.means.length);
    } else {
      drawSeen(0);
    }
    if (due && !moving) start();
    due = false;
    panel.dataset.output = pixelwise ? sums.means[sums.means.length - 1].map((v) => v.toFixed(4)).join(" ") : "";
  }

  return { element: panel, update, pinned };
}
