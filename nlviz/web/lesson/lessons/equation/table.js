// The rows of all queries as one table, a row each: what the row of one query is a row of.

import { element } from "../../../shared/dom.js";
import { shape } from "./shape.js";

const CELL = 10; // of the drawing

/**
 * @param {{count: number, symbol: Node|string, note: string, foot: string, pick: (j: number) => void}} about
 *   count: of queries and of keys; pick: a column of the table was clicked
 */
export function createRowsTable({ count, symbol, note, foot, pick }) {
  const side = CELL * count;
  const svg = shape("svg", { viewBox: `-1 -1 ${side + 2} ${side + 2}`, class: "nlesson-equation-table", role: "img" });
  const cells = Array.from({ length: count * count }, (_, n) => shape("rect", {
    x: CELL * (n % count) + 0.5, y: CELL * Math.floor(n / count) + 0.5, width: CELL - 1, height: CELL - 1, class: "nlesson-equation-tablecell",
  }));
  const outline = shape("rect", { x: 0, width: side, height: CELL, class: "nlesson-equation-outline" });
  const column = shape("rect", { width: CELL, height: CELL, class: "nlesson-equation-outline-key" });
  svg.append(...cells, outline, column);
  svg.addEventListener("click", (event) => {
    const { left, width } = svg.getBoundingClientRect();
    pick(Math.min(count - 1, Math.max(0, Math.floor((count * (event.clientX - left)) / width))));
  });

  /** @param {{rows: number[][], query: number, key: number, hidden: (i: number, j: number) => boolean, heard: string}} what */
  function draw({ rows, query, key, hidden, heard }) {
    svg.setAttribute("aria-label", heard);
    const most = Math.max(...rows.flat());
    for (const [n, node] of cells.entries()) {
      const [i, j] = [Math.floor(n / count), n % count];
      node.setAttribute("fill-opacity", (hidden(i, j) ? 0 : rows[i][j] / most).toFixed(3));
    }
    outline.setAttribute("y", String(CELL * query));
    column.setAttribute("y", String(CELL * query));
    column.setAttribute("x", String(CELL * key));
  }

  const node = element("figure", { class: "nlesson-equation-panel" },
    element("figcaption", {}, element("b", {}, symbol), " ", element("span", { text: note })), svg, element("p", { class: "nlesson-equation-foot", text: foot }));
  return { element: node, draw };
}
