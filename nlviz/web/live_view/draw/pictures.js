// The frames of the clip, as they are and as they look below a map.

import { contextOf, element } from "../../shared/dom.js";
import { toGround } from "../pure/colour.js";

/**
 * Decode the JPEG of every frame.
 * @param {Container} container
 * @returns {Promise<Pictures>} by frame
 */
export async function decodePictures(container) {
  const { pictures, colours } = container.head;
  if (pictures.kind === "text") return [];
  return Promise.all(pictures.sections.map(async (name) => {
    const blob = new Blob([container.array(name).data], { type: "image/jpeg" });
    const colour = await createImageBitmap(blob, { colorSpaceConversion: "none" });
    return { colour, ground: await grounded(colour, colours.ground) };
  }));
}

function grounded(picture, ground) {
  const canvas = element("canvas", { width: picture.width, height: picture.height });
  const context = contextOf(canvas, { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  const image = context.getImageData(0, 0, picture.width, picture.height);
  toGround(image.data, ground);
  return createImageBitmap(image);
}
