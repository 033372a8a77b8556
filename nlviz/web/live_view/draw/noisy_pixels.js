// The pixels that a denoiser averages, as colours and as numbers.

const AROUND = 20; // pixels to each side of the query where it reaches the whole picture

/**
 * Read the pixels of a picture or clip.
 * @param {Section} noisy (frames, height, width, channels)
 * @param {Clip} clip
 * @param {Pixels} pixels
 */
export function noisyPixels(noisy, clip, pixels) {
  const [, height, width, channels] = noisy.shape;
  const level = (value) => Math.min(255, Math.max(0, Math.round((255 * value) / pixels.white)));

  function valueAt({ data }, frame, y, x) {
    const at = ((frame * height + y) * width + x) * channels;
    return Array.from({ length: channels }, (_, n) => data[at + n]);
  }

  const colourOf = (value) => (value.length === 1 ? [value[0], value[0], value[0]] : value).map(level);
  const cssOf = (value) => `rgb(${colourOf(value).join(" ")})`;
  const textOf = (value) => value.map((v) => v.toFixed(pixels.white > 2 ? 1 : 3)).join(" ");
  const nearest = ({ frame, y, x }) => ({
    frame: Math.min(Math.max(Math.round(frame), 0), clip.frames - 1),
    y: Math.min(Math.max(Math.round(y), 0), height - 1),
    x: Math.min(Math.max(Math.round(x), 0), width - 1),
  });

  return { height, width, valueAt, colourOf, cssOf, textOf, nearest };
}

/**
 * The part of the picture that the squares show, in pixels: square, and beyond the border where the
 * query's window is.
 * @param {{left: number, top: number, width: number, height: number}|null} reach of the query, in
 *   fractions of the picture; null where it reaches everything
 */
export function regionOf(reach, query, { height, width }) {
  if (!reach) return { top: query.y - AROUND, left: query.x - AROUND, side: 2 * AROUND + 1 };
  const rows = Math.round(reach.height * height);
  const columns = Math.round(reach.width * width);
  const side = Math.max(rows, columns);
  const top = Math.round(reach.top * height) - Math.floor((side - rows) / 2);
  const left = Math.round(reach.left * width) - Math.floor((side - columns) / 2);
  return { top, left, side };
}
