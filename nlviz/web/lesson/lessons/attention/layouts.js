// A digit that can be moved, and where each of CoAtNet's layouts keeps the answer that it began with.

import { contextOf, element, setText } from "../../../shared/dom.js";
import { createSegments, createSlider } from "../../figures/field.js";
import { createTiles } from "../../figures/tiles.js";
import { layoutsKept, layoutsOf } from "./pure/layouts_maths.js";

const LAYOUTS_KEPT = [186, 214, 232];
const LAYOUTS_CHANGED = [194, 65, 12];

export function createLayoutsFigure(root, spec, data, { say, changed, state }) {
  const { reach, seen, digit: wide, side: pixels, stay } = data.head.layouts;
  const words = (name, values) => say(spec.labels[name], values);
  const inside = (n) => Number.isInteger(n) && n >= 0 && n <= reach;
  const pictures = data.head.layouts.digits.map((_, n) => layoutsOf(data, n));
  let number = pictures[state?.picture] ? state.picture : spec.picture;
  const { names, side: places, start } = pictures[0];
  const plane = data.array("layouts.planes");
  let place = Array.isArray(state?.place) && state.place.length === 2 && state.place.every(inside) ? [...state.place] : [...start];
  const colours = pictures.map((each) => layoutsKept(each).map(coloured));

  const canvas = element("canvas", { class: "nlesson-attention-layouts-picture", width: pixels, height: pixels, tabindex: "0", role: "application", "aria-label": words("picture"), "data-control": "digit" });
  const box = element("i", { class: "nlesson-attention-layouts-seen", style: `width:${(100 * (seen + wide)) / pixels}%;height:${(100 * (seen + wide)) / pixels}%` });
  const picture = element("div", { class: "nlesson-attention-layouts-frame" }, canvas, box);
  const sliders = ["y", "x"].map((name, axis) => createSlider({
    name, label: words(name), least: 0, most: reach, step: 1, value: place[axis], moved: (value) => move(axis ? [place[0], value] : [value, place[1]]),
  }));
  const choice = createSegments({
    name: "picture", label: words("digits"), value: String(number),
    choices: pictures.map(({ digit }, n) => ({ value: String(n), text: String(digit) })),
    moved: (value) => {
      number = Number(value);
      draw();
      changed();
    },
  });
  const tiles = createTiles(data, { label: words("maps"), name: "layout", side: 128 });
  const said = element("p", { class: "nlesson-said" });
  const legend = element("p", { class: "nlesson-said nlesson-attention-layouts-legend" },
    layoutsSign(LAYOUTS_KEPT, words("kept")), layoutsSign(LAYOUTS_CHANGED, words("changed")), layoutsSign(null, words("quarter")));
  root.append(
    element("div", { class: "nlesson-attention-layouts" },
      element("div", { class: "nlesson-attention-layouts-digit" }, choice.element, picture, said, ...[sliders[1], sliders[0]].map((slider) => slider.element)),
      element("div", { class: "nlesson-attention-layouts-maps" }, tiles.element, legend)),
  );

  /** A map of places, darker at the border of those that training used. */
  function coloured(kept) {
    const bytes = new Uint8Array(3 * kept.length);
    kept.forEach((same, n) => {
      const [y, x] = [Math.floor(n / places), n % places];
      const edge = (y === seen && x <= seen) || (x === seen && y <= seen);
      const colour = same ? LAYOUTS_KEPT : LAYOUTS_CHANGED;
      bytes.set(colour.map((value) => Math.round(value * (edge ? 0.55 : 1))), 3 * n);
    });
    return bytes;
  }

  function move(next) {
    place = next.map((n) => Math.min(reach, Math.max(0, Math.round(n))));
    for (const [axis, slider] of sliders.entries()) slider.set(place[axis]);
    draw();
    changed();
  }

  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    move([place[0] + step[0], place[1] + step[1]]);
  });
  const follow = (event) => {
    const frame = canvas.getBoundingClientRect();
    move([((event.clientY - frame.top) / frame.height) * pixels - wide / 2, ((event.clientX - frame.left) / frame.width) * pixels - wide / 2]);
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    follow(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (canvas.hasPointerCapture(event.pointerId)) follow(event);
  });

  function draw() {
    const [y, x] = place;
    const wholeSide = plane.shape[1];
    const context = contextOf(canvas);
    const image = context.createImageData(pixels, pixels);
    for (let n = 0; n < pixels * pixels; n++) {
      const cell = (reach - y + Math.floor(n / pixels)) * wholeSide + reach - x + (n % pixels);
      image.data.fill(plane.data[number * wholeSide * wholeSide + cell], 4 * n, 4 * n + 3);
      image.data[4 * n + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    const { at, first } = pictures[number];
    tiles.draw(names.map((name, layout) => ({
      id: name.toLowerCase(), name, rows: places, columns: places, pixels: colours[number][layout],
      marks: [{ row: y, column: x, kind: "layouts-here" }],
      note: words(at(layout, y, x) === first[layout] ? "same" : "other", { answer: at(layout, y, x), share: stay[layout] }),
    })));
    setText(said, words("place", { y, x }));
  }

  draw();
  return { state: () => ({ place, picture: number }), reading: () => ({ place, picture: number }), destroy: () => root.replaceChildren() };
}

function layoutsSign(colour, text) {
  return element("span", {}, element("i", { style: colour && `background:rgb(${colour.join()})` }), text);
}
