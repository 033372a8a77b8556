// Sources made of several products of one layer: the twin of nlviz/affinity/several.py.
//   cross      the rows of one query at once, on one scale; a cell that several reach shows the sum
//   composed   the last row times the rows of the part before it, and so on; heads averaged

import { supportOf } from "./support.js";

/**
 * @typedef {{rows: Rows, spec: Spec, along: string}} PartOfLayer
 */

/** Add `factor` times the reached part of `values` to `out`, where NaN stands for nothing yet. */
function add(out, values, { from, to }, factor = 1) {
  for (let j = from; j < to; j++) {
    const value = values[j];
    if (!Number.isNaN(value)) out[j] = (Number.isNaN(out[j]) ? 0 : out[j]) + factor * value;
  }
}

/** Which part of a grid is filled: from the first of several parts on to the last. */
const around = (found) => ({
  from: Math.min(...found.map(({ from }) => from)),
  to: Math.max(...found.map(({ to }) => to)),
});

/**
 * Rows of a cross. What each part of one row gives is handed on as `parts`: its mass on cells, on
 * tokens without a place, and on the query's own cell.
 * @param {Spec} spec
 * @param {PartOfLayer[]} parts
 * @returns {Rows}
 */
export function crossRows(spec, parts) {
  let one = new Float32Array(0);
  let sum = new Float32Array(0);

  /** The sum of all parts' rows of one head, or of their mean. */
  function together(out, query, head) {
    out.fill(NaN);
    return parts.map(({ rows, spec: own, along }) => {
      const found = rows.row(one, query, own.heads === spec.heads ? head : "mean", "rows");
      add(out, one, found);
      let mass = 0;
      for (let j = found.from; j < found.to; j++) if (!Number.isNaN(one[j])) mass += one[j];
      return { ...found, along, mass, own: one[query] };
    });
  }

  function row(out, query, head) {
    if (one.length !== out.length) [one, sum] = [new Float32Array(out.length), new Float32Array(out.length)];
    if (head !== "max" || spec.heads === 1) {
      const found = together(out, query, head);
      return { ...around(found), logC: NaN, apart: found.reduce((total, part) => total + part.apart, 0), parts: found };
    }
    // The largest sum of a head, which is not the sum of the largest; it is of no one row.
    const found = together(out, query, 0);
    for (let n = 1; n < spec.heads; n++) {
      together(sum, query, n);
      for (let j = 0; j < out.length; j++) if (sum[j] > out[j]) out[j] = sum[j];
    }
    const apart = parts.reduce((total, { rows }) => total + rows.row(one, query, "max", "rows").apart, 0);
    return { ...around(found), logC: NaN, apart };
  }

  return { row, column: null };
}

/**
 * Rows of a composition.
 * @param {PartOfLayer[]} parts in the order in which they ran
 * @returns {Rows}
 */
export function composedRows(parts) {
  const [last, ...before] = [...parts].reverse();
  let one = new Float32Array(0);
  let weights = new Float32Array(0);

  function row(out, query) {
    if (one.length !== out.length) [one, weights] = [new Float32Array(out.length), new Float32Array(out.length)];
    weights.fill(0);
    let { apart, ...reached } = last.rows.row(one, query, "mean", "rows");
    add(weights, one, reached);
    for (const { rows } of before) {
      out.fill(0);
      for (let j = 0; j < weights.length; j++) {
        if (!(weights[j] > 0)) continue;
        const found = rows.row(one, j, "mean", "rows");
        add(out, one, found, weights[j]);
        apart += weights[j] * found.apart;
      }
      weights.set(out);
    }
    return { from: 0, to: out.length, logC: NaN, apart };
  }

  return { row, column: null };
}

/** The support of a cross: what any part reaches. */
export function anyOf(parts, prefix) {
  const supports = parts.map(({ spec }) => supportOf(spec));
  const union = (boxes) => ({
    ...boxes[0],
    a0: Math.min(...boxes.map(({ a0 }) => a0)),
    a1: Math.max(...boxes.map(({ a1 }) => a1)),
  });
  return {
    local: false,
    most: supports.reduce((sum, { most }) => sum + most, 0),
    reached: (query) => union(supports.map((s) => s.reached(query))),
    reaching: (key) => union(supports.map((s) => s.reaching(key))),
    apart: () => [0, prefix],
    group: () => 0,
    counted: (query) => supports.reduce((sum, s) => sum + s.counted(query), 0),
    choices: (key) => supports.reduce((sum, s) => sum + s.choices(key), 0),
  };
}
