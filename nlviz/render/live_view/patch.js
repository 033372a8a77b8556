// Rows of non-local means, from the pixels: f = exp(-d / h^2), C = sum over the reachable keys,
// d = mean squared difference of two patches over their pixels and channels (Buades, Coll and
// Morel 2005). The border is mirrored without repeating the edge pixel.

import { reach, softmaxInPlace } from "./row.js";

function mirrored(index, size) {
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

/** Rows of a patch source; the same contract as embeddedRows. */
export function patchRows(spec, array) {
  const picture = array(spec.picture);
  const [t, , , channels] = picture.shape;
  const side = spec.patch;
  const margin = (side - 1) / 2;
  const padded = mirroredPicture(picture.data, picture.shape, margin);
  const line = side * channels;
  const query = new Float32Array(side * line);
  const factor = -1 / (side * line * spec.h * spec.h);
  const lse = spec.log_normaliser ? array(spec.log_normaliser).data : null;

  /** Offset in the padded picture of the top left pixel of a token's patch. */
  function corner(grid, index) {
    const [, h, w] = grid.shape;
    const a = Math.min(Math.floor(index / (h * w)), t - 1);
    const y = spec.offset + spec.step * (Math.floor(index / w) % h);
    const x = spec.offset + spec.step * (index % w);
    return ((a * padded.height + y) * padded.width + x) * channels;
  }

  function logits(out, own, index, other, from, to) {
    const pitch = padded.width * channels;
    const pixels = padded.data;
    const start = corner(own, index);
    for (let r = 0; r < side; r++) {
      for (let k = 0; k < line; k++) query[r * line + k] = pixels[start + r * pitch + k];
    }
    for (let j = from; j < to; j++) {
      let at = corner(other, j);
      let sum = 0;
      for (let r = 0, q = 0; r < side; r++, at += pitch) {
        for (let k = 0; k < line; k++, q++) {
          const difference = query[q] - pixels[at + k];
          sum += difference * difference;
        }
      }
      out[j] = sum * factor;
    }
  }

  function row(out, index, head, values) {
    const [from, to] = reach(spec.support, spec.queries, index, spec.keys);
    out.fill(0);
    logits(out, spec.queries, index, spec.keys, from, to);
    return { from, to, logC: values === "logits" ? NaN : softmaxInPlace(out, from, to) };
  }

  function column(out, key, head, values) {
    const [from, to] = reach(spec.support, spec.keys, key, spec.queries);
    out.fill(0);
    logits(out, spec.keys, key, spec.queries, from, to);
    if (values !== "logits") {
      for (let i = from; i < to; i++) out[i] = Math.exp(out[i] - lse[i]);
    }
    return { from, to, logC: NaN };
  }

  return { row, column: lse ? column : null };
}
