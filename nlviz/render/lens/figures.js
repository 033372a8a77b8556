// The grid: one figure for each picture, with its glass, its caption and its value at the pixel.

import { element, setText } from "../live_view/dom.js";
import { drawGlass } from "./glass.js";

const SHARE = 0.52; // of the shorter side of a picture that its glass takes
const [SMALLEST, LARGEST] = [84, 220];

function said(values) {
  return values.length === 1 ? `grey ${values[0]}` : `R ${values[0]} G ${values[1]} B ${values[2]}`;
}

/** How many columns a number of pictures takes at most, so that rows are even. */
export function columnsOf(count) {
  if (count <= 4) return count;
  return count % 4 === 0 || (count % 3 !== 0 && count > 6) ? 4 : 3;
}

function figureOf(one, width, height) {
  const picture = one.picture;
  picture.className = "nlz-base";
  if (one.noise) one.noise.className = "nlz-base nlz-noise";
  const glass = element("canvas", { class: "nlz-glass", "aria-hidden": "true" });
  const empty = one.noise ? null : element("p", { class: "nlz-none", text: "no method noise here" });
  const box = element("div", {
    class: "nlz-picture", style: `aspect-ratio: ${width} / ${height}`, role: "img", "aria-label": one.label,
  }, picture, one.noise, empty, glass);
  const swatch = element("i", { class: "nlz-swatch" });
  const number = element("span", { class: "nlz-number", text: "–" });
  const figure = element("figure", { class: "nlz-figure", "data-key": one.key },
    box,
    element("figcaption", {},
      element("span", { class: "nlz-label", text: one.label }),
      element("span", { class: "nlz-measure" },
        one.best ? element("b", { class: "nlz-best", text: "best" }) : null,
        element("span", { text: one.caption })),
      element("span", { class: "nlz-value" }, swatch, number)));
  figure.classList.toggle("nlz-winner", one.best);
  return { ...one, figure, box, glass, swatch, number, side: 0 };
}

/** Build the figures below `grid`; draw(point, state) moves all glasses at once. */
export function createFigures(grid, pictures, { width, height }) {
  const figures = pictures.map((one) => figureOf(one, width, height));
  grid.style.setProperty("--columns", columnsOf(figures.length));
  grid.append(...figures.map((one) => one.figure));
  let boxWidth = 0;
  let boxHeight = 0;

  /** Fit glasses and the drawing of large pixels to the size on the screen. */
  function resize() {
    const box = figures[0].box.getBoundingClientRect();
    [boxWidth, boxHeight] = [box.width, box.height];
    const ratio = window.devicePixelRatio || 1;
    const side = Math.round(Math.max(Math.min(SMALLEST, boxWidth), Math.min(LARGEST, SHARE * Math.min(boxWidth, boxHeight))));
    const large = boxWidth >= 2 * width;
    for (const one of figures) {
      one.side = side;
      one.glass.width = one.glass.height = Math.round(side * ratio);
      one.glass.style.width = one.glass.style.height = `${side}px`;
      one.figure.classList.toggle("nlz-large-pixels", large);
    }
  }

  /** @param {{y, x}|null} point @param {{zoom: number, noise: boolean, lift: boolean}} how */
  function draw(point, { zoom, noise, lift }) {
    const cell = Math.max(1, Math.round(zoom * (window.devicePixelRatio || 1)));
    for (const one of figures) {
      const source = noise ? one.noise : one.picture;
      one.glass.hidden = point === null || source === null;
      if (point === null) {
        setText(one.number, "–");
        one.swatch.style.background = "";
        continue;
      }
      const values = one.values(point.y, point.x);
      setText(one.number, said(values));
      one.swatch.style.background = `rgb(${values.length === 1 ? Array(3).fill(values[0]) : values})`;
      if (source === null) continue;
      drawGlass(one.glass, source, point.y, point.x, cell);
      const left = ((point.x + 0.5) / width) * boxWidth - one.side / 2;
      // A finger covers what it points at, so the glass lies above it.
      const top = ((point.y + 0.5) / height) * boxHeight - one.side * (lift ? 1.25 : 0.5);
      const inside = (at, room) => Math.min(Math.max(at, Math.min(2, room / 2)), Math.max(room - 2, room / 2));
      one.glass.style.transform = `translate(${inside(left, boxWidth - one.side)}px, ${inside(top, boxHeight - one.side)}px)`;
    }
  }

  function spoken(point) {
    return figures.map((one) => `${one.label} ${said(one.values(point.y, point.x))}`).join("; ");
  }

  return { figures, resize, draw, spoken };
}
