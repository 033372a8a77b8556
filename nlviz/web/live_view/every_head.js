// Rows of one query in every head, for whoever follows the pointer beside the view: the atlas.

import { createEngine } from "./pure/engine.js";

/**
 * Build what gives them. It has an engine of its own: the row on the screen stays as it is.
 * @param {Container} container
 * @returns {(query: Query, view: View) => any[]|null} of each head values, uniform, own, from and to;
 *   null where the browser cannot compute them
 */
export function createEveryHead(container) {
  /** @type {Engine|null} */
  let engine = null;
  return (query, view) => {
    engine ??= createEngine(container);
    const [spec] = container.head.sources;
    const plain = { ...view, source: spec.key, direction: "from", values: "rows", leave_out: "nothing", links: 0, scale: "query" };
    const found = [];
    for (let head = 0; head < (spec.heads ?? 1); head++) {
      const row = engine.compute(query, { ...plain, head });
      if (row.waiting || row.box) return null;
      const { uniform, own, from, to } = row;
      found.push({ values: Float32Array.from(row.values), uniform, own, from, to });
    }
    return found;
  };
}
