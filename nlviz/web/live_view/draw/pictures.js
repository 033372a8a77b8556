// The frames of the clip, as they are and as they look below a map.

import { toGround } from "../pure/colour.js";

/**
 * Decode the JPEG of every frame.
 * @returns {Promise<{colour: ImageBitmap, ground: ImageBitmap}[]>} by frame
 */
export async function decodePictures(container) {
  const { pictures, colours } = container.head;
  return Promise.all(pictures.sections.map(async (name) => {
    const blob = new Blob([container.array(name).data], { type: "image/jpeg" });
    const colour = await createImageBitmap(blob, { colorSpaceConversion: "none" });
    return { colour, ground: await grounded(colour, colours.ground) };
  }));
}

function grounded(picture, ground) {
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  const image = context.getImageData(0, 0, picture.width, picture.height);
  toGround(image.data, ground);
  return createImageBitmap(image);
}
