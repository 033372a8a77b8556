// Texts of lessons as elements.

import { element } from "../shared/dom.js";
import { piecesOf, signsOf } from "./pure/inline.js";

const TAG_OF = { low: "sub", high: "sup", variable: "var", upright: "span" };

/** A formula as an element; screen readers read its signs in their order. */
export function formulaElement(formula) {
  return element("span", { class: "nlesson-formula" },
    ...signsOf(formula).map(({ kind, text }) => element(/** @type {any} */ (TAG_OF[kind]), { text })));
}

/** The pieces of one line of text. */
export function richLine(text) {
  return piecesOf(text).map(({ kind, text: piece }) => {
    if (kind === "bold") return element("strong", { text: piece });
    if (kind === "stressed") return element("em", { text: piece });
    if (kind === "code") return element("code", { text: piece });
    return kind === "formula" ? formulaElement(piece) : piece;
  });
}

/** Paragraphs, apart by empty lines; lines that begin with "- " are a list. */
export function richText(text) {
  return text.split(/\n\s*\n/).map((part) => {
    const lines = part.split("\n");
    if (lines.every((line) => line.startsWith("- "))) {
      return element("ul", {}, ...lines.map((line) => element("li", {}, ...richLine(line.slice(2)))));
    }
    return element("p", {}, ...richLine(lines.join(" ")));
  });
}
