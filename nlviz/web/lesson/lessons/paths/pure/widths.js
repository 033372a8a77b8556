// How wide a field is: the smallest square around its middle that holds a share of the whole.

/**
 * Sums over rings around the middle: entry r is what lies r cells from it, rows or columns, whichever is more.
 * @param {ArrayLike<number>} field (side x side), side odd
 * @param {number} side
 */
export function pathsRings(field, side) {
  const middle = (side - 1) / 2;
  const rings = new Float64Array(middle + 1);
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      rings[Math.max(Math.abs(row - middle), Math.abs(column - middle))] += field[row * side + column];
    }
  }
  return rings;
}

/**
 * Side of the smallest square around the middle that holds a share, in cells; its edge may cut a ring, which is
 * taken for even.
 * @param {ArrayLike<number>} field (side x side), none negative
 * @param {number} side
 * @param {number} [share] in (0, 1)
 */
export function pathsWidth(field, side, share = 0.95) {
  const rings = pathsRings(field, side);
  let total = 0;
  for (const ring of rings) total += ring;
  let held = 0;
  for (let r = 0; r < rings.length; r++) {
    if (held + rings[r] >= share * total) return r === 0 ? 1 : 2 * (r - 1 + (share * total - held) / rings[r]) + 1;
    held += rings[r];
  }
  return side;
}

/**
 * What a map holds outside a box of cells of its first frame; other frames lie outside.
 * @param {ArrayLike<number>} map (frames x rows x columns)
 * @param {number[]} shape
 * @param {{rows: number[], columns: number[]}} box first and last row and column
 */
export function pathsOutside(map, [frames, rows, columns], box) {
  let total = 0;
  let inside = 0;
  for (let n = 0; n < frames * rows * columns; n++) {
    total += map[n];
    const row = Math.floor(n / columns) % rows;
    const column = n % columns;
    const within = n < rows * columns && row >= box.rows[0] && row <= box.rows[1] && column >= box.columns[0] && column <= box.columns[1];
    if (within) inside += map[n];
  }
  return total > 0 ? Math.max(0, total - inside) / total : 0;
}
