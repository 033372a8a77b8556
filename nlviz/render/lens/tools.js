// The row of tools above the grid: what is shown, how much it is magnified, where.

import { element, setText } from "../live_view/dom.js";

const SAID = "Point at a picture: every picture shows the same pixels, magnified. Click to hold them.";

/** @param {object} on flip(noise), zoom(steps), free() */
export function createTools({ noise_note: note, width, height }, hasNoise, on, signal) {
  const press = (node, act) => {
    node.addEventListener("click", act, { signal });
    return node;
  };
  const choice = (text, noise) => press(element("button", {
    type: "button", class: "nlz-choice", "aria-pressed": String(!noise), "data-noise": String(noise), text,
  }), () => on.flip(noise));
  const choices = hasNoise ? [choice("Picture", false), choice("Method noise", true)] : [];
  const less = press(element("button", { type: "button", class: "nlv-button", text: "−", "aria-label": "Magnify less", title: "Magnify less (−)" }), () => on.zoom(-1));
  const more = press(element("button", { type: "button", class: "nlv-button", text: "+", "aria-label": "Magnify more", title: "Magnify more (+)" }), () => on.zoom(1));
  const times = element("output", { class: "nlz-times" });
  const where = element("span", { class: "nlz-where", style: `min-width: ${String(width).length + String(height).length + 9}ch` });
  const free = press(element("button", { type: "button", class: "nlv-button nlz-free", text: "Free the lens", title: "Free the lens (Esc)" }), on.free);
  const bar = element("div", { class: "nlz-tools", role: "toolbar", "aria-label": "Lens" },
    hasNoise ? element("div", { class: "nlz-switch", role: "group", "aria-label": "Shown" }, ...choices) : null,
    element("div", { class: "nlz-zoom", role: "group", "aria-label": "Magnification" }, less, times, more),
    where, free,
    element("span", { class: "nlv-hint" },
      ...[["wheel", " or "], ["+", ""], ["−", " zoom  "], ["arrows", " by a pixel  "], ["Esc", " frees"]]
        .flatMap(([key, text]) => [element("kbd", { text: key }), text])));
  // Both notes lie in one place, so that nothing moves when the pictures change.
  const notes = element("div", { class: "nlz-notes" },
    element("p", { class: "nlz-note-picture", text: SAID }),
    hasNoise ? element("p", { class: "nlz-note-noise", text: note }) : null);

  function draw({ noise, zoom, point, pinned, canMore, canLess }) {
    for (const one of choices) one.setAttribute("aria-pressed", String(one.dataset.noise === String(noise)));
    setText(times, `${zoom} ×`);
    less.disabled = !canLess;
    more.disabled = !canMore;
    setText(where, point ? `y ${point.y}, x ${point.x}` : "");
    where.dataset.pinned = String(pinned);
    free.style.visibility = pinned ? "" : "hidden";
  }

  return { bar, notes, draw };
}
