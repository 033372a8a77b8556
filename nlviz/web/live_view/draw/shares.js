// How a row is shared out between pictures, text and special tokens: a bar with its numbers.

import { say } from "../../shared/language.js";
import { element } from "../../shared/dom.js";
import { partsOfRow } from "../pure/text_words.js";
import { percentText } from "../pure/words.js";

/**
 * Build the bar.
 * @param {Head} head
 */
export function createShares(head) {
  const line = element("div", { class: "nlv-shares", role: "group", "aria-label": say("What the row is shared out between") });
  const bar = element("div", { class: "nlv-shares-bar", "aria-hidden": "true" });
  const list = element("div", { class: "nlv-shares-list" });
  line.append(bar, list);
  line.hidden = true;
  let drawn = "";

  /** @param {Result} result */
  function update(result) {
    const shares = partsOfRow(head, result);
    line.hidden = shares === null;
    if (!shares) return;
    const told = shares.map(({ name, share }) => `${say(name)} ${percentText(share)}`);
    if (drawn === told.join()) return;
    drawn = told.join();
    bar.replaceChildren(...shares.map(({ kind, share }) => {
      const part = element("i", { class: `nlv-share-${kind}` });
      part.style.flexGrow = String(Math.max(share, 0));
      return part;
    }));
    list.replaceChildren(...shares.map(({ kind }, n) => {
      const item = element("span", {}, element("i", { class: `nlv-share-${kind}`, "aria-hidden": "true" }));
      item.append(told[n]);
      return item;
    }));
  }

  return { element: line, update };
}
