// Which head is shown: the mean, the maximum, each of them, or all of them side by side.

import { say, texts } from "../../shared/language.js";
import { element, focusedIn } from "../../shared/dom.js";

const MOST_CHIPS = 32; // more heads are a list
const TIP = texts("A block with several heads has one affinity for each: their mean, for each key the largest of all, or one head. Keys: h, and Shift+h back");
const TIP_ALL = texts("The maps of all heads side by side, in one colour scale");

/** What can be chosen for so many heads, in order. */
export const headChoices = (count) => ["mean", "max", ...Array.from({ length: count }, (_, n) => n)];

/** The choice so many steps further, around. */
export function headAfter(head, count, step) {
  const all = headChoices(count);
  return all[(Math.max(0, all.indexOf(head)) + step + all.length) % all.length];
}

/** A choice in words. */
export function headText(head, count) {
  if (head === "mean") return say("mean over {count} heads", { count });
  return head === "max" ? say("maximum over {count} heads", { count }) : say("head {n} of {count}", { n: head + 1, count });
}

/**
 * Build the chips: a radio group `head`, and the button of all heads.
 * @param {(change: Partial<View>) => void} onChange
 * @param {AbortSignal} signal
 */
export function createHeadChips(onChange, signal) {
  const group = element("div", { class: "nlv-segments nlv-heads", role: "radiogroup", "aria-label": say("Head"), "data-field": "head" });
  const list = element("select", { name: "head", "aria-label": say("Head") });
  const all = element("button", { type: "button", class: "nlv-button nlv-every", "aria-pressed": "false", text: say("side by side"), "data-tip": say(TIP_ALL), "aria-label": say("All heads side by side") });
  const field = element("div", { class: "nlv-field nlv-head-field", "data-tip": say(TIP) }, element("span", { text: say("Heads") }), group, list, all);
  let count = 0;
  all.addEventListener("click", () => onChange({ heads: all.getAttribute("aria-pressed") === "true" ? "one" : "all" }), { signal });

  function fill(now) {
    if (count === now) return;
    count = now;
    const text = (head) => (typeof head === "number" ? String(head + 1) : head === "mean" ? say("mean") : say("max"));
    const choices = headChoices(count);
    group.replaceChildren(...(count > MOST_CHIPS ? [] : choices.map((head) => element("button", {
      type: "button", role: "radio", value: String(head), text: text(head), "aria-label": headText(head, count),
    }))));
    list.replaceChildren(...choices.map((head) => element("option", { value: String(head), text: headText(head, count) })));
    group.hidden = count > MOST_CHIPS;
    list.hidden = !group.hidden;
  }

  /** Say what the view says. */
  function sync(view, heads) {
    field.hidden = !(heads > 1);
    if (field.hidden) return;
    fill(heads);
    const head = typeof view.head === "number" ? Math.min(view.head, heads - 1) : view.head;
    for (const button of /** @type {Iterable<HTMLButtonElement>} */ (group.children)) {
      const on = button.value === String(head);
      button.setAttribute("aria-checked", String(on));
      button.tabIndex = on ? 0 : -1;
    }
    if (list !== focusedIn(field)) list.value = String(head);
    all.setAttribute("aria-pressed", String(view.heads === "all"));
  }

  return { element: field, sync };
}
