// Above the pictures: what is shown, how large, and where the lens is.

import { say, texts } from "../shared/language.js";
import { element, setText } from "../shared/dom.js";

function segments(name, label, choices, chosen) {
  const buttons = choices.map(([value, text]) => element("button", {
    type: "button", role: "radio", "data-value": value, text: say(text),
  }));
  const group = element("div", { class: "nlv-segments", role: "radiogroup", "aria-label": say(label), "data-field": name }, ...buttons);
  const set = (value) => {
    for (const button of buttons) {
      const on = button.dataset.value === value;
      button.setAttribute("aria-checked", String(on));
      button.tabIndex = on ? 0 : -1;
    }
  };
  group.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("button") : null;
    if (button) chosen(button.dataset.value);
  });
  group.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (!step) return;
    const now = buttons.findIndex((button) => button.tabIndex === 0);
    const next = buttons[(now + step + buttons.length) % buttons.length];
    next.focus();
    chosen(next.dataset.value);
    event.preventDefault();
    event.stopPropagation();
  });
  return { group, set };
}

/**
 * Build the toolbar.
 * @param {LensHead} lens the header's part
 * @param {Handlers} on layout(name), show(name), zoom(step), free()
 */
export function createToolbar(lens, on) {
  const layout = segments("layout", texts("Arrangement"), texts([["grid", "Side by side"], ["divider", "Before | after"]]), on.layout);
  const show = segments("show", texts("What is shown"), texts([["picture", "Picture"], ["noise", "Method noise"]]), on.show);
  show.group.hidden = lens.pictures.every((item) => item.noise === null);
  const less = element("button", { type: "button", class: "nlv-button nlens-step", "aria-label": say("Magnify less"), text: "−" });
  const more = element("button", { type: "button", class: "nlv-button nlens-step", "aria-label": say("Magnify more"), text: "+" });
  const times = element("output", { class: "nlens-times" });
  const zoom = element("span", { class: "nlens-zoom" }, say("Lens"), less, times, more);
  const state = element("span", { class: "nlv-state" });
  const place = element("span", { class: "nlens-place" });
  const free = element("button", { type: "button", class: "nlv-button", text: say("Unpin") });
  const hint = element("span", { class: "nlv-hint", html:
    say("<kbd>click</kbd> pins <kbd>Esc</kbd> unpins <kbd>←</kbd><kbd>→</kbd><kbd>↑</kbd><kbd>↓</kbd> move <kbd>wheel</kbd> zooms") });
  const where = element("div", { class: "nlens-where" }, zoom, place, state, free, hint);
  const note = element("p", { class: "nlens-note" });
  less.addEventListener("click", () => on.zoom(-1));
  more.addEventListener("click", () => on.zoom(1));
  free.addEventListener("click", on.free);
  const node = element("div", { class: "nlens-toolbar" },
    element("div", { class: "nlens-switches" }, layout.group, show.group), where, note);

  function update(view, point, pinned, scale) {
    layout.set(view.layout);
    show.set(view.show);
    where.hidden = view.layout !== "grid";
    setText(times, `×${view.zoom}`);
    less.disabled = view.zoom <= view.least;
    more.disabled = view.zoom >= view.most;
    setText(place, point ? `y ${point.y}, x ${point.x}` : "y –, x –");
    setText(state, pinned ? say("pinned") : point ? say("follows the pointer") : say("not pinned"));
    state.dataset.state = pinned ? "pinned" : "free";
    free.disabled = !pinned;
    const percent = Math.round(100 * scale);
    const size = { width: lens.width, height: lens.height, percent };
    setText(note, view.show === "noise" ? say(lens.noise_note)
      : view.layout === "grid" ? say("{width} × {height} pixels, shown at {percent} %; the lens shows them as they are.", size) : say("{width} × {height} pixels, shown at {percent} %.", size));
  }

  return { node, update };
}
