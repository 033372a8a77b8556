// The pictures of a lens: canvases to draw from, and the numbers of the arrays to read out.

function canvasOf({ data, shape: [height, width, channels = 1] }) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  // Four bytes at a time: red lies in the lowest byte on every machine that browsers run on.
  for (let i = 0, at = 0; i < pixels.length; i++, at += channels) {
    const red = data[at];
    const green = channels === 3 ? data[at + 1] : red;
    const blue = channels === 3 ? data[at + 2] : red;
    pixels[i] = (255 << 24) | (blue << 16) | (green << 8) | red;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/**
 * Read the pictures of a container.
 * @returns {{key, label, caption, best, picture: HTMLCanvasElement, noise: HTMLCanvasElement|null,
 *   values: function(y, x): number[]}[]} values gives the grey level, or red, green and blue
 */
export function lensPictures({ head, array }) {
  const { pictures, width } = head.lens;
  const has = new Set(head.sections.map((section) => section.name));
  return pictures.map((one, index) => {
    const raw = array(`${index}.picture`);
    const channels = raw.shape[2] ?? 1;
    return {
      ...one,
      picture: canvasOf(raw),
      noise: has.has(`${index}.noise`) ? canvasOf(array(`${index}.noise`)) : null,
      values: (y, x) => Array.from(raw.data.subarray((y * width + x) * channels, (y * width + x + 1) * channels)),
    };
  });
}
