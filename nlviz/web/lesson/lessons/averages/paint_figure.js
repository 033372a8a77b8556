// An average by hand: the pixels around one are painted by whoever thinks that they show the same thing; its
// error stands beside that of filters.
//
// spec: pixel: [row, column] of the rim; side of its window; sigma; filters: name of each to the number of the
// recipe that is its error, and labels by the same names; labels: window, fill, none, all, near, told, nothing,
// yours, cell, bars.

import { createSegments } from "../../figures/field.js";
import { element, setText } from "../../../shared/dom.js";
import { paintedWindow } from "./pure/judges.js";
import { paintedMean } from "./pure/painted_mean.js";

const PAINT_STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/** @type {FigureMaker} */
export function createPaintFigure(root, spec, data, { say, changed, state }) {
  const { side, sigma, labels } = spec;
  const { clean, noisy } = paintedWindow(data, spec.pixel, side);
  const centre = (side * side - 1) / 2;
  const last = side * side - 1;
  const kept = Array.isArray(state?.chosen) ? state.chosen.filter((j) => Number.isInteger(j) && j >= 0 && j <= last) : [centre];
  /** @type {Set<number>} */
  let chosen = new Set(kept);
  let focused = centre;
  /** @type {boolean|null} what the pointer does while it is down: paint, or wipe */
  let painting = null;
  const errors = Object.entries(spec.filters).map(([name, number]) => ({ name, error: data.head.numbers[number] }));
  const worst = Math.max(sigma, ...errors.map(({ error }) => error));

  const cells = Array.from({ length: side * side }, (_, j) => {
    const grey = Math.round(Math.min(255, Math.max(0, noisy[j])));
    return element("button", {
      type: "button", tabindex: "-1", class: j === centre ? "nlesson-averages-cell nlesson-averages-centre" : "nlesson-averages-cell", "data-control": "cell", "data-value": String(j),
      style: `--grey:rgb(${grey} ${grey} ${grey});--ink:${grey > 127 ? "#10131a" : "#ffffff"}`,
    });
  });
  const square = element("div", { class: "nlesson-averages-window", role: "group", "aria-label": say(labels.window), style: `--cells:${side}` }, ...cells);
  const fill = createSegments({
    name: "fill", label: say(labels.fill), value: "", choices: ["none", "near", "all"].map((value) => ({ value, text: say(labels[value]) })),
    moved(how) {
      const near = (j) => Math.max(Math.abs(Math.floor(j / side) - (side - 1) / 2), Math.abs((j % side) - (side - 1) / 2)) <= 1;
      chosen = new Set(cells.map((_, j) => j).filter((j) => how === "all" || (how === "near" && near(j))));
      fill.set("");
      draw();
      changed();
    },
  });
  const told = element("p", { class: "nlesson-averages-told", "aria-live": "polite" });
  const bars = element("div", { class: "nlesson-averages-bars", role: "img", "aria-label": say(labels.bars) });
  root.append(element("div", { class: "nlesson-averages-hand" }, square, element("div", {}, bars, told, fill.element)));

  function set(j, on) {
    if (chosen.has(j) === on) return;
    if (on) chosen.add(j);
    else chosen.delete(j);
    draw();
    changed();
  }

  const cellOf = (event) => {
    const under = root.getRootNode();
    const found = under instanceof Document || under instanceof ShadowRoot ? under.elementFromPoint(event.clientX, event.clientY) : null;
    const cell = found?.closest(".nlesson-averages-cell");
    return cell instanceof HTMLElement && square.contains(cell) ? Number(cell.dataset.value) : null;
  };
  square.addEventListener("pointerdown", (event) => {
    const j = cellOf(event);
    if (j === null) return;
    painting = !chosen.has(j);
    square.setPointerCapture(event.pointerId);
    focus(j);
    set(j, painting);
    event.preventDefault();
  });
  square.addEventListener("pointermove", (event) => {
    if (painting === null) return;
    const j = cellOf(event);
    if (j !== null) set(j, painting);
  });
  for (const end of ["pointerup", "pointercancel"]) square.addEventListener(end, () => { painting = null; });
  square.addEventListener("keydown", (event) => {
    const step = PAINT_STEPS[event.key];
    if (step) {
      const clamp = (value) => Math.min(side - 1, Math.max(0, value));
      focus(clamp(Math.floor(focused / side) + step[0]) * side + clamp((focused % side) + step[1]));
    } else if (event.key === " " || event.key === "Enter") set(focused, !chosen.has(focused));
    else return;
    event.preventDefault();
  });

  function focus(j) {
    focused = j;
    draw();
    cells[j].focus();
  }

  function draw() {
    for (const [j, cell] of cells.entries()) {
      cell.tabIndex = j === focused ? 0 : -1;
      cell.setAttribute("aria-pressed", String(chosen.has(j)));
      cell.setAttribute("aria-label", say(labels.cell, { row: Math.floor(j / side) + 1, column: (j % side) + 1, value: Math.round(noisy[j]) }));
    }
    const found = chosen.size ? paintedMean([...chosen], clean, noisy, centre, sigma) : null;
    setText(told, found ? say(labels.told, found) : say(labels.nothing));
    const rows = [{ name: "yours", error: found?.error ?? null }, ...errors];
    bars.replaceChildren(...rows.map(({ name, error }) => element("div", { class: name === "yours" ? "nlesson-averages-bar nlesson-averages-yours" : "nlesson-averages-bar" },
      element("span", { text: say(labels[name]) }), element("i", { style: `--long:${Math.min(100, (100 * (error ?? 0)) / worst)}%` }), element("b", { text: error === null ? "–" : error.toFixed(1) }))));
    bars.setAttribute("aria-label", `${say(labels.bars)}: ${rows.map(({ name, error }) => `${say(labels[name])} ${error?.toFixed(1) ?? "–"}`).join(", ")}`);
  }

  draw();
  return {
    state: () => ({ chosen: [...chosen].sort((a, b) => a - b) }), reading: () => ({ clean, noisy, chosen: [...chosen], centre, sigma }), destroy: () => root.replaceChildren(),
  };
}
