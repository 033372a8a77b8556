// Below the picture, where pixels are averaged: the query's window as it is, what each pixel in it
// counts, the patches that match best, and the weighted mean y = sum_j f g / C as it comes about.

import { say } from "../../shared/language.js";
import { setText } from "../../shared/dom.js";
import { shareOf } from "../pure/colour.js";
import { clipFrame, gridBox, nearestToken, tokenCentre } from "../pure/grid.js";
import { mirrored } from "../pure/patch_rows.js";
import { runningMean } from "../pure/running_mean.js";
import { counted, numberText, weightText } from "../pure/words.js";
import { createPanel, MATCHES } from "./closeup_panel.js";
import { drawMeans } from "./curve.js";
import { noisyPixels, regionOf } from "./noisy_pixels.js";
import { outlinePixels, paintSquare } from "./squares.js";

const PLAY_FOR = 2400; // milliseconds
const QUERY = "#3fe0ff";
const MATCH = "#ffd23f";
/** @type {Sums} */
const NO_SUMS = { order: new Int32Array(0), means: [], shares: [], count: 0, noise: NaN };

/** The two squares: the noisy pixels around the query, and the weight of each. */
function createSquares(panel, picture, noisy, lut) {
  const { seen, counts } = panel;

  /** Pixels around the query; those beyond the first `count` of the sum are faint. */
  function drawSeen({ result, query, region, patch, best }, sums, count) {
    const used = count < sums.means.length ? new Set(sums.order.subarray(0, count)) : null;
    const context = paintSquare(seen, region, noisy.shape, (y, x) => {
      const colour = picture.colourOf(picture.valueAt(noisy, query.frame, y, x));
      if (!used) return colour;
      return used.has(nearestToken(result.grid, { frame: query.frame, y, x })) ? colour : [...colour, 70];
    });
    outlinePixels(context, region, query, patch > 1 ? (patch - 1) / 2 : 0, QUERY);
    if (used) return;
    for (const [n, pixel] of best.entries()) {
      if (pixel.frame === query.frame) outlinePixels(context, region, pixel, 0, MATCH, String(n + 1));
    }
  }

  function drawCounts({ result, query, region }) {
    const context = paintSquare(counts, region, noisy.shape, (y, x) => {
      const value = result.values[nearestToken(result.grid, { frame: query.frame, y, x })];
      const at = 4 * Math.round(255 * shareOf(value, result.scale));
      return lut.sequential.subarray(at, at + 3);
    });
    outlinePixels(context, region, query, 0, QUERY);
  }

  return { drawSeen, drawCounts };
}

/** Patches: the query's, and those that match best. */
function drawMatches({ own, matches }, picture, noisy, { query, rows, patch, best, result }) {
  const half = (patch - 1) / 2;
  // Beyond the border lies what the distance sees there: mirrored pixels.
  const thumb = (canvas, { frame, y, x }) => paintSquare(
    canvas, { top: y - half, left: x - half, side: patch }, null,
    (v, u) => picture.colourOf(picture.valueAt(noisy, frame, mirrored(v, picture.height), mirrored(u, picture.width))));
  thumb(own, query);
  for (const [n, match] of matches.entries()) {
    match.node.hidden = n >= best.length;
    if (match.node.hidden) continue;
    const there = best[n];
    thumb(match.canvas, there);
    const apart = rows.apart([query.frame, query.y, query.x], [there.frame, there.y, there.x]);
    setText(match.weight, weightText(result.values[there.index]));
    setText(match.apart, `± ${numberText(Math.sqrt(apart))}`);
  }
}

/** Let a drawing run through `steps` states; slowly at first, as the strongest few matter most. */
function createRun(panel, draw) {
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  let frameRequest = 0;

  function stop() {
    cancelAnimationFrame(frameRequest);
    panel.dataset.playing = "false";
  }

  function start(steps) {
    stop();
    let started = 0;
    const step = (now) => {
      started ||= now;
      const part = Math.min(1, (now - started) / PLAY_FOR);
      draw(part < 1 ? Math.min(Math.round(steps ** part), steps) : steps);
      panel.dataset.playing = String(part < 1);
      frameRequest = part < 1 ? requestAnimationFrame(step) : 0;
    };
    if (still.matches) draw(steps);
    else frameRequest = requestAnimationFrame(step);
  }

  return { start, stop };
}

/**
 * Build the panel.
 * @param {Head} head its `pixels` say which section is summed, and what white is
 * @param {ArrayOf} array
 * @param {Lut} lut
 * @param {Engine} engine
 * @param {AbortSignal} signal
 */
export function createCloseup(head, array, lut, engine, signal) {
  const { clip } = head;
  const pixels = /** @type {Pixels} */ (head.pixels);
  const noisy = array(pixels.section);
  const clean = pixels.clean ? array(pixels.clean) : null;
  const picture = noisyPixels(noisy, clip, pixels);
  const panel = createPanel(pixels);
  const { patches, sum } = panel;
  const squares = createSquares(panel, picture, noisy, lut);
  const run = createRun(panel.node, drawSum);
  /** @type {CloseRow|null} */
  let shown = null;
  let sums = NO_SUMS;
  let due = false;

  const start = () => {
    if (shown?.pixelwise) run.start(sums.means.length);
  };
  sum.play.addEventListener("click", start, { signal });
  signal.addEventListener("abort", run.stop);

  /** Show the sum over the first `count` pixels. */
  function drawSum(count) {
    if (!shown) return;
    const whole = count >= sums.means.length;
    const { frame, y, x } = shown.query;
    const before = picture.valueAt(noisy, frame, y, x);
    const now = sums.means[count - 1];
    sum.from.swatch.style.background = picture.cssOf(before);
    sum.to.swatch.style.background = picture.cssOf(now);
    setText(sum.from.text, say("noisy {value}", { value: picture.textOf(before) }));
    const added = whole ? sums.count : count;
    const many = counted(added, "pixel");
    const value = picture.textOf(now);
    setText(sum.to.text, whole ? say("mean of {many} {value}", { many, value }) : `${many}, ${weightText(sums.shares[count - 1])}: ${value}`);
    const wanted = clean ? picture.valueAt(clean, frame, y, x) : [];
    if (clean) {
      sum.clean.swatch.style.background = picture.cssOf(wanted);
      setText(sum.clean.text, say("clean {value}", { value: picture.textOf(wanted) }));
    }
    drawMeans(sum.curve, sums.means, count, wanted, pixels.white / 64);
    squares.drawSeen(shown, sums, count);
  }

  /** A query was pinned: its sum runs once it is shown. */
  function pinned() {
    due = true;
  }

  /** Whether a row's weights are those of pixels that are summed. */
  const sumsPixels = ({ spec, logits, column, leftOut }) => spec.kind === "patch" && !logits && !column && leftOut === "nothing";

  /** The pixels that count most, by their index in the row and their place. */
  function strongestPixels(result) {
    return Array.from(result.order.subarray(0, Math.min(MATCHES, result.found)), (index) => ({
      index, ...picture.nearest({ ...tokenCentre(result.grid, index), frame: clipFrame(result.grid, index, clip.frames) }),
    }));
  }

  /**
   * Show another row.
   * @param {Result} result
   * @param {Query} place
   * @param {boolean} moving while the pointer does
   */
  function update(result, place, moving) {
    run.stop();
    const query = picture.nearest(place);
    const { spec } = result;
    const pixelwise = sumsPixels(result);
    const region = regionOf(result.box && gridBox(result.grid, clip), query, picture);
    shown = {
      result, query, region, pixelwise, best: pixelwise ? strongestPixels(result) : [],
      patch: spec.kind === "patch" ? spec.patch : 1, rows: engine.source(spec.key).rows,
    };
    sums = pixelwise ? runningMean(result, noisy) : NO_SUMS;
    patches.node.hidden = !pixelwise || shown.patch === 1;
    sum.node.hidden = !pixelwise;
    panel.other.hidden = spec.kind === "patch";
    tell(result, region);
    squares.drawCounts(shown);
    if (pixelwise) {
      if (!patches.node.hidden) drawMatches(patches, picture, noisy, shown);
      drawSum(sums.means.length);
    } else {
      squares.drawSeen(shown, sums, 0);
    }
    if (due && !moving) start();
    due = false;
    panel.node.dataset.output = pixelwise ? sums.means[sums.means.length - 1].map((v) => v.toFixed(4)).join(" ") : "";
  }

  function tell(result, region) {
    const unit = result.grid.stride[1] > 1 ? say("cells") : say("pixels");
    setText(panel.seenText, result.box ? say("The {side} × {side} pixels that it may look at, with their noise.", { side: region.side }) : say("The noisy pixels near it; it may look at the whole picture."));
    const counts = { most: weightText(Math.max(result.most, result.ownShare)), count: result.count, unit };
    setText(panel.countsText, result.logits ? say("The logits, before C(x).")
      : result.half ? say("Strongest {most} of {count} {unit}; half of the weight lies on {half}.", { ...counts, half: result.half }) : say("Strongest {most} of {count} {unit}.", counts));
    const falls = pixels.sigma > 0 ? say(": with these weights from {before} to about {after}", { before: numberText(pixels.sigma), after: numberText(pixels.sigma * sums.noise) }) : "";
    setText(sum.why, say("Noise differs from pixel to pixel and averages out{falls}. What the pixels share stays; where they differ in more than noise, the mean blurs it.", { falls }));
  }

  return { element: panel.node, update, pinned };
}
