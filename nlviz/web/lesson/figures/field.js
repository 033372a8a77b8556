// Controls of figures: each a real form control with a label; tests and keyboards find them by their name.

import { element, setText } from "../../shared/dom.js";
import { richLine } from "../rich.js";

/**
 * A slider with its value beside it.
 * @param {{name: string, label: string, least: number, most: number, step: number, value: number,
 *   write?: (value: number) => string, moved: (value: number) => void}} about
 */
export function createSlider({ name, label, least, most, step, value, write = String, moved }) {
  const input = element("input", { type: "range", min: least, max: most, step, value, "data-control": name });
  const shown = element("output", { class: "nlesson-shown", text: write(value) });
  const field = element("label", { class: "nlesson-slider" }, element("span", {}, ...richLine(label)), element("span", { class: "nlesson-slid" }, input, shown));
  const say = () => {
    const now = Number(input.value);
    setText(shown, write(now));
    input.setAttribute("aria-valuetext", write(now));
  };
  say();
  input.addEventListener("input", () => {
    say();
    moved(Number(input.value));
  });
  return {
    element: field,
    value: () => Number(input.value),
    set(next) {
      input.value = String(next);
      say();
    },
  };
}

/**
 * A few choices side by side, one of which holds.
 * @param {{name: string, label: string, choices: {value: string, text: string, tip?: string}[], value: string,
 *   moved: (value: string) => void}} about
 */
export function createSegments({ name, label, choices, value, moved }) {
  let now = value;
  const buttons = choices.map(({ value: each, text, tip }) => {
    const button = element("button", { type: "button", text, title: tip, "data-control": name, "data-value": each, "aria-pressed": String(each === now) });
    button.addEventListener("click", () => {
      if (now === each) return;
      set(each);
      moved(each);
    });
    return button;
  });
  const field = element("div", { class: "nlesson-segments", role: "group", "aria-label": label },
    element("span", { class: "nlesson-segments-label", text: label }), element("span", { class: "nlesson-segments-row" }, ...buttons));

  function set(next) {
    now = next;
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.value === now));
  }

  return { element: field, value: () => now, set };
}
