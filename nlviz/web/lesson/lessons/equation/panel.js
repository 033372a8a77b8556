// A square of numbers: the picture, f, weights, values or products, one cell a pixel.

import { element, setText } from "../../../shared/dom.js";

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/**
 * A square of numbers with its name.
 * @param {{side: number, name: string, symbol: Node|string, note?: Node|string, kind: string, place: (j: number) => string,
 *   pick?: ((j: number) => void)|null, keyed?: boolean, control?: string, steps?: ((j: number, way: number) => void)|null, pointed: (j: number|null) => void}} about
 *   pick: a click chooses a pixel; keyed: its cells are buttons, and arrow keys move the choice; steps: + and − change a number
 */
export function createNumberPanel({ side, name, symbol, note = "", kind, place, pick = null, keyed = false, control = "cell", steps = null, pointed }) {
  const cells = Array.from({ length: side * side }, (_, j) => {
    const number = element("span", { class: "nlesson-equation-number" });
    const marks = element("span", { class: "nlesson-equation-marks", "aria-hidden": "true" });
    const node = keyed
      ? element("button", { type: "button", tabindex: "-1", "data-control": control, "data-value": String(j) }, number, marks)
      : element("span", {}, number, marks);
    node.dataset.pixel = String(j);
    node.classList.add("nlesson-equation-cell");
    return { node, number, marks };
  });
  const rows = Array.from({ length: side }, (_, row) => element("div", { role: "row", class: "nlesson-equation-row" },
    ...cells.slice(row * side, (row + 1) * side).map(({ node }) => element("div", { role: keyed ? "gridcell" : "cell" }, node))));
  const square = element("div", { role: keyed ? "grid" : "table", "aria-label": name, class: pick ? "nlesson-equation-square nlesson-equation-picked" : "nlesson-equation-square", style: `--cells:${side}` }, ...rows);
  const foot = element("p", { class: "nlesson-equation-foot" });
  const box = element("figure", { class: `nlesson-equation-panel nlesson-equation-${kind}` },
    element("figcaption", {}, element("b", {}, symbol), " ", element("span", {}, note)), square, foot);

  square.addEventListener("pointerover", (event) => {
    const over = event.target instanceof Element ? event.target.closest("[data-pixel]") : null;
    pointed(over instanceof HTMLElement ? Number(over.dataset.pixel) : null);
  });
  square.addEventListener("pointerleave", () => pointed(null));
  if (pick) {
    square.addEventListener("click", (event) => {
      const over = event.target instanceof Element ? event.target.closest("[data-pixel]") : null;
      if (over instanceof HTMLElement) pick(Number(over.dataset.pixel));
    });
  }
  if (pick && keyed) {
    square.addEventListener("keydown", (event) => {
      const at = cells.findIndex(({ node }) => node.tabIndex === 0);
      const step = STEPS[event.key];
      if (step) {
        const clamp = (value) => Math.min(side - 1, Math.max(0, value));
        const next = clamp(Math.floor(at / side) + step[0]) * side + clamp((at % side) + step[1]);
        pick(next);
        cells[next].node.focus();
      } else if (steps && "+=-_".includes(event.key)) {
        steps(at, "+=".includes(event.key) ? 1 : -1);
      } else return;
      event.preventDefault();
    });
  }

  /**
   * Show numbers.
   * @param {{texts: string[], signs?: number, shares?: number[]|null, query: number|null, key: number|null, pointed: number|null}} what
   *   signs: of the longest number, of several squares where they are to be alike; shares: −1 to 1, how strong each cell's colour is
   */
  function draw({ texts, signs = Math.max(...texts.map((text) => text.length)), shares = null, query, key, pointed: over }) {
    // One size for all: the longest number says how small.
    square.style.setProperty("--signs", String(Math.max(3, signs)));
    for (const [j, { node, number, marks }] of cells.entries()) {
      setText(number, texts[j]);
      const share = shares ? shares[j] : 0;
      node.style.setProperty("--share", `${Math.round(100 * Math.abs(share))}%`);
      node.classList.toggle("nlesson-equation-negative", share < 0);
      node.classList.toggle("nlesson-equation-query", j === query);
      node.classList.toggle("nlesson-equation-key", j === key);
      node.classList.toggle("nlesson-equation-over", j === over);
      // Letters of the style sheet: a cell's name is its place and its number.
      marks.dataset.mark = (j === query ? "i" : "") + (j === key ? "j" : "");
      if (keyed) {
        const chosen = j === (control === "query" ? query : key);
        node.tabIndex = chosen ? 0 : -1;
        node.setAttribute("aria-pressed", String(chosen));
        node.setAttribute("aria-label", `${place(j)}: ${texts[j]}`);
      }
    }
  }

  return { element: box, draw, foot: (text) => setText(foot, text) };
}
