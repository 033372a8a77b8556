// Rows of patches, from the pixels:
//   d = mean over patch and channels of the squared difference of two patches
//   f = exp(-max(d - 2 sigma^2, 0) / h^2) exp(-|i - j|^2 / (2 spatial^2)),  C = sum over the keys
// Non-local means (Buades, Coll and Morel 2005), and with single pixels and `spatial` the bilateral
// filter. Borders are mirrored without repeating the edge pixel; in a window, what mirrored keys
// weigh is given to the pixels that they mirror.

import { softmaxInPlace } from "./normalise.js";
import { rangeOfBox, supportOf } from "./support.js";

/** The pixel that one outside the picture mirrors, the edge pixel not repeated. */
export function mirrored(index, size) {
  if (size === 1) return 0;
  const period = 2 * (size - 1);
  const folded = ((index % period) + period) % period;
  return folded < size ? folded : period - folded;
}

/** The picture (T, H, W, C) with a mirrored border of `margin` pixels around every frame. */
export function mirroredPicture(data, [t, h, w, c], margin) {
  const height = h + 2 * margin;
  const width = w + 2 * margin;
  const out = new Float32Array(t * height * width * c);
  let at = 0;
  for (let a = 0; a < t; a++) {
    for (let y = -margin; y < h + margin; y++) {
      const line = (a * h + mirrored(y, h)) * w;
      for (let x = -margin; x < w + margin; x++) {
        const from = (line + mirrored(x, w)) * c;
        for (let n = 0; n < c; n++) out[at++] = data[from + n];
      }
    }
  }
  return { data: out, height, width };
}

/** Rows of a patch source; the same contract as embeddedRows, and as windowRows where it has a window. */
export function patchRows(spec, array) {
  const picture = array(spec.picture);
  const [t, h, w, channels] = picture.shape;
  const support = supportOf(spec);
  const side = spec.patch;
  // How far a window reaches; without one, every pixel is compared with every other.
  const { local, rows: farRows = 0, columns: farColumns = 0 } = support;
  const room = Math.max(farRows, farColumns);
  const margin = (side - 1) / 2 + room;
  const padded = mirroredPicture(picture.data, picture.shape, margin);
  const pitch = padded.width * channels;
  const line = side * channels;
  const query = new Float32Array(side * line);
  const shares = sharesOf(spec.shares ? array(spec.shares).data : null, side, channels);
  const bias = spec.noise_bias ?? 0;
  // No h stands for an infinite one: all patches count alike.
  const strength = spec.h ? -1 / (spec.h * spec.h) : 0;
  const decay = spec.spatial ? -1 / (2 * spec.spatial * spec.spatial) : 0;
  const lse = spec.log_normaliser ? array(spec.log_normaliser).data : null;

  /** Offset in the padded picture of the top left pixel of the patch around a pixel. */
  const corner = (a, y, x) => ((a * padded.height + y + room) * padded.width + x + room) * channels;

  function pixelOf(grid, index) {
    const [, rows, columns] = grid.shape;
    return [
      Math.min(Math.floor(index / (rows * columns)), t - 1),
      spec.offset + spec.step * (Math.floor(index / columns) % rows),
      spec.offset + spec.step * (index % columns),
    ];
  }

  function take(at) {
    for (let r = 0; r < side; r++) {
      for (let k = 0; k < line; k++) query[r * line + k] = padded.data[at + r * pitch + k];
    }
  }

  /** Mean squared difference of the taken patch and the one that begins at an offset. */
  function distance(at) {
    const pixels = padded.data;
    let sum = 0;
    for (let r = 0, q = 0; r < side; r++, at += pitch) {
      for (let k = 0; k < line; k++, q++) {
        const difference = query[q] - pixels[at + k];
        sum += shares[q] * difference * difference;
      }
    }
    return sum;
  }

  const logF = (apart, dy, dx) => strength * Math.max(apart - bias, 0) + decay * (dy * dy + dx * dx);

  /** Logits of a token with others [from, to), which are whole lines of the grid. */
  function logits(out, own, index, other, from, to) {
    const [a, y, x] = pixelOf(own, index);
    const columns = other.shape[2];
    take(corner(a, y, x));
    for (let j = from; j < to;) {
      const [b, v, first] = pixelOf(other, j);
      let u = first;
      let at = corner(b, v, u);
      for (const end = j + columns; j < end; j++, u += spec.step, at += spec.step * channels) {
        out[j] = logF(distance(at), v - y, u - x);
      }
    }
  }

  function rowOfWindow(out, index, values, { a0, a1, b0, c0, b1, c1 }) {
    const [a, y, x] = pixelOf(spec.queries, index);
    const columns = c1 - c0;
    const plane = (b1 - b0) * columns;
    take(corner(a, y, x));
    out.fill(0);
    let total = 0;
    for (let b = a0; b < a1; b++) {
      for (let dy = -farRows; dy <= farRows; dy++) {
        const base = (b - a0) * plane + (mirrored(y + dy, h) - b0) * columns - c0;
        for (let dx = -farColumns; dx <= farColumns; dx++) {
          const f = Math.exp(logF(distance(corner(b, y + dy, x + dx)), dy, dx));
          out[base + mirrored(x + dx, w)] += f;
          total += f;
        }
      }
    }
    const to = (a1 - a0) * plane;
    const asLogits = values === "logits";
    for (let j = 0; j < to; j++) out[j] = asLogits ? Math.log(out[j]) : out[j] / total;
    return { from: 0, to, logC: asLogits ? NaN : Math.log(total), apart: 0 };
  }

  function row(out, index, _head, values, box) {
    if (local) return rowOfWindow(out, index, values, box);
    const [from, to] = rangeOfBox(support.reached(index), spec.keys);
    out.fill(0);
    logits(out, spec.queries, index, spec.keys, from, to);
    return { from, to, logC: values === "logits" ? NaN : softmaxInPlace(out, from, to), apart: 0 };
  }

  function column(out, key, _head, values) {
    const [from, to] = rangeOfBox(support.reaching(key), spec.queries);
    out.fill(0);
    logits(out, spec.keys, key, spec.queries, from, to);
    if (values !== "logits") {
      for (let i = from; i < to; i++) out[i] = Math.exp(out[i] - lse[i]);
    }
    return { from, to, logC: NaN, apart: 0 };
  }

  /** Mean squared difference of the patches around two pixels of the picture. */
  function apart([a, y, x], [b, v, u]) {
    take(corner(a, y, x));
    return distance(corner(b, v, u));
  }

  return { row, column: lse ? column : null, apart };
}

/** The share of each value of a patch in the distance; they sum to 1. */
function sharesOf(given, side, channels) {
  const count = side * side * channels;
  return Float32Array.from({ length: count }, (_, k) => (given ? given[Math.floor(k / channels)] / channels : 1 / count));
}
