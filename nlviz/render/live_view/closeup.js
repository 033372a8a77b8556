// Below the picture, where pixels are averaged: the query's window as it is, what each pixel in it
// counts, the patches that match best, and the weighted mean y = sum_j f g / C as it comes about.

import { element, setText } from "./dom.js";
import { clipFrame, gridBox, nearestToken, tokenCentre } from "./grid.js";
import { numberText, weightText } from "./words.js";

const SIDE = 216; // CSS pixels of the two squares
const MATCH_SIDE = 54;
const MATCHES = 5;
const AROUND = 20; // pixels to each side of the query where it reaches the whole picture
const PLAY_FOR = 2400; // milliseconds
const CURVE = { width: 300, height: 118, points: 160 };
const QUERY = "#3fe0ff";
const MATCH = "#ffd23f";
const CHANNELS = ["#e5484d", "#30a46c", "#3e8cff"];

function square(side, label) {
  const canvas = element("canvas", { width: 2 * side, height: 2 * side, role: "img", "aria-label": label });
  canvas.style.aspectRatio = "1";
  return canvas;
}

/**
 * Build the panel.
 * @param {object} head the header; its `pixels` say which section is summed, and what white is
 * @param {{sequential: Uint8Array}} lut colours of weights
 */
export function createCloseup(head, array, lut, engine, signal) {
  const { clip, pixels } = head;
  const noisy = array(pixels.section);
  const clean = pixels.clean ? array(pixels.clean) : null;
  const [, height, width, channels] = noisy.shape;
  const seen = square(SIDE, "the noisy pixels that are averaged");
  const counts = square(SIDE, "the weight of each of these pixels");
  const seenText = element("figcaption");
  const countsText = element("figcaption");
  const own = square(MATCH_SIDE, "the query's patch");
  const matches = Array.from({ length: MATCHES }, (_, n) => {
    const canvas = square(MATCH_SIDE, `patch number ${n + 1}`);
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
  const sum = element("div", { class: "nlv-closeup-part nlv-closeup-sum" }, element("h4", { text: "The weighted mean, pixel by pixel" }), curve, values);
  const other = element("p", { class: "nlv-closeup-other", hidden: true, text: "This choice averages features inside a network, not pixels: the weights above are where it looks. Its picture is among the results." });
  const panel = element("section", { class: "nlv-closeup", "aria-label": "The query from close up" },
    element("figure", { class: "nlv-closeup-part" }, element("h4", { text: "What lies around it" }), seen, seenText),
    element("figure", { class: "nlv-closeup-part" }, element("h4", { text: "What each pixel counts" }), counts, countsText),
    patches, sum, other);
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  let shown = null;
  let sums = null;
  let started = 0;
  let frameRequest = 0;

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

  /** Paint a square of so many pixels, each by a function of its place; none outside the picture. */
  function paint(canvas, { top, left, side }, colour) {
    const image = new ImageData(side, side);
    for (let r = 0, at = 0; r < side; r++) {
      for (let c = 0; c < side; c++, at += 4) {
        const y = top + r;
        const x = left + c;
        if (y < 0 || x < 0 || y >= height || x >= width) continue;
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

  function outline(context, region, pixel, half, colour, text = "") {
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

  /** Keys in order of weight, with the weighted mean of those up to each. */
  function runningMean(result) {
    const order = Uint32Array.from({ length: result.to - result.from }, (_, n) => result.from + n)
      .filter((index) => result.values[index] > 0)
      .sort((a, b) => result.values[b] - result.values[a]);
    const means = [];
    const shares = new Float64Array(order.length);
    const total = new Float64Array(channels);
    let weight = 0;
    order.forEach((index, n) => {
      const pixel = pixelOf({ ...tokenCentre(result.grid, index), frame: clipFrame(result.grid, index, clip.frames) });
      const w = result.values[index];
      weight += w;
      valueAt(noisy, pixel.frame, pixel.y, pixel.x).forEach((v, c) => { total[c] += w * v; });
      shares[n] = weight;
      means.push(Array.from(total, (v) => v / weight));
    });
    return { order, means, shares };
  }

  function drawSeen(count) {
    const { result, query, region } = shown;
    const used = count < sums.order.length ? new Set(sums.order.subarray(0, count)) : null;
    const context = paint(seen, region, (y, x) => {
      const colour = colourOf(valueAt(noisy, query.frame, y, x));
      if (!used) return colour;
      return used.has(nearestToken(result.grid, { frame: query.frame, y, x })) ? colour : [...colour, 70];
    });
    if (shown.patch > 1) outline(context, region, query, (shown.patch - 1) / 2, QUERY);
    else outline(context, region, query, 0, QUERY);
    if (used) return;
    shown.best.forEach((pixel, n) => {
      if (pixel.frame === query.frame) outline(context, region, pixel, 0, MATCH, String(n + 1));
    });
  }

  function drawCounts() {
    const { result, query, region } = shown;
    const { lo, hi } = result.scale;
    const context = paint(counts, region, (y, x) => {
      const value = result.values[nearestToken(result.grid, { frame: query.frame, y, x })];
      const at = 3 * Math.min(255, Math.max(0, Math.round((255 * (value - lo)) / (hi - lo))));
      return lut.sequential.subarray(at, at + 3);
    });
    outline(context, region, query, 0, QUERY);
  }

  function drawMatches() {
    const { query, rows, patch, best, result } = shown;
    const half = (patch - 1) / 2;
    const thumb = (canvas, { frame, y, x }) => paint(
      canvas, { top: y - half, left: x - half, side: patch }, (v, u) => colourOf(valueAt(noisy, frame, v, u)));
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

  function drawCurve(count) {
    const context = curve.getContext("2d");
    const { width: w, height: h } = curve;
    const style = getComputedStyle(panel);
    const pad = 14;
    const finals = sums.means[sums.means.length - 1];
    const wanted = clean ? valueAt(clean, shown.query.frame, shown.query.y, shown.query.x) : [];
    let low = Math.min(...finals, ...wanted);
    let high = Math.max(...finals, ...wanted);
    for (const mean of sums.means) {
      low = Math.min(low, ...mean);
      high = Math.max(high, ...mean);
    }
    const least = pixels.white / 64;
    const middle = (low + high) / 2;
    const reach = Math.max(high - low, least) / 2;
    // The strongest few matter most, so that counts are spread by their logarithm.
    const across = (n) => pad + (w - 2 * pad) * (Math.log(n) / Math.log(Math.max(2, sums.order.length)));
    const down = (value) => h / 2 - ((value - middle) / reach) * (h / 2 - pad);
    context.clearRect(0, 0, w, h);
    context.lineWidth = 2;
    context.strokeStyle = style.getPropertyValue("--line") || "#888";
    context.strokeRect(1, 1, w - 2, h - 2);
    const grey = style.color;
    wanted.forEach((value, c) => {
      context.setLineDash([8, 7]);
      context.strokeStyle = channels === 1 ? grey : CHANNELS[c];
      context.globalAlpha = 0.55;
      line(context, [[pad, down(value)], [w - pad, down(value)]]);
    });
    context.setLineDash([]);
    context.globalAlpha = 1;
    for (let c = 0; c < channels; c++) {
      context.strokeStyle = channels === 1 ? grey : CHANNELS[c];
      context.lineWidth = 4;
      const points = [];
      for (let n = 1; n < count; n += Math.ceil(n / CURVE.points)) points.push([across(n), down(sums.means[n - 1][c])]);
      points.push([across(count), down(sums.means[count - 1][c])]);
      line(context, points);
      context.beginPath();
      context.arc(...points[points.length - 1], 7, 0, 2 * Math.PI);
      context.fillStyle = context.strokeStyle;
      context.fill();
    }
  }

  function line(context, points) {
    context.beginPath();
    points.forEach(([x, y], n) => (n ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.stroke();
  }

  /** Show the sum with the first so many pixels in it. */
  function drawSum(count) {
    const whole = count >= sums.order.length;
    const { frame, y, x } = shown.query;
    const before = valueAt(noisy, frame, y, x);
    const now = sums.means[count - 1];
    from.style.background = cssOf(before);
    to.style.background = cssOf(now);
    setText(fromText, `noisy ${textOf(before)}`);
    const many = `${count} ${count === 1 ? "pixel" : "pixels"}`;
    setText(toText, whole ? `mean of ${many} ${textOf(now)}` : `${many}, ${weightText(sums.shares[count - 1])}: ${textOf(now)}`);
    if (clean) {
      const value = valueAt(clean, frame, y, x);
      truth.style.background = cssOf(value);
      setText(truthText, `clean ${textOf(value)}`);
    }
    drawCurve(count);
    drawSeen(count);
  }

  function step(now) {
    started ||= now;
    const part = Math.min(1, (now - started) / PLAY_FOR);
    // Slowly at first: the strongest few matter most.
    const count = Math.max(1, Math.round(sums.order.length ** part));
    drawSum(part < 1 ? Math.min(count, sums.order.length) : sums.order.length);
    panel.dataset.playing = String(part < 1);
    frameRequest = part < 1 ? requestAnimationFrame(step) : 0;
  }

  /** Let the sum run, from the query's own pixel to the whole window. */
  function start() {
    if (!shown?.pixelwise) return;
    cancelAnimationFrame(frameRequest);
    started = 0;
    if (still.matches) drawSum(sums.order.length);
    else frameRequest = requestAnimationFrame(step);
  }

  /** Show another row, still. */
  function update(result, place) {
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
    sums = pixelwise ? runningMean(result) : { order: new Uint32Array(0), means: [], shares: [] };
    patches.hidden = !pixelwise || shown.patch === 1;
    sum.hidden = !pixelwise;
    other.hidden = spec.kind === "patch";
    const unit = result.grid.stride[1] > 1 ? "cells" : "pixels";
    setText(seenText, result.box ? `The ${shown.region.side} × ${shown.region.side} pixels that it may look at, with their noise.` : "The noisy pixels near it; it may look at the whole picture.");
    setText(countsText, result.logits ? "The logits, before C(x)."
      : `Strongest ${weightText(Math.max(result.most, result.ownShare))}; half of the weight lies on ${result.half || "few"} of ${result.count} ${unit}.`);
    drawCounts();
    if (pixelwise) {
      if (!patches.hidden) drawMatches();
      drawSum(sums.order.length);
    } else {
      drawSeen(0);
    }
    panel.dataset.output = pixelwise ? sums.means[sums.means.length - 1].map((v) => v.toFixed(4)).join(" ") : "";
  }

  return { element: panel, update, start };
}
