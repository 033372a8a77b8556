// Cells that a query reaches: in dense attention, through VOLO's windows, and with Focal's fine and pooled keys.

/**
 * Focal's keys (arXiv 2107.00641): cells of the query's window and of a ring around it one by one, beside averages
 * of whole windows in a square of `pooled` windows a side, centred at the query's own. What lies outside is no key.
 * @param {{cells: number, window: number, ring: number, pooled: number, query: [number, number]}} about
 * @returns {{fine: [number, number, number, number], pools: [number, number][], keys: number, reached: number}}
 *   fine: first and last row, first and last column; pools: row and column of each window that is averaged
 */
export function operatorsFocal({ cells, window: side, ring, pooled, query }) {
  const own = query.map((n) => Math.floor(n / side));
  const span = (n) => [Math.max(0, n * side - ring), Math.min(cells - 1, (n + 1) * side - 1 + ring)];
  /** @type {[number, number, number, number]} */
  const fine = [span(own[0])[0], span(own[0])[1], span(own[1])[0], span(own[1])[1]];
  const half = (pooled - 1) / 2;
  const windows = cells / side;
  /** @type {[number, number][]} */
  const pools = [];
  for (let y = Math.max(0, own[0] - half); pooled > 0 && y <= Math.min(windows - 1, own[0] + half); y++) {
    for (let x = Math.max(0, own[1] - half); x <= Math.min(windows - 1, own[1] + half); x++) pools.push([y, x]);
  }
  const seen = new Uint8Array(cells * cells);
  for (let y = fine[0]; y <= fine[1]; y++) seen.fill(1, y * cells + fine[2], y * cells + fine[3] + 1);
  for (const [py, px] of pools) {
    for (let y = py * side; y < (py + 1) * side; y++) seen.fill(1, y * cells + px * side, y * cells + (px + 1) * side);
  }
  const fineKeys = (fine[1] - fine[0] + 1) * (fine[3] - fine[2] + 1);
  return { fine, pools, keys: fineKeys + pools.length, reached: seen.reduce((sum, n) => sum + n, 0) / seen.length };
}

/** VOLO's row of a query on its own grid: (side * side) weights, and how many keys have any. */
export function operatorsOutlook(data, [y, x]) {
  const { data: rows, shape } = data.array("operators.outlook");
  const [side, , wide] = shape;
  const reach = (wide - 1) / 2;
  const row = new Float32Array(side * side);
  let keys = 0;
  for (let dy = -reach; dy <= reach; dy++) {
    for (let dx = -reach; dx <= reach; dx++) {
      const [ky, kx] = [y + dy, x + dx];
      if (ky < 0 || kx < 0 || ky >= side || kx >= side) continue;
      const weight = rows[((y * side + x) * wide + dy + reach) * wide + dx + reach];
      row[ky * side + kx] = weight;
      if (weight > 0) keys += 1;
    }
  }
  return { row, side, keys, reached: keys / row.length };
}

/** Right where Focal's keys reach every cell, and are fewer than the screen allows. */
export function judgeOperators({ reading, spec }) {
  const { keys, reached } = operatorsFocal(reading);
  const { limit } = spec.figure;
  const values = { keys, reached, limit, dense: reading.cells ** 2, share: keys / reading.cells ** 2 };
  if (reached < 1) return { right: false, say: "not-whole", values };
  return keys < limit ? { right: true, say: "right", values } : { right: false, say: "too-many", values };
}
