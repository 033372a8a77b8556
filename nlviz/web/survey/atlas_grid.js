// The atlas: a table of layers and heads, coloured by a figure. Arrow keys walk it, Enter opens a head.

import { element } from "../shared/dom.js";
import { say } from "../shared/language.js";
import { shortNames } from "./pure/cell_size.js";
import { cellNumber, signedNumber, unitless, withUnit } from "./pure/figure_numbers.js";
import { colourAt, placeOnScale } from "./pure/figure_scale.js";
import { labelMark } from "./marks.js";

/**
 * Build the table of one survey, or of the difference of two.
 * @param {any} report
 * @param {{survey: number|null, title: string, onChosen: (layer: number, head: number) => void}} how survey: null for the difference
 */
export function createAtlasGrid(report, { survey, title, onChosen }) {
  const across = Math.max(1, ...report.layers.map(({ heads }) => heads));
  const short = shortNames(report.layers.map(({ block }) => block));
  const cells = new Map();
  const keyOf = (layer, head) => `${layer},${head}`;
  const several = across > 1;
  const top = several ? element("thead", {}, element("tr", { role: "row" },
    element("td", { class: "nsv-corner", text: say("Layer") }),
    ...Array.from({ length: across }, (_, head) => element("th", { scope: "col", role: "columnheader", text: String(head + 1), "aria-label": say("Head {head}", { head: head + 1 }) })))) : null;
  const body = element("tbody", {}, ...report.layers.map(({ block, heads }, layer) => element("tr", { role: "row" },
    element("th", { scope: "row", role: "rowheader" }, element("span", { text: short.names[layer], title: block })),
    ...Array.from({ length: heads }, (_, head) => made(layer, head)))));
  const table = element("table", { class: "nsv-grid", role: "grid", "aria-label": title }, top, body);
  const node = element("figure", { class: "nsv-atlas" }, element("figcaption", { class: "nsv-atlas-title", hidden: !report.compared && !short.pattern },
    report.compared ? `${title} ` : "", short.pattern ? element("span", { class: "nsv-dim", text: say("layers {pattern}", { pattern: short.pattern }) }) : null), element("div", { class: "nsv-scroll", tabindex: null }, table));
  let at = [0, 0];

  function made(layer, head) {
    const button = element("button", { type: "button", class: "nsv-cell", tabindex: "-1", "data-layer": layer, "data-head": head });
    cells.set(keyOf(layer, head), button);
    return element("td", { role: "gridcell" }, button);
  }

  table.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("button") : null;
    if (button) onChosen(Number(button.dataset.layer), Number(button.dataset.head));
  });
  table.addEventListener("keydown", (event) => {
    const [layer, head] = at;
    const last = report.layers.length - 1;
    const end = (n) => report.layers[n].heads - 1;
    const ways = {
      ArrowLeft: () => [layer, head - 1], ArrowRight: () => [layer, head + 1], ArrowUp: () => [layer - 1, head], ArrowDown: () => [layer + 1, head],
      Home: () => [layer, 0], End: () => [layer, end(layer)], PageUp: () => [0, head], PageDown: () => [last, head],
    };
    if (event.altKey || event.ctrlKey || event.metaKey || !Object.hasOwn(ways, event.key)) return;
    event.preventDefault();
    const [y, x] = ways[event.key]();
    const row = Math.min(last, Math.max(0, y));
    walkTo(row, Math.min(end(row), Math.max(0, x)));
  });
  table.addEventListener("focusin", (event) => {
    if (event.target instanceof HTMLElement && event.target.dataset.layer) walkTo(Number(event.target.dataset.layer), Number(event.target.dataset.head), false);
  });

  /** One cell takes part in the order of tabs; arrows lead to the others. */
  function walkTo(layer, head, focus = true) {
    const before = cells.get(keyOf(...at));
    if (before) before.tabIndex = -1;
    at = [layer, head];
    const now = cells.get(keyOf(layer, head));
    if (!now) return;
    now.tabIndex = 0;
    if (focus) now.focus();
  }

  const cellOf = (name, layer, head) => (survey === null ? report.change(name, layer, head) : report.value(survey, name, layer, head));

  /**
   * Colour all cells by a figure.
   * @param {{figure: any, scale: any, table: Uint8Array, size: {width: number, height: number, written: string}, kept: Set<string>, chosen: number[]}} how
   *   kept: labels that are not faded; empty for all
   */
  function paint({ figure, scale, table: colours, size, kept, chosen }) {
    table.style.setProperty("--cell", `${size.width - 2}px`);
    table.style.setProperty("--high", `${size.height - 2}px`);
    table.dataset.written = size.written;
    for (const [layer, head] of report.heads) {
      const button = cells.get(keyOf(layer, head));
      const value = cellOf(figure.name, layer, head);
      const labels = (survey === null ? [0, 1] : [survey]).map((n) => report.label(n, layer, head));
      const hidden = kept.size > 0 && !labels.some((label) => label && kept.has(label.label));
      const { fill, ink } = value ? colourAt(placeOnScale(value.mean, scale), colours) : { fill: "", ink: "" };
      button.style.background = fill;
      button.style.color = ink;
      button.classList.toggle("nsv-nothing", !value);
      button.classList.toggle("nsv-faded", hidden);
      button.classList.toggle("nsv-quiet", survey === null && value !== null && !value.told);
      button.setAttribute("aria-pressed", String(layer === chosen[0] && head === chosen[1]));
      fillCell(button, value, labels, figure.unit, size.written);
      const tip = tipOf(figure, value, labels, layer, head);
      button.dataset.tip = tip;
      // What is seen comes first in what is heard.
      button.setAttribute("aria-label", [button.textContent?.trim(), tip].filter(Boolean).join(", "));
    }
    walkTo(chosen[0], chosen[1], false);
  }

  function fillCell(button, value, labels, unit, written) {
    const marks = survey === null ? [] : labels.filter(Boolean).map(({ label }) => labelMark(label, written === "none" ? 9 : 12));
    if (written === "none") {
      const told = survey === null && value?.told ? [element("span", { class: "nsv-told", text: "◆" })] : [];
      button.replaceChildren(...marks, ...told);
      return;
    }
    const text = value ? cellNumber(value.mean, unit, survey === null) : "–";
    const lines = [element("span", { class: "nsv-value" }, ...marks, survey === null && value?.told ? "◆ " : "", text)];
    if (written === "all" && value && value.low !== null) lines.push(element("span", { class: "nsv-between", text: `${unitless(value.low, unit)} … ${withUnit(value.high, unit)}` }));
    if (written === "all" && labels[0] && survey !== null) lines.push(element("span", { class: "nsv-named", text: say(labels[0].label) }));
    // Words apart, as they are heard so.
    button.replaceChildren(...lines.flatMap((line) => [line, " "]));
  }

  function tipOf(figure, value, labels, layer, head) {
    const { block, heads } = report.layers[layer];
    const place = heads > 1 ? say("{block}, head {head}", { block, head: head + 1 }) : block;
    const name = say(figure.label);
    const unit = figure.unit;
    const said = !value ? say("{name} cannot be told", { name })
      : value.low === null ? say("{name} {value}, no interval", { name, value: (survey === null ? signedNumber : withUnit)(value.mean, unit) })
      : survey === null ? say("{name} {change}, from {low} to {high}", { name, change: signedNumber(value.mean, unit), low: signedNumber(value.low, unit), high: signedNumber(value.high, unit) })
      : say("{name} {value}, from {low} to {high}", { name, value: withUnit(value.mean, unit), low: withUnit(value.low, unit), high: withUnit(value.high, unit) });
    const named = [...new Set(labels.filter(Boolean).map(({ label }) => say(label)))].join(" → ");
    const noise = survey === null && value ? say(value.told ? "more than noise" : "no more than noise") : "";
    return [`${place}: ${said}`, noise, named].filter(Boolean).join("; ");
  }

  return { node, table, paint, across };
}
