// Equation (1) for the query on the screen: symbols that light up their part of the picture, and
// the strongest terms of the sum as thumbnails times their weights.

import { say, spoken, texts } from "../../shared/language.js";
import { element, heard, setText } from "../../shared/dom.js";
import { cropSide, drawCrop } from "../draw/marks.js";
import { lineOf, wordText } from "../pure/pages.js";
import { askerText, tokenName } from "../pure/text_words.js";
import { tokenCentre } from "../pure/grid.js";
import { overKeys, sumText } from "../pure/key_words.js";
import { formulaOf } from "../pure/formulas.js";
import { isSimilarity } from "../pure/similarity.js";
import { counted, numberText, percentText, valueText, weightText } from "../pure/words.js";

const MOST_TERMS = 5;
const SPOKEN = texts("y i equals one over C of x, times the sum over j of f of x i and x j, times g of x j");
const SIZE = 36;

const PARTS = texts({
  output: "y<sub>i</sub>, the output here: the weighted mean of the values at all keys.",
  normaliser: "C(x), the normalisation",
  f: "f, the pairwise function: how alike query and key are",
  query: "x<sub>i</sub>, the query: what you point at.",
  keys: "x<sub>j</sub>, the keys: what it compares itself with. The strongest are ringed.",
  g: "g(x<sub>j</sub>), the value that a key hands over, in proportion to its weight.",
});

function symbol(part, markup, label) {
  const attributes = { class: "nlv-symbol", type: "button", "data-lit": part };
  return element("button", attributes, element("span", { "aria-hidden": "true", html: markup }), heard(say(label)));
}

function patch(size, label) {
  const attributes = { class: "nlv-patch", role: "img", "aria-label": say(label) };
  const canvas = element("canvas", { width: 2 * size, height: 2 * size, ...attributes });
  canvas.style.width = `${size}px`;
  canvas.style.height = `${size}px`;
  return canvas;
}

/** Whether tokens are shown by their names, since there is no picture of them. */
const byName = ({ kind }) => kind === "line" || kind === "nodes";

/** Whether rows are what the network computed, with nothing to divide by. */
const asComputed = ({ pairwise, kind, softmax }) => pairwise === "effective_operator" || (kind === "stored" && !softmax);

/** The strongest keys, the own cell among them where it counts (it is apart in result.order). */
function strongest(result, count) {
  const keys = Array.from(result.order.subarray(0, Math.min(count, result.found)));
  if (!(result.ownShare > 0)) return keys;
  const at = keys.findIndex((index) => result.values[index] < result.values[result.own]);
  if (at >= 0) keys.splice(at, 0, result.own);
  return keys.slice(0, count);
}

/** Build the panel; `on.lit(part | {key} | null)` and `on.inspect(index)` hear what is pointed at. */
export function createEquation(clip, pictures, on, signal) {
  const query = patch(30, texts("the query"));
  const mean = patch(SIZE, texts("weighted mean of the strongest keys' pixels"));
  const xi = symbol("query", "x<sub>i</sub>", texts("x i, the query"));
  const queryName = element("span", { class: "nlv-name" });
  xi.prepend(query, queryName);
  const formula = element("div", { class: "nlv-formula", role: "group", "aria-label": say(SPOKEN) },
    symbol("output", "y<sub>i</sub>", texts("y i, the output")), element("span", { class: "nlv-op", text: "=" }),
    symbol("normaliser", '<span class="nlv-fraction"><span>1</span><span>C(x)</span></span>', texts("one over C of x, the normalisation")),
    symbol("sum", '<span class="nlv-sigma">Σ<sub>j</sub></span>', texts("sum over all keys j")),
    symbol("f", "f", texts("f, the pairwise function")), element("span", { class: "nlv-op", text: "(" }),
    xi, element("span", { class: "nlv-op", text: "," }), symbol("keys", "x<sub>j</sub>", texts("x j, the keys")),
    element("span", { class: "nlv-op", text: ")" }), symbol("g", "g(x<sub>j</sub>)", texts("g of x j, the value")));
  const terms = Array.from({ length: MOST_TERMS }, (_, n) => createTerm(n));
  const rest = element("span", { class: "nlv-rest" });
  const output = element("span", {
    class: "nlv-mean", "data-lit": "output",
    "data-tip": say("The same weighted mean taken over pixels instead of g: what the strongest keys look like together"),
  }, mean);
  const equals = element("span", { class: "nlv-op", text: "=" });
  const live = element("div", { class: "nlv-live" }, output, equals, ...terms.map((t) => t.node), rest);
  const legend = element("p", { class: "nlv-legend" });
  const panel = element("section", { class: "nlv-equation", "aria-label": say("Equation (1) for this query") },
    element("div", { class: "nlv-equation-line" }, formula, live), legend);
  /** @type {string|null} */
  let part = null;
  /** @type {Result|null} */
  let shown = null;
  /** @type {number[]} */
  let listed = [];
  let count = MOST_TERMS;

  function createTerm(n) {
    const weight = element("span", { class: "nlv-weight" });
    const canvas = patch(SIZE, "");
    canvas.setAttribute("aria-label", say("key number {n}", { n: n + 1 }));
    const name = element("span", { class: "nlv-name" });
    const times = element("span", { class: "nlv-op", text: "·" });
    const plus = n ? element("span", { class: "nlv-op nlv-plus", text: "+" }) : null;
    const button = element("button", { class: "nlv-key", type: "button", "data-lit": `key${n}` },
      weight, times, canvas, name);
    const node = element("span", { class: "nlv-termbox" }, plus, button);
    return { node, button, weight, canvas, name, context: canvas.getContext("2d") };
  }

  const litOf = (node) => {
    const name = node?.closest?.("[data-lit]")?.dataset.lit ?? null;
    if (!name?.startsWith("key") || name === "keys") return name;
    const index = listed[Number(name.slice(3))] ?? -1;
    return index >= 0 ? { key: index } : null;
  };

  function light(event) {
    const next = litOf(event.target);
    const name = typeof next === "string" ? next : null;
    if (name !== part) {
      part = name;
      writeLegend();
    }
    on.lit(next);
  }

  function dark() {
    part = null;
    writeLegend();
    on.lit(null);
  }

  for (const name of ["pointerover", "focusin"]) panel.addEventListener(name, light, { signal });
  for (const name of ["pointerleave", "focusout"]) panel.addEventListener(name, dark, { signal });
  panel.addEventListener("click", (event) => {
    const lit = litOf(event.target);
    if (lit?.key >= 0) on.inspect(lit.key);
  }, { signal });

  function normaliserText(result) {
    const over = overKeys(result);
    if (result.spec.layer?.kind === "together") return say("C(x) of each row is the sum of its own f, so that each sums to 1");
    if (result.spec.layer?.kind === "in_turn") return say("both a and b have rows that sum to 1, and so has their product");
    if (asComputed(result.spec)) return say("C(x) = 1: rows are as the network computed them, over {over}", { over });
    if (isSimilarity(result.spec)) return "C(x) = 1";
    if (!result.spec.softmax) return say("C(x) = {count}, the number of keys: {over}", { count: result.count, over });
    if (!Number.isFinite(result.logC)) {
      return result.spec.heads > 1 ? say("C(x) = Σ<sub>j</sub> f over {over}, for each head", { over }) : say("C(x) = Σ<sub>j</sub> f over {over}", { over });
    }
    return say("C(x) = Σ<sub>j</sub> f = e<sup>{log}</sup> over {over}", { log: numberText(result.logC), over });
  }

  /** What C(x) is good for. */
  function whyText(spec) {
    if (spec.layer || asComputed(spec)) return "";
    if (isSimilarity(spec)) return say(", f itself is shown");
    return spec.softmax ? say(", so that the weights f / C sum to 1") : say(", so that the weights f / C do not grow with the number of keys");
  }

  /** @param {Result} row */
  function restingLegend(row, f) {
    if (row.difference) {
      return row.column ? say("A column f(x<sub>i</sub>, x<sub>j</sub>) / C minus its mean over all queries; f = {f}. Above 0: more than the average query gives.", { f })
        : say("A row f(x<sub>i</sub>, x<sub>j</sub>) / C minus its mean over all queries; f = {f}. Above 0: more than the average query gives.", { f });
    }
    if (isSimilarity(row.spec)) return say("f = {f} of features x, C(x) = 1: how alike two are, no share of a whole.", { f });
    if (row.column) {
      return say("A column of the affinity: f(x<sub>i</sub>, x<sub>j</sub>) / C for this key x<sub>j</sub> and every query x<sub>i</sub>; f = {f}.", { f });
    }
    if (row.named) return say("{who} in the place of x<sub>i</sub>: f = {f}, {normaliser}.", { who: askerText(row), f, normaliser: normaliserText(row) });
    if (row.logits) return say("The logits, before f and C(x): f = {f}.", { f });
    return say("f = {f}, {normaliser}. Point at a symbol to see its part.", { f, normaliser: normaliserText(row) });
  }

  function writeLegend() {
    if (!shown) return;
    const kind = formulaOf(shown.spec);
    const f = say("{f} ({name})", { f: kind.f, name: kind.name });
    const text = part === null ? restingLegend(shown, f)
      : part === "normaliser" ? say("{part}: {normaliser}{why}.", { part: say(PARTS.normaliser), normaliser: normaliserText(shown), why: whyText(shown.spec) })
        : part === "f" ? say("{part}, here {f}{means}.", { part: shown.spec.pairwise === "effective_operator" ? say("f, in the place of a pairwise function") : say(PARTS.f), f, means: kind.means ?? "" })
          : part === "sum" ? sumText(shown) : say(PARTS[part] ?? "");
    if (legend.dataset.text !== text) {
      legend.dataset.text = text;
      legend.innerHTML = text;
    }
  }

  /** Show another row. Thumbnails are drawn by `drawThumbs`. */
  function update(result) {
    shown = result;
    writeLegend();
    const soft = result.spec.softmax && !result.logits && !result.column;
    panel.classList.toggle("nlv-column", result.column || result.logits || result.difference);
    setText(equals, result.difference ? say("more than average") : result.column ? say("looked at by") : result.logits ? say("most alike") : "=");
    listed = strongest(result, count);
    let sum = 0;
    terms.forEach((item, n) => {
      const used = n < listed.length;
      item.node.hidden = !used;
      if (!used) return;
      const value = result.values[listed[n]];
      sum += value;
      item.canvas.classList.toggle("nlv-itself", listed[n] === result.own);
      setText(item.weight, soft ? weightText(value) : valueText(value, result, "uniform"));
    });
    rest.hidden = !soft;
    const others = result.count - listed.length;
    if (soft) setText(rest, `+ ${percentText(Math.max(0, 1 - sum))} · ${spoken() === "en" ? `${others} ${others === 1 ? "other" : "others"}` : counted(others, "other")}`);
  }

  function drawThumbs(result, shownQuery, frameOf) {
    const crop = (context, grid, index, frame, size) => drawCrop(
      context, pictures[frame].colour, clip, tokenCentre(grid, index), cropSide(grid, index), 0, 0, size);
    const word = result.named?.word;
    const asksByName = word !== undefined || byName(result.asked);
    query.hidden = asksByName;
    query.style.visibility = result.named ? "hidden" : "";
    setText(queryName, word !== undefined ? wordText({ words: lineOf(result.asked)?.words ?? [result.named.name] }, word) : asksByName ? tokenName(result.asked, result.token) : "");
    if (!asksByName) crop(query.getContext("2d"), result.asked, result.token, shownQuery.frame, query.width);
    const names = byName(result.grid);
    listed.forEach((index, n) => {
      terms[n].canvas.hidden = names;
      setText(terms[n].name, names ? tokenName(result.grid, index) : "");
      if (!names) crop(terms[n].context, result.grid, index, frameOf(result, index), terms[n].canvas.width);
    });
    output.hidden = result.logits || result.column || result.signed || names;
    equals.hidden = output.hidden && !result.column && !result.logits && !result.difference;
    if (!output.hidden) blend(mean.getContext("2d"), result, crop, frameOf);
  }

  /** Running weighted mean: the n-th crop covers the ones before by its share of the sum so far. */
  function blend(context, result, crop, frameOf) {
    let sum = 0;
    for (const index of strongest(result, 24)) {
      const weight = result.values[index];
      if (!(weight > 0)) break;
      sum += weight;
      context.globalAlpha = weight / sum;
      crop(context, result.grid, index, frameOf(result, index), mean.width);
    }
    context.globalAlpha = 1;
  }

  /** As many terms as fit on the formula's line, or on one line below it. */
  function setWidth(width) {
    count = width >= 1130 || (width >= 560 && width < 900) ? MOST_TERMS : 3;
  }

  return { element: panel, update, drawThumbs, setWidth };
}
