// One query under several affinities: for each a strip of frames with its map over the other frames,
// and how much of it lies on the same object, by the clip's truth.

import { tableOf } from "../../../live_view/pure/colour.js";
import { contextOf, element, setText } from "../../../shared/dom.js";
import { createSegments } from "../../figures/field.js";
import { outlineOf } from "./pure/outline.js";
import { featureRows } from "./pure/rows.js";

const STRIP_VEIL = "rgba(12, 14, 20, 0.42)";
const STRIP_STEPS = { ArrowUp: [0, -1, 0], ArrowDown: [0, 1, 0], ArrowLeft: [0, 0, -1], ArrowRight: [0, 0, 1], "[": [-1, 0, 0], "]": [1, 0, 0] };
const MOST_TRIED = 60;

/** A kept state, if it is one of these strips. */
function keptStrips(state, lights) {
  const place = Array.isArray(state?.query) && state.query.length === 3 && state.query.every(Number.isFinite);
  if (!place || !lights.includes(state.light)) return null;
  const tried = Array.isArray(state.tried) ? state.tried.filter((cell) => Number.isInteger(cell) && cell >= 0) : [];
  return { query: state.query, light: state.light, tried: tried.slice(0, MOST_TRIED) };
}

/** @type {FigureMaker} */
export function createFeatureStrips(root, spec, data, { say, changed, signal, state }) {
  const { head } = data;
  const { frames, width: clipWidth, height: clipHeight } = head.clip;
  const rows = featureRows(data);
  const { grid } = rows;
  const lights = spec.lights ?? ["filmed"];
  const now = keptStrips(state, lights) ?? { query: spec.query, light: spec.light ?? lights[0], tried: [] };
  const table = tableOf(data.array("lut_seq").data, 1);
  const { data: labels, shape: labelShape } = data.array("labels.pixels");
  /** @type {[number, number, number]|null} */
  let hovered = null;
  /** @type {ImageBitmap[]} */
  let pictures = [];
  let gone = false;
  let waiting = 0;

  const controls = element("div", { class: "nlesson-controls" });
  if (lights.length > 1) {
    controls.append(createSegments({
      name: "light", label: say(spec.labels.light), value: now.light,
      choices: lights.map((value) => ({ value, text: say(spec.labels[value]) })),
      moved(value) {
        now.light = value;
        acted();
      },
    }).element);
  }
  const choices = Array.from({ length: frames }, (_, n) => ({ value: String(n), text: String(n + 1) }));
  const frameField = createSegments({ name: "frame", label: say(spec.labels.frame), value: String(now.query[0]), choices, moved: (value) => ask([Number(value), now.query[1], now.query[2]]) });
  controls.append(frameField.element);
  const said = element("p", { class: "nlesson-said", role: "status" });
  const strips = spec.strips.map(createStrip);
  root.append(controls, ...strips.map((strip) => strip.element), said);

  /** The strip of one affinity. */
  function createStrip(key) {
    const name = say(spec.labels[key]);
    const canvases = Array.from({ length: frames }, () => element("canvas"));
    const tiles = element("div", { class: "nlesson-features-tiles", style: `--columns:${spec.columns ?? 4}` }, ...canvases);
    const brightest = element("span", { class: "nlesson-said" });
    const bar = element("div", { class: "nlesson-features-bar", "aria-hidden": "true" });
    const words = element("p", { class: "nlesson-features-words" });
    const box = element("section", { class: "nlesson-features-strip", tabindex: "0", role: "application", "aria-label": name, "data-strip": key },
      element("h3", { class: "nlesson-features-name" }, element("span", { text: name }), brightest), tiles, bar, words);
    canvases.forEach((canvas, frame) => {
      const place = (event) => {
        const { left, top, width, height } = canvas.getBoundingClientRect();
        return /** @type {[number, number, number]} */ ([frame, ((event.clientY - top) / height) * clipHeight - 0.5, ((event.clientX - left) / width) * clipWidth - 0.5]);
      };
      canvas.addEventListener("pointermove", (event) => {
        if (event.pointerType === "touch") return;
        hovered = place(event);
        soon();
      });
      canvas.addEventListener("pointerleave", () => {
        hovered = null;
        soon();
      });
      canvas.addEventListener("click", (event) => {
        hovered = null;
        ask(place(event));
      });
    });
    box.addEventListener("keydown", keyed);

    function draw(query, light) {
      const row = rows.row(light, key, query);
      const scaled = new Uint8ClampedArray(4 * row.values.length);
      const colours = new Uint32Array(scaled.buffer);
      const most = row.values[row.best];
      for (let j = 0; j < colours.length; j++) colours[j] = table[Math.round(255 * Math.sqrt(row.values[j] / most))];
      for (const [frame, canvas] of canvases.entries()) drawFrame(canvas, frame, row, scaled, light);
      setText(brightest, say(spec.labels.brightest, { times: row.brightest }));
      const parts = row.object ? partsOf(row) : [];
      bar.replaceChildren(...parts.map(({ kind, share }) => element("i", { class: `nlesson-features-${kind}`, style: `flex:${Math.max(share, 0.001)}` })));
      words.replaceChildren(...(parts.length ? parts.flatMap(({ kind, text }) => [element("span", { class: `nlesson-features-word nlesson-features-word-${kind}`, text })]) : [say(spec.labels.background)]));
      const read = parts.length ? parts.map(({ text }) => text).join(", ") : say(spec.labels.background);
      box.setAttribute("aria-label", `${name}: ${read}`);
      box.dataset.same = row.object ? row.same.toFixed(4) : "";
      return row;
    }
    return { element: box, draw };
  }

  function partsOf({ same, twin, object }) {
    const rest = Math.max(0, 1 - same - twin);
    const parts = [{ kind: "same", share: same, text: say(spec.labels.same, { share: same }) }];
    if (head.twins[object] > 0) parts.push({ kind: "twin", share: twin, text: say(spec.labels.twin, { share: twin }) });
    parts.push({ kind: "rest", share: rest, text: say(spec.labels.elsewhere, { share: rest }) });
    return parts;
  }

  function drawFrame(canvas, frame, row, scaled, light) {
    const ratio = Math.min(3, window.devicePixelRatio || 1);
    const width = Math.round((canvas.clientWidth || 160) * ratio);
    const height = Math.round((width * clipHeight) / clipWidth);
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const context = contextOf(canvas);
    const scale = width / clipWidth;
    context.fillStyle = "#444a45";
    context.fillRect(0, 0, width, height);
    context.imageSmoothingEnabled = true;
    if (pictures[frame]) context.drawImage(pictures[frame], 0, 0, width, height);
    if (light === "darker" && frame >= Math.floor(frames / 2)) {
      context.fillStyle = `rgba(0, 0, 0, ${1 - head.darker})`;
      context.fillRect(0, 0, width, height);
    }
    if (frame !== row.frame) {
      context.globalCompositeOperation = "saturation"; // almost grey, so that the map's colours are its own
      context.fillStyle = "rgba(128, 128, 128, 0.85)";
      context.fillRect(0, 0, width, height);
      context.globalCompositeOperation = "source-over";
      context.fillStyle = STRIP_VEIL;
      context.fillRect(0, 0, width, height);
      drawCells(context, frame, row, scaled, scale);
      if (row.object) {
        drawOutline(context, frame, row.object, scale, []);
        if (head.twins[row.object] > 0) drawOutline(context, frame, head.twins[row.object], scale, [4 * ratio, 3 * ratio]);
      }
      return;
    }
    for (const [side, dash] of squaresOf()) drawSquare(context, row, side, scale, ratio, dash);
  }

  /** The squares around the query: its cell, and what enters it where the screen speaks of that. */
  function squaresOf() {
    const squares = [[grid.stride[2], []]];
    if (spec.squares) squares.push([head.numbers.patch, []], [head.numbers.sees, [5, 4]]);
    return /** @type {[number, number[]][]} */ (squares);
  }

  function drawSquare(context, row, side, scale, ratio, dash) {
    const at = [(row.x + 0.5 - side / 2) * scale, (row.y + 0.5 - side / 2) * scale, side * scale, side * scale];
    context.setLineDash(dash.map((length) => length * ratio));
    context.lineWidth = 3.5 * ratio;
    context.strokeStyle = "#14171d";
    context.strokeRect(...at);
    context.lineWidth = 2 * ratio;
    context.strokeStyle = "#ffffff";
    context.strokeRect(...at);
    context.setLineDash([]);
  }

  function drawCells(context, frame, row, scaled, scale) {
    const [, h, w] = row.grid.shape;
    const image = new ImageData(scaled.slice(4 * frame * h * w, 4 * (frame + 1) * h * w), w, h);
    const small = element("canvas", { width: w, height: h });
    contextOf(small).putImageData(image, 0, 0);
    context.imageSmoothingEnabled = false;
    const [, sy, sx] = row.grid.stride;
    const [, oy, ox] = row.grid.origin;
    context.drawImage(small, (ox + 0.5 - sx / 2) * scale, (oy + 0.5 - sy / 2) * scale, w * sx * scale, h * sy * scale);
  }

  function drawOutline(context, frame, object, scale, dash) {
    const [, h, w] = labelShape;
    const step = [clipWidth / w, clipHeight / h];
    context.beginPath();
    for (const [x0, y0, x1, y1] of outlineOf(labels, frame * h * w, h, w, object)) {
      context.moveTo(x0 * step[0] * scale, y0 * step[1] * scale);
      context.lineTo(x1 * step[0] * scale, y1 * step[1] * scale);
    }
    context.setLineDash(dash);
    context.lineWidth = Math.max(1, 1.6 * scale);
    context.strokeStyle = "rgba(255, 255, 255, 0.9)";
    context.stroke();
    context.setLineDash([]);
  }

  const asPlaceOf = ([frame, y, x]) => ({ frame, y, x });

  function draw() {
    waiting = 0;
    if (gone) return;
    const query = asPlaceOf(hovered ?? now.query);
    for (const strip of strips) strip.draw(query, now.light);
    frameField.set(String(now.query[0]));
    root.dataset.query = now.query.map((value) => Math.round(value)).join(",");
    if (spec.tally) setText(said, say(spec.labels.tally, tallied()));
    root.dataset.drawn = pictures.length ? "" : "waits";
  }

  /** In how many of the learner's tries the first of the strips had less on the same object than the second. */
  function tallied() {
    const [first, second] = spec.strips;
    let own = 0;
    for (const cell of now.tried) {
      const place = placeOf(cell);
      if (rows.row(now.light, second, place).same > rows.row(now.light, first, place).same) own += 1;
    }
    return { own, tries: now.tried.length };
  }

  function placeOf(cell) {
    const [, h, w] = grid.shape;
    return { frame: Math.floor(cell / (h * w)), y: grid.origin[1] + grid.stride[1] * (Math.floor(cell / w) % h), x: grid.origin[2] + grid.stride[2] * (cell % w) };
  }

  function soon() {
    if (!waiting) waiting = requestAnimationFrame(draw);
  }

  function acted() {
    soon();
    changed();
  }

  /** Ask at a place: the centre of the cell that it falls into. */
  function ask(place) {
    const { cell, frame, y, x, object } = rows.cellAt(asPlaceOf(place));
    now.query = [frame, Number(y.toFixed(1)), Number(x.toFixed(1))];
    if (spec.tally && object && !now.tried.includes(cell) && now.tried.length < MOST_TRIED) now.tried.push(cell);
    acted();
  }

  function keyed(event) {
    const step = STRIP_STEPS[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const moved = now.query.map((value, axis) => value + step[axis] * grid.stride[axis]);
    moved[0] = Math.min(frames - 1, Math.max(0, moved[0]));
    ask(/** @type {[number, number, number]} */ (moved));
  }

  Promise.all(Array.from({ length: frames }, (_, n) => createImageBitmap(new Blob([/** @type {any} */ (data.bytes(`frame${n}`))], { type: "image/jpeg" }))))
    .then((found) => {
      pictures = found;
      soon();
    });
  signal.addEventListener("abort", () => { gone = true; });
  soon();

  return {
    state: () => ({ query: now.query, light: now.light, ...(spec.tally ? { tried: [...now.tried] } : {}) }),
    reading: () => ({}),
    resize() {
      root.classList.toggle("nlesson-features-small", root.clientWidth < 560);
      soon();
    },
    destroy() {
      gone = true;
      cancelAnimationFrame(waiting);
    },
  };
}
