// Rows of a block that adds a bias for position to its logits: as they are, and of either term alone.

import { attnCommon, attnEffective } from "./attn_rows.js";

function attnSoft(logits) {
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const e = logits.map((value) => Math.exp(value - most));
  const sum = e.reduce((a, b) => a + b, 0);
  return e.map((value) => value / sum);
}

/**
 * softmax(s theta . phi + b), softmax(s theta . phi) and softmax(b) of one query of a head.
 * @returns {{both: Float64Array, content: Float64Array, position: Float64Array}}
 */
export function attnBiasRows({ head: { bias }, array }, head, query) {
  const { d, scale, rows, columns } = bias;
  const cells = rows * columns;
  const [theta, phi, added] = ["theta", "phi", "added"].map((name) => array(`bias.${name}`).data);
  const content = new Float64Array(cells);
  const position = new Float64Array(cells);
  for (let j = 0; j < cells; j++) {
    for (let c = 0; c < d; c++) content[j] += scale * theta[(head * cells + query) * d + c] * phi[(head * cells + j) * d + c];
    position[j] = added[(head * cells + query) * cells + j];
  }
  return { both: attnSoft(content.map((value, j) => value + position[j])), content: attnSoft(content), position: attnSoft(position) };
}

/** Means over all queries of a head: what rows have in common with each term alone, and over how many keys that spreads. */
export function attnBiasShares(data, head) {
  const cells = data.head.bias.rows * data.head.bias.columns;
  const sums = { content: 0, position: 0, spread: 0 };
  for (let i = 0; i < cells; i++) {
    const { both, content, position } = attnBiasRows(data, head, i);
    sums.content += attnCommon(both, content) / cells;
    sums.position += attnCommon(both, position) / cells;
    sums.spread += attnEffective(position) / cells;
  }
  return { ...sums, cells };
}
