// The brush: cells of the key grid are painted on the pictures, for questions about just these.

import { say, texts } from "../../shared/language.js";
import { counted } from "../pure/words.js";
import { element, setText } from "../../shared/dom.js";
import { paintedCells } from "../pure/painted.js";

const SIZES = [1, 3, 5];
const BRUSH_TIP = texts("Paint cells on the pictures, with the pointer or the keys, to ask about just these: cut them, mask them. B takes up the brush");
const BRUSH_HOW = texts("Drag over the frames; a stroke that begins on a painted cell takes away. Keys: arrows, <kbd>,</kbd><kbd>.</kbd> move, <kbd>Enter</kbd> paints, <kbd>Del</kbd> clears, <kbd>Esc</kbd> lays it down");

/**
 * Build the brush's controls.
 * @param {Handlers} on brush(size | null), clear()
 * @param {AbortSignal} signal
 */
export function createBrush(on, signal) {
  const button = (name, more) => element("button", { type: "button", class: `nlv-button ${name}`, ...more });
  const take = button("nlv-paint", { text: say("Paint keys"), "aria-pressed": "false", "data-tip": say(BRUSH_TIP) });
  const sizes = element("div", { class: "nlv-segments", role: "radiogroup", "aria-label": say("Size of the brush in cells") },
    ...SIZES.map((size) => element("button", { type: "button", role: "radio", value: String(size), text: `${size}×${size}`, "aria-checked": "false" })));
  const clear = button("nlv-clear", { text: say("Clear"), "data-tip": say("Nothing is painted then") });
  const count = element("span", { class: "nlv-painted", role: "status" });
  const how = element("span", { class: "nlv-how", html: say(BRUSH_HOW) });
  const bar = element("div", { class: "nlv-brush", role: "group", "aria-label": say("Brush") }, take, sizes, count, clear, how);
  let size = SIZES[1];
  let taken = false;

  take.addEventListener("click", () => on.brush(taken ? null : size), { signal });
  clear.addEventListener("click", () => on.clear(), { signal });
  sizes.addEventListener("click", ({ target }) => {
    if (target instanceof HTMLButtonElement) on.brush(Number(target.value));
  }, { signal });

  /** Make the controls say what is painted, and with what. */
  function sync(state, shape) {
    taken = state.brush !== null;
    size = state.brush?.size ?? size;
    const cells = paintedCells(state.view.painted, shape).length;
    take.setAttribute("aria-pressed", String(taken));
    for (const one of sizes.querySelectorAll("button")) one.setAttribute("aria-checked", String(Number(one.value) === size));
    sizes.hidden = how.hidden = !taken;
    clear.hidden = cells === 0;
    count.hidden = cells === 0 && !taken;
    setText(count, cells === 0 ? say("nothing painted") : say("{cells} painted", { cells: counted(cells, "cell") }));
  }

  return { element: bar, sync, size: () => size };
}
