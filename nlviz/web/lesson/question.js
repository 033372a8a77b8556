// The question of a screen: what the learner gives, and what is said of it.

import { element } from "../shared/dom.js";
import { say } from "../shared/language.js";
import { numberIn } from "./pure/number.js";
import { richLine, richText } from "./rich.js";

/**
 * @param {any} spec the screen's question
 * @param {{tell: function, judge: (given: any) => {right: boolean, say: string, values: any}, heard: (right: boolean) => void, teacher: () => boolean}} on
 *   judge computes; heard is told of each verdict
 * @param {{right: boolean, say: string, values: any}|null} before the latest verdict on this screen
 */
export function createQuestion(spec, { tell, judge, heard, teacher }, before) {
  const result = element("div", { class: "nlesson-result", role: "status", "aria-live": "polite" });
  const check = element("button", { type: "button", class: "nlesson-check", text: say("Check") });
  const title = element("div", { class: "nlesson-asked" }, ...richText(tell(spec.text)));
  /** @type {HTMLInputElement[]} */
  const options = [];
  /** @type {HTMLInputElement|null} */
  let field = null;
  /** @type {HTMLElement|string} */
  let answer = "";
  let verdict = before;
  let revealed = false;

  if (spec.kind === "choice") {
    const name = `nlesson-${Math.random().toString(36).slice(2)}`;
    const rows = spec.options.map(({ id, text }, n) => {
      const input = element("input", { type: "radio", name, value: id, "data-option": id });
      options.push(input);
      return element("label", {}, input, element("kbd", { text: String(n + 1), "aria-hidden": "true" }), element("span", {}, ...richLine(tell(text))));
    });
    answer = element("div", { class: "nlesson-options" }, ...rows);
  } else if (spec.kind === "number") {
    field = element("input", { type: "text", inputmode: "decimal", autocomplete: "off", class: "nlesson-number", "aria-label": say("Question"), "data-answer": "number" });
    answer = element("label", { class: "nlesson-given" }, field, spec.unit ? element("span", { text: tell(spec.unit) }) : "");
  }
  const form = element("form", { class: "nlesson-question", "data-kind": spec.kind },
    element("fieldset", {}, element("legend", {}, element("span", { class: "nlesson-word", text: say("Question") }), title), answer, element("div", { class: "nlesson-act" }, check)), result);

  /** @returns {{given: any, missing: any}} */
  function given() {
    if (spec.kind === "choice") {
      const chosen = options.find((option) => option.checked);
      return { given: chosen?.value ?? null, missing: chosen ? null : say("Choose one of the answers first.") };
    }
    if (!field) return { given: null, missing: null };
    const number = numberIn(field.value);
    return { given: number, missing: Number.isFinite(number) ? null : say("Write a number first, such as 2.5.") };
  }

  function judged() {
    const { given: what, missing } = given();
    revealed = false;
    if (missing) {
      verdict = null;
      show("missing", [element("p", { text: missing })]);
      (field ?? options[0])?.focus();
      return;
    }
    verdict = judge(what);
    heard(verdict.right);
    draw();
  }

  /** Write what is said of the answer, or that it is not said yet. */
  function draw() {
    if (!verdict) return show("", []);
    if (teacher() && !revealed) {
      return show("hidden", [element("p", { text: say("Checked. Press R to show what it gives.") })]);
    }
    const text = spec.says[verdict.say];
    if (text === undefined) throw new Error(`the question has no text "${verdict.say}"`);
    const head = element("strong", { class: "nlesson-verdict", text: verdict.right ? say("Right.") : say("Not yet.") });
    const [first, ...rest] = richText(tell(text, verdict.values));
    first.prepend(head, " ");
    show(verdict.right ? "right" : "wrong", [first, ...rest], verdict.say);
  }

  function show(state, children, said = "") {
    result.dataset.state = state;
    result.dataset.said = said;
    result.replaceChildren(...children);
  }

  /** What was said is no longer of what stands there. */
  function stale() {
    verdict = null;
    revealed = false;
    if (result.dataset.state) show("", []);
  }

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", stale);
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target === check) return;
    event.preventDefault();
    judged();
  });
  check.addEventListener("click", judged);
  draw();

  return {
    element: form,
    judged,
    stale,
    verdict: () => verdict,
    choose(n) {
      const option = options[n];
      if (!option) return false;
      option.checked = true;
      option.focus();
      stale();
      return true;
    },
    /** Show or hide, in the teacher's view, what is said. */
    reveal() {
      if (!verdict) return;
      revealed = !revealed;
      draw();
    },
    redraw: draw,
  };
}
