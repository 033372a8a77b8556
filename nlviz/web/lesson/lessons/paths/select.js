// A list to choose from, with its label.

import { element } from "../../../shared/dom.js";

/**
 * @param {{name: string, label: string, choices: {value: string, text: string}[], value: string, moved: (value: string) => void}} about
 */
export function createPathsSelect({ name, label, choices, value, moved }) {
  const select = element("select", { "data-control": name }, ...choices.map((choice) => element("option", { value: choice.value, text: choice.text })));
  select.value = value;
  select.addEventListener("change", () => moved(select.value));
  return { element: element("label", { class: "nlesson-slider" }, element("span", { text: label }), select) };
}
