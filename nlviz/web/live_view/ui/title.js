// The title line: clip, model, block, what the model was trained for, and the sizes in plain words.

import { say } from "../../shared/language.js";
import { element, term } from "../../shared/dom.js";
import { blockName, cellText, networkName, reachedText, sizesText } from "../pure/key_words.js";
import { isText } from "../pure/pages.js";
import { isNamed } from "../pure/text_words.js";
import { counted, powerText } from "../pure/words.js";

/**
 * Build the heading, which stands above the picture, and what is said about block and clip, below it.
 * @param {Head} head
 */
export function createTitle(head) {
  const { clip, model, block, sources } = head;
  const text = isText(head);
  const [own] = sources;
  const { asking, asked } = sizesText(own);
  const [st, sy] = own.queries.stride;
  const checked = block.parity === null || block.parity === undefined ? null : term(
    say("verified: recomputed from these weights, the output differs by {parity}", { parity: powerText(block.parity) }),
    say("At capture the block's output was recomputed from these weights, at a few queries of every head, and compared with what the block itself put out: the largest difference, relative to its size. A block that differs is not shown."),
    { class: "nlv-term nlv-chip" });
  const cell = cellText(own);
  const heading = element("header", { class: "nlv-title" },
    element("h2", {}, element("bdi", { text: clip.name }), element("span", { class: "nlv-dim", text: " · " }),
      element("span", { title: `${model.name} ${block.name}`, text: head.pixels ? say(model.name) : `${networkName(model.name)} ${blockName(block.name)}`.trim() })));
  const about = element("p", { class: "nlv-facts" },
    model.about ? element("span", { class: "nlv-about", text: say(model.about) }) : null, model.about ? " · " : "",
      block.note ? term(say(block.about), say(block.note)) : say(block.about ?? ""),
      block.about ? " · " : "",
      clip.frames > 1 ? `${counted(clip.frames, "frame")} · ` : "",
      term(asking, text ? say("Queries are the words that look") : say("Queries are the positions that look: one for each cell of their grid")),
      " × ",
      term(asked, text ? say("Keys are the words that are looked at") : say("Keys are the positions that are looked at: frames × rows × columns of cells")),
      " · ", say("a query reaches {reached}", { reached: reachedText(own) }), cell === "" ? null : " · ",
      cell === "" ? null : sy === 1 && !isNamed(own.queries) ? say("one query a pixel")
        : term(cell, st > 1 ? say("What one cell stands for in the clip and {n} frames, each way", { n: Number(st.toFixed(1)) }) : say("What one cell stands for in the clip, each way")),
      model.device ? element("span", { class: "nlv-chip", text: model.device.replace(/^cpu$/i, "CPU") }) : null,
      checked);
  const notes = head.notes?.length ? element("ul", { class: "nlv-notes", "aria-label": text ? say("Notes on the text") : say("Notes on the clip") },
    ...head.notes.map((text) => element("li", { text: say(text) }))) : "";
  return { heading, about, notes };
}
