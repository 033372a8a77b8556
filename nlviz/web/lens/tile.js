// One picture of the grid: the picture, its lens, and what is said below.

import { say } from "../shared/language.js";
import { element, setText } from "../shared/dom.js";
import { glassCorner, glassSide, pixelBelow } from "./geometry.js";
import { valueText } from "./numbers.js";
import { drawGlass, drawWhole, pixelAt, shownOf, sized } from "./pixels.js";

/** Build the tile of one picture; `scale` is what white stands for in the method noise. */
export function createTile(item, { width, height, noise_scale: scale }) {
  const base = element("canvas", { class: "nlens-base", role: "img", "aria-label": say(item.label) });
  const glass = element("canvas", { class: "nlens-glass", hidden: true });
  const none = element("p", { class: "nlens-none", hidden: true, text: say("no method noise: it is the reference") });
  const picture = element("div", { class: "nlens-picture", "data-key": item.key }, base, glass, none);
  picture.style.aspectRatio = `${width} / ${height}`;
  const value = element("span", { class: "nlens-value", text: "\u00a0" });
  const swatch = element("i", { class: "nlens-swatch", "aria-hidden": "true" });
  const node = element("figure", { class: item.best ? "nlens-tile nlens-best" : "nlens-tile", "data-key": item.key },
    picture,
    element("figcaption", {},
      element("span", { class: "nlens-line" },
        element("b", { class: "nlens-label", text: say(item.label), title: say(item.label) }),
        item.best ? element("span", { class: "nlens-mark", text: say("best") }) : null,
        element("span", { class: "nlens-caption", text: item.caption })),
      element("span", { class: "nlens-line nlens-numbers" }, swatch, value)));
  let box = { width: 0, height: 0, side: 0, ratio: 1 };
  let wanted = "picture";

  /** Redraw after the room or the kind of picture changed. */
  function draw(show) {
    wanted = show;
    const rect = picture.getBoundingClientRect();
    if (!rect.width) return;
    const side = glassSide(rect.width, rect.height);
    const ratio = sized(base, rect.width, rect.height);
    sized(glass, side, side);
    glass.style.width = `${side}px`;
    glass.style.height = `${side}px`;
    box = { width: rect.width, height: rect.height, side, ratio };
    const shown = shownOf(item, show);
    drawWhole(base, shown);
    none.hidden = shown !== null;
    base.setAttribute("aria-label", show === "noise" ? say("method noise of {name}", { name: say(item.label) }) : say(item.label));
  }

  /** Show the lens at a pixel, or hide it where `point` is null. */
  function look(point, zoom) {
    const shown = shownOf(item, wanted);
    const there = point !== null && shown !== null && box.width > 0;
    glass.hidden = !there;
    swatch.classList.toggle("nlens-on", there);
    if (!there) {
      setText(value, point !== null ? "\u2013" : "\u00a0");
      return;
    }
    // The lens stays inside its picture; the pixel stays in the middle of the lens.
    const { left, top } = glassCorner(point, { width, height }, box);
    glass.style.transform = `translate(${left}px, ${top}px)`;
    drawGlass(glass, shown, point, zoom, box.ratio);
    const levels = pixelAt(shown, point);
    setText(value, valueText(levels, wanted, scale));
    swatch.style.backgroundColor = `rgb(${levels.join(" ")})`;
  }

  /** Pixel of the picture below a point of the window. */
  const below = (clientX, clientY) => pixelBelow(picture.getBoundingClientRect(), { width, height }, clientX, clientY);

  return { node, picture, glass, draw, look, below, text: () => `${say(item.label)} ${value.textContent}` };
}
