// One query in three ways: dense attention, VOLO's outlook, Focal's fine and pooled keys; cells that it reaches.

import { contextOf, element, setText } from "../../../shared/dom.js";
import { createSlider } from "../../figures/field.js";
import { operatorsFocal, operatorsOutlook } from "./pure/operators_maths.js";

const OPERATORS_WAYS = ["dense", "outlook", "focal"];

export function createOperatorsFigure(root, spec, data, { say, changed, state }) {
  const { cells, window: side } = data.head.operators;
  const words = (name, values) => say(spec.labels[name], values);
  const among = (value, { least, most, step }) => Number.isInteger(value) && value >= least && value <= most && (value - least) % step === 0;
  const inside = (n) => Number.isInteger(n) && n >= 0 && n < cells;
  /** @type {[number, number]} */
  let query = Array.isArray(state?.query) && state.query.length === 2 && state.query.every(inside) ? [state.query[0], state.query[1]] : [spec.query[0], spec.query[1]];
  const now = { ring: among(state?.ring, spec.ring) ? state.ring : spec.ring.value, pooled: among(state?.pooled, spec.pooled) ? state.pooled : spec.pooled.value };
  const ground = operatorsGround(data.array("operators.picture"));

  const panels = OPERATORS_WAYS.map((way) => {
    const canvas = element("canvas", { class: "nlesson-attention-operators-picture", tabindex: "0", role: "application", "aria-label": words(way), "data-control": way });
    const note = element("span", { class: "nlesson-said" });
    canvas.addEventListener("pointerdown", (event) => {
      const frame = canvas.getBoundingClientRect();
      ask([((event.clientY - frame.top) / frame.height) * cells, ((event.clientX - frame.left) / frame.width) * cells]);
    });
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      ask([query[0] + step[0], query[1] + step[1]]);
    });
    return { way, canvas, note, node: element("div", { class: "nlesson-attention-operators-panel" }, element("b", { text: words(way) }), canvas, note) };
  });
  const sliders = ["ring", "pooled"].map((name) => createSlider({
    name, label: words(name), ...spec[name], value: now[name], write: (value) => words(`${name}_of`, { n: value }),
    moved: (value) => {
      now[name] = value;
      draw();
      changed();
    },
  }));
  root.append(
    element("div", { class: "nlesson-attention-operators" }, ...panels.map((panel) => panel.node)),
    element("div", { class: "nlesson-controls" }, ...sliders.map((slider) => slider.element)),
    element("p", { class: "nlesson-said", text: words("legend") }),
  );

  const reading = () => ({ cells, window: side, ...now, query });

  function ask(next) {
    query = operatorsAt(next, (n) => Math.min(cells - 1, Math.max(0, Math.floor(n))));
    draw();
    changed();
  }

  function draw() {
    for (const { way, canvas, note } of panels) {
      const ratio = window.devicePixelRatio || 1;
      const width = Math.round((canvas.clientWidth || 180) * ratio);
      canvas.width = canvas.height = width;
      const context = contextOf(canvas);
      context.imageSmoothingEnabled = true;
      context.drawImage(ground, 0, 0, width, width);
      const { keys, reached } = { dense: drawDense, outlook: drawOutlook, focal: drawFocal }[way](context, width, ratio);
      setText(note, words("told", { keys, reached }));
    }
  }

  /** Cover all but some cells; a path says which. */
  function veil(context, width, uncovered) {
    context.save();
    context.beginPath();
    context.rect(0, 0, width, width);
    uncovered();
    context.clip("evenodd");
    context.fillStyle = "rgba(238, 240, 244, 0.86)";
    context.fillRect(0, 0, width, width);
    context.restore();
  }

  function mark(context, width, ratio, grid, [y, x]) {
    const cell = width / grid;
    context.lineWidth = 2.5 * ratio;
    context.strokeStyle = "#ffffff";
    context.strokeRect(x * cell - ratio, y * cell - ratio, cell + 2 * ratio, cell + 2 * ratio);
    context.strokeStyle = "#c2185b";
    context.strokeRect(x * cell, y * cell, cell, cell);
  }

  function drawDense(context, width, ratio) {
    mark(context, width, ratio, cells, query);
    return { keys: cells ** 2, reached: 1 };
  }

  function drawOutlook(context, width, ratio) {
    const grid = data.array("operators.outlook").shape[0];
    const at = operatorsAt(query, (n) => Math.floor((n * grid) / cells));
    const { row, keys, reached } = operatorsOutlook(data, at);
    const cell = width / grid;
    const most = row.reduce((least, weight) => Math.max(least, weight), 0);
    const each = Array.from(row.keys()).filter((n) => row[n] > 0);
    /** @returns {[number, number]} */
    const place = (n) => [(n % grid) * cell, Math.floor(n / grid) * cell];
    veil(context, width, () => {
      for (const n of each) context.rect(...place(n), cell, cell);
    });
    for (const n of each) {
      context.fillStyle = `rgba(209, 85, 31, ${(0.85 * row[n]) / most})`;
      context.fillRect(...place(n), cell, cell);
    }
    mark(context, width, ratio, grid, at);
    return { keys, reached };
  }

  function drawFocal(context, width, ratio) {
    const found = operatorsFocal(/** @type {any} */ (reading()));
    const cell = width / cells;
    const [top, bottom, left, right] = found.fine;
    const fine = [left * cell, top * cell, (right - left + 1) * cell, (bottom - top + 1) * cell];
    veil(context, width, () => {
      for (const [y, x] of found.pools) context.rect(x * side * cell, y * side * cell, side * cell, side * cell);
      if (!found.pools.length) context.rect(...fine);
    });
    context.imageSmoothingEnabled = true;
    for (const [y, x] of found.pools) {
      context.fillStyle = averages(y, x);
      context.fillRect(x * side * cell, y * side * cell, side * cell, side * cell);
      context.strokeStyle = "rgba(20, 23, 29, 0.55)";
      context.lineWidth = ratio;
      context.strokeRect(x * side * cell, y * side * cell, side * cell, side * cell);
    }
    const scale = ground.width / width;
    context.drawImage(ground, fine[0] * scale, fine[1] * scale, fine[2] * scale, fine[3] * scale, ...fine);
    context.strokeStyle = "#d1551f";
    context.lineWidth = 2 * ratio;
    context.strokeRect(...fine);
    mark(context, width, ratio, cells, query);
    return found;
  }

  /** The mean colour of one window: what a pooled key is made of. */
  function averages(y, x) {
    const { data: pixels, shape } = data.array("operators.picture");
    const wide = shape[1];
    const each = (wide / cells) * side;
    const sums = [0, 0, 0];
    for (let dy = 0; dy < each; dy++) {
      for (let dx = 0; dx < each; dx++) {
        for (let c = 0; c < 3; c++) sums[c] += pixels[3 * ((y * each + dy) * wide + x * each + dx) + c];
      }
    }
    return `rgb(${sums.map((sum) => Math.round(sum / each ** 2)).join()})`;
  }

  draw();
  return { state: () => ({ query, ...now }), reading, resize: draw, destroy: () => root.replaceChildren() };
}

/**
 * Row and column, each made another by a function.
 * @returns {[number, number]}
 */
function operatorsAt([y, x], made) {
  return [made(y), made(x)];
}

/** A picture of bytes, drawn once. */
function operatorsGround({ data: pixels, shape }) {
  const [height, width] = shape;
  const canvas = element("canvas", { width, height });
  const context = contextOf(canvas);
  const image = context.createImageData(width, height);
  for (let n = 0; n < width * height; n++) {
    for (let c = 0; c < 3; c++) image.data[4 * n + c] = pixels[3 * n + c];
    image.data[4 * n + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
