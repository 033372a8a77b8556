// The border of a region of cells, as straight pieces between the cells' corners.

/**
 * Pieces [x0, y0, x1, y1] in cells, where one side shows the object and the other does not.
 * @param {ArrayLike<number>} labels
 * @param {number} start of the first cell of the plane
 * @param {number} height
 * @param {number} width
 * @param {number} object
 */
export function outlineOf(labels, start, height, width, object) {
  const inside = (y, x) => y >= 0 && y < height && x >= 0 && x < width && labels[start + y * width + x] === object;
  /** @type {number[][]} */
  const pieces = [];
  for (let y = 0; y <= height; y++) {
    for (let x = 0; x <= width; x++) {
      if (x < width && inside(y - 1, x) !== inside(y, x)) pieces.push([x, y, x + 1, y]);
      if (y < height && inside(y, x - 1) !== inside(y, x)) pieces.push([x, y, x, y + 1]);
    }
  }
  return pieces;
}
