// A gallery of live views: a card for each, which leads to its page.

import { element } from "../shared/dom.js";
import { langAttribute, languageIn, say, speak, spoken, texts } from "../shared/language.js";
import { powerText } from "../live_view/pure/words.js";

const KINDS = texts({ view: "Live view", compare: "Two live views, moved as one", page: "Page" });

/**
 * Show the cards of a gallery in the language of the page.
 * @param {HTMLElement} root
 * @param {any} head title, about and cards, as nlviz.render.site writes them
 */
export function showGallery(root, head) {
  speak(languageIn(null, head.language));
  root.lang = langAttribute();
  root.classList.add("nlv", "nlv-gallery");
  root.replaceChildren(
    element("header", {},
      element("h1", { text: head.title || say("Live views") }),
      element("p", { class: "nlv-lead", text: say("Each opens as a page of its own: point at a place of a frame and see where the network looks. It computes in your browser.") }),
      head.about ? element("p", { class: "nlv-lead", text: head.about }) : null),
    element("ol", { class: "nlv-cards" }, ...head.cards.map(card)),
    head.licence ? element("footer", { text: say("Licence of these pages: {licence}", { licence: head.licence }) }) : "");
}

function card(view) {
  const picture = view.thumbnail
    ? element("img", { src: view.thumbnail, alt: "", width: view.size[0], height: view.size[1], loading: "lazy" })
    : element("span", { class: "nlv-blank", "aria-hidden": "true", text: "·" });
  const lines = [rowText(view.row), view.sentence, checkedText(view.parity)].filter(Boolean);
  return element("li", {},
    element("a", { class: "nlv-card", href: `${view.page}?lang=${spoken()}` },
      element("span", { class: "nlv-frame" }, picture),
      element("span", { class: "nlv-kind", text: say(KINDS[view.kind]) }),
      element("strong", {}, element("bdi", { text: view.title })),
      view.under ? element("span", { class: "nlv-under" }, element("bdi", { text: view.under })) : null),
    ...lines.map((text) => element("p", { text })),
    ...view.licences.map(([what, licence]) => element("p", { class: "nlv-dim" },
      element("bdi", { text: what }), `: ${licence}`)));
}

/** What a row does, from its figures. */
function rowText(row) {
  if (!row) return "";
  const parts = [];
  if (row.spread !== null) parts.push(say("spread over about {spread} of {cells} keys", row));
  if (row.own !== null) parts.push(say("{own} of its weight in its own frame", row));
  if (row.strongest !== null) parts.push(say("strongest other key {strongest} uniform", row));
  return parts.join(say("; "));
}

function checkedText(parity) {
  if (parity === null || parity === undefined) return "";
  return say("verified: recomputed from these weights, the output differs by {parity}", { parity: powerText(parity) });
}
