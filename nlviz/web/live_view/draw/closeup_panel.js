// The elements of the close-up: what lies around the query, what each counts, patches, and the sum.

import { say, texts } from "../../shared/language.js";
import { element } from "../../shared/dom.js";
import { numberText } from "../pure/words.js";
import { squareCanvas } from "./squares.js";

const SIDE = 216; // CSS pixels of the two squares
const MATCH_SIDE = 54;
const CURVE = { width: 300, height: 118 };

/** Patches that match best which are shown. */
export const MATCHES = 5;

const heading = (text) => element("h4", { text: say(text) });

/** The query's patch and those that match best, with their weights. */
function patchList(sigma) {
  const own = squareCanvas(MATCH_SIDE, say("the query's patch"));
  const matches = Array.from({ length: MATCHES }, (_, n) => {
    const canvas = squareCanvas(MATCH_SIDE, say("patch number {n}", { n: n + 1 }));
    const weight = element("b");
    const apart = element("span");
    return { canvas, weight, apart, node: element("li", {}, canvas, weight, apart) };
  });
  const list = element("ol", { class: "nlv-matches" },
    element("li", {}, own, element("b", { text: say("query") }), element("span", { text: say("its patch") })), ...matches.map((m) => m.node));
  const noise = sigma > 0 ? say(" Noise alone makes two equal patches differ by about {size}.", { size: numberText(Math.SQRT2 * sigma) }) : "";
  const legend = element("p", {
    class: "nlv-legend",
    text: say("Weight, and root mean square difference from the query's patch.") + noise,
  });
  const node = element("div", { class: "nlv-closeup-part nlv-closeup-patches" }, heading(texts("Patches that match best")), list, legend);
  return { node, own, matches };
}

/** The weighted mean as pixels are added: curve, colours, values, and the button that lets it run. */
function sumOf(knowsClean) {
  const curve = element("canvas", { width: 2 * CURVE.width, height: 2 * CURVE.height, class: "nlv-curve", role: "img", "aria-label": say("weighted mean as pixels are added in order of their weight"),
    "data-tip": say("From left to right: the weighted mean of 1, 2, 3 and more pixels, the strongest first. Dashed: the clean picture") });
  const swatch = () => element("span", { class: "nlv-swatch" });
  const from = { swatch: swatch(), text: element("span") };
  const to = { swatch: swatch(), text: element("output") };
  const clean = { swatch: swatch(), text: element("span") };
  const value = ({ swatch: colour, text }, more = {}) => element("span", { class: "nlv-value", ...more }, colour, text);
  const play = element("button", { type: "button", class: "nlv-button nlv-sum", text: say("▶ Add them up") });
  const values = element("div", { class: "nlv-values" },
    value(from), element("span", { class: "nlv-op", text: "→" }), value(to), value(clean, { hidden: !knowsClean }), play);
  const why = element("p", { class: "nlv-legend" });
  const node = element("div", { class: "nlv-closeup-part nlv-closeup-sum" }, heading(texts("The weighted mean, pixel by pixel")), curve, values, why);
  return { node, curve, from, to, clean, play, why };
}

/**
 * Build the panel.
 * @param {Pixels} pixels the header's part
 */
export function createPanel(pixels) {
  const seen = squareCanvas(SIDE, say("the noisy pixels that are averaged"));
  const counts = squareCanvas(SIDE, say("the weight of each of these pixels"));
  const seenText = element("figcaption");
  const countsText = element("figcaption");
  const patches = patchList(pixels.sigma);
  const sum = sumOf(pixels.clean !== null);
  const other = element("p", { class: "nlv-closeup-other", hidden: true, text: say("This choice averages features inside a network, not pixels: the weights above are where it looks. Its picture is among the results.") });
  const node = element("section", { class: "nlv-closeup", "aria-label": say("The query from close up") },
    element("figure", { class: "nlv-closeup-part" }, heading(texts("What lies around it")), seen, seenText),
    element("figure", { class: "nlv-closeup-part" }, heading(texts("What each counts")), counts, countsText),
    patches.node, sum.node, other);
  return { node, seen, seenText, counts, countsText, patches, sum, other };
}
