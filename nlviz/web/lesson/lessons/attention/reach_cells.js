// Frames of a clip as grids of cells: which cells a query is compared with, or after how many layers each is reached.

import { contextOf, element } from "../../../shared/dom.js";
import { createSegments, createSlider } from "../../figures/field.js";
import { attnSwitch, attnWords } from "./attn_parts.js";
import { reachKeys, reachSeen, reachSteps } from "./pure/reach_maths.js";

const inRange = (value, [least, most]) => Number.isInteger(value) && value >= least && value <= most;

/**
 * A canvas of all frames; `paint(cell)` gives {share, mark, word} of each cell, `size` is {t, h, w}.
 * @param {string} label
 * @param {boolean} asks whether cells can be asked for, by pointer and by keys
 */
function reachFrames(label, asks) {
  const canvas = element("canvas", { class: "nlesson-attention-frames", role: asks ? "application" : "img", tabindex: asks ? "0" : null, "aria-label": label });
  let plan = { cell: 1, columns: 1, gap: 1 };
  function draw(size, paint) {
    const { t, h, w } = size;
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round((canvas.clientWidth || 320) * ratio);
    const gap = Math.round(6 * ratio);
    // As many columns as make the frames largest within a height that fits a screen.
    let best = { cell: 1, columns: t };
    for (let columns = 1; columns <= t; columns++) {
      const rows = Math.ceil(t / columns);
      const cell = Math.floor(Math.min((width - gap * (columns - 1)) / (columns * w), (360 * ratio - gap * (rows - 1)) / (rows * h)));
      if (cell >= best.cell) best = { cell, columns };
    }
    plan = { ...best, gap };
    const { cell, columns } = plan;
    const rows = Math.ceil(t / columns);
    canvas.width = width;
    canvas.height = rows * h * cell + (rows - 1) * gap;
    const style = getComputedStyle(canvas);
    const context = contextOf(canvas);
    context.font = `${Math.round(cell * 0.62)}px sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    const line = cell > 5 ? Math.max(1, Math.round(ratio)) : 0;
    for (let f = 0; f < t; f++) {
      const left = (f % columns) * (w * cell + gap);
      const top = Math.floor(f / columns) * (h * cell + gap);
      for (let i = 0; i < h * w; i++) {
        const { share, mark, word } = paint(f * h * w + i);
        const [x, y] = [left + (i % w) * cell, top + Math.floor(i / w) * cell];
        context.globalAlpha = 1;
        context.fillStyle = style.getPropertyValue("--line");
        context.fillRect(x, y, cell - line, cell - line);
        context.fillStyle = mark ? style.getPropertyValue("--fg") : style.color;
        context.globalAlpha = mark ? 1 : share;
        context.fillRect(x, y, cell - line, cell - line);
        context.globalAlpha = 1;
        if (word && (cell > 9 || mark)) {
          context.fillStyle = style.getPropertyValue(mark || share > 0.55 ? "--bg" : "--fg");
          context.fillText(word, x + cell / 2, y + cell / 2 + 1);
        }
      }
    }
    plan.ratio = ratio;
  }
  /** The cell under a pointer, or -1. */
  function cellAt(event, { t, h, w }) {
    const box = canvas.getBoundingClientRect();
    const [px, py] = [(event.clientX - box.left) * plan.ratio, (event.clientY - box.top) * plan.ratio];
    const [fx, fy] = [w * plan.cell + plan.gap, h * plan.cell + plan.gap];
    const [column, row] = [Math.floor(px / fx), Math.floor(py / fy)];
    const [x, y] = [Math.floor((px - column * fx) / plan.cell), Math.floor((py - row * fy) / plan.cell)];
    const f = row * plan.columns + column;
    return f < t && column < plan.columns && x >= 0 && x < w && y >= 0 && y < h ? f * h * w + y * w + x : -1;
  }
  return { canvas, draw, cellAt };
}

/** Which keys one query is compared with: joint, divided or in windows; the query follows pointer and arrow keys. */
export function createReachKeysFigure(root, spec, _, { say, changed, signal, state }) {
  const words = attnWords(spec, say);
  const { h, w, side } = spec;
  let t = inRange(state?.t, spec.frames) ? state.t : spec.t;
  let scheme = spec.schemes.includes(state?.scheme) ? state.scheme : spec.scheme;
  let place = inRange(state?.place, [0, h * w - 1]) ? state.place : Math.floor(h / 2) * w + Math.floor(w / 2);
  let frame = Math.min(t - 1, inRange(state?.frame, [0, t - 1]) ? state.frame : Math.floor(t / 2));

  const reading = () => ({ t, h, w, side, scheme });
  const choice = createSegments({
    name: "scheme", label: words("scheme"), value: scheme, choices: spec.schemes.map((value) => ({ value, text: words(value) })),
    moved: (value) => act(() => { scheme = value; }),
  });
  const slider = createSlider({
    name: "frames", label: words("frames"), least: spec.frames[0], most: spec.frames[1], step: 1, value: t,
    write: (value) => words("size", { t: value, h, w }), moved: (value) => act(() => {
      t = value;
      frame = Math.min(frame, t - 1);
    }),
  });
  const frames = reachFrames(words("picture"), true);
  const told = element("p", { class: "nlesson-attention-sum", role: "status" });
  root.append(choice.element, slider.element, told, frames.canvas, element("p", { class: "nlesson-said", text: words("legend") }));

  function act(change) {
    change();
    draw();
    changed();
  }
  function ask(cell) {
    if (cell < 0) return;
    act(() => {
      frame = Math.floor(cell / (h * w));
      place = cell % (h * w);
    });
  }
  frames.canvas.addEventListener("click", (event) => ask(frames.cellAt(event, { t, h, w })));
  frames.canvas.addEventListener("keydown", (event) => {
    const [y, x] = [Math.floor(place / w), place % w];
    const to = { ArrowLeft: [y, x - 1], ArrowRight: [y, x + 1], ArrowUp: [y - 1, x], ArrowDown: [y + 1, x] }[event.key];
    if (!to) return;
    event.preventDefault();
    event.stopPropagation();
    ask(frame * h * w + Math.max(0, Math.min(h - 1, to[0])) * w + Math.max(0, Math.min(w - 1, to[1])));
  });

  function draw() {
    const seen = reachSeen(scheme, { t, h, w, side }, frame * h * w + place);
    frames.draw({ t, h, w }, (cell) => {
      const mark = cell === frame * h * w + place;
      return { share: [0, 1, 0.45, 0.7][seen[cell]], mark, word: mark ? "Q" : "" };
    });
    told.textContent = words(`keys_${scheme}`, { keys: reachKeys(scheme, reading()), t, area: h * w, side });
  }

  draw();
  root.addEventListener("pointerenter", draw, { signal }); // the page may have another theme by now
  return { state: () => ({ t, scheme, place, frame }), reading, resize: draw, destroy: () => root.replaceChildren() };
}

/** After how many layers of window attention each cell is reached from A; is B among them? */
export function createReachStepsFigure(root, spec, _, { say, changed, signal, state }) {
  const words = attnWords(spec, say);
  const { t, h, w } = spec;
  let side = spec.sides.includes(state?.side) ? state.side : spec.side;
  let shifted = typeof state?.shifted === "boolean" ? state.shifted : spec.shifted;
  const cellOf = ([f, y, x]) => f * h * w + y * w + x;
  const [from, to] = [cellOf(spec.from), cellOf(spec.to)];

  const [least, most] = [spec.sides[0], spec.sides[spec.sides.length - 1]];
  const slider = createSlider({
    name: "side", label: words("side"), least, most, step: 1, value: side, write: (value) => words("window", { side: value, t }),
    moved: (value) => act(() => { side = value; }),
  });
  const moving = attnSwitch({ name: "shifted", value: "on", label: words("shifted"), on: () => shifted, changed: (on) => act(() => { shifted = on; }) });
  const frames = reachFrames(words("picture"), false);
  const told = element("p", { class: "nlesson-attention-sum", role: "status" });
  root.append(element("div", { class: "nlesson-controls" }, slider.element, moving.node), told, frames.canvas, element("p", { class: "nlesson-said", text: words("legend") }));

  const reading = () => ({ t, h, w, side, shifted, from, to });
  function act(change) {
    change();
    draw();
    changed();
  }

  function draw() {
    const steps = reachSteps("window", reading(), from);
    frames.draw({ t, h, w }, (cell) => {
      const mark = cell === from || cell === to;
      const layers = steps[cell];
      const word = cell === from ? "A" : cell === to ? "B" : layers < 0 ? "" : String(layers);
      return { share: layers < 0 ? 0 : 0.85 * 0.72 ** (layers - 1), mark, word };
    });
    const keys = reachKeys("window", reading());
    told.textContent = steps[to] < 0 ? words("never", { keys }) : words("reached", { layers: steps[to], keys });
  }

  draw();
  root.addEventListener("pointerenter", draw, { signal });
  return { state: () => ({ side, shifted }), reading, resize: draw, destroy: () => root.replaceChildren() };
}
