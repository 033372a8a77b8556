// Before and after: two pictures on top of each other and a divider that can be dragged.

import { say } from "../shared/language.js";
import { element, setText } from "../shared/dom.js";
import { dividerAfter, dividerAt } from "./geometry.js";
import { drawWhole, shownOf, sized } from "./pixels.js";

/**
 * Build the slider.
 * @param {LensItem[]} items decoded pictures
 * @param {LensHead} lens the header's part
 * @param {LensView} state kept by the caller, changed here
 */
export function createDivider(items, lens, state) {
  const sides = ["before", "after"].map((name) => ({
    name,
    canvas: element("canvas", { class: `nlens-${name}`, role: "img" }),
    tag: element("span", { class: `nlens-tag nlens-tag-${name}` }),
    select: element("select", { name },
      ...items.map((item) => element("option", { value: item.key, text: say(item.label), selected: state[name] === item.key }))),
  }));
  const [before, after] = sides;
  const handle = element("div", {
    class: "nlens-handle", role: "slider", tabindex: "0", "aria-label": say("Divider"),
    "aria-valuemin": "0", "aria-valuemax": "100", "aria-orientation": "horizontal",
  }, element("i", { "aria-hidden": "true" }));
  const stage = element("div", { class: "nlens-stage" },
    after.canvas, before.canvas, before.tag, after.tag, handle);
  stage.style.aspectRatio = `${lens.width} / ${lens.height}`;
  stage.style.setProperty("--aspect", String(lens.width / lens.height));
  const swap = element("button", { class: "nlv-button", type: "button", text: say("⇄ Swap") });
  const node = element("div", { class: "nlens-divider" },
    element("div", { class: "nlens-pair" },
      element("label", { class: "nlv-field", text: say("Left") }, before.select),
      swap,
      element("label", { class: "nlv-field", text: say("Right") }, after.select)),
    stage);
  const byKey = new Map(items.map((item) => [item.key, item]));
  const itemOf = (key) => byKey.get(key) ?? items[0];
  let shown = "picture";

  function draw(show = shown) {
    shown = show;
    const { width, height } = stage.getBoundingClientRect();
    if (!width) return;
    for (const { name, canvas, tag, select } of sides) {
      const item = itemOf(state[name]);
      select.value = item.key;
      sized(canvas, width, height);
      const source = shownOf(item, show);
      drawWhole(canvas, source);
      const text = source ? say(item.label) : say("{name}: no method noise", { name: say(item.label) });
      setText(tag, text);
      canvas.setAttribute("aria-label", text);
    }
    place();
  }

  function place() {
    const percent = Math.round(100 * state.split);
    stage.style.setProperty("--split", `${100 * state.split}%`);
    handle.setAttribute("aria-valuenow", String(percent));
    handle.setAttribute("aria-valuetext",
      `${percent} % ${itemOf(state.before).label}, ${100 - percent} % ${itemOf(state.after).label}`);
  }

  function moveTo(split) {
    state.split = split;
    place();
  }

  const follow = (event) => moveTo(dividerAt(stage.getBoundingClientRect(), event.clientX));
  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    stage.setPointerCapture(event.pointerId);
    follow(event);
    handle.focus({ preventScroll: true, focusVisible: false });
    event.preventDefault();
  });
  stage.addEventListener("pointermove", (event) => {
    if (stage.hasPointerCapture(event.pointerId)) follow(event);
  });
  handle.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const next = dividerAfter(state.split, event.key, event.shiftKey);
    if (next === null) return;
    moveTo(next);
    event.preventDefault();
    event.stopPropagation();
  });
  for (const { name, select } of sides) {
    select.addEventListener("change", () => {
      state[name] = select.value;
      draw();
    });
  }
  swap.addEventListener("click", () => {
    [state.before, state.after] = [state.after, state.before];
    draw();
  });

  return { node, stage, draw };
}
