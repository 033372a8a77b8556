// Parts that several figures of this lesson share: a text to type, symbols to ask for, bars, switches.

import { element } from "../../../shared/dom.js";
import { colourBar } from "../../figures/colours.js";
import { createSegments } from "../../figures/field.js";
import { seqDrawn, seqFits, seqRandom, seqText } from "./pure/seq_tasks.js";

/** Read the words of a figure in the learner's language: words("name", values). */
export const attnWords = (spec, say) => (name, values) => say(spec.words[name], values);

/** A text of a length between the figure's ends that its task can pose, or null. */
export function attnTextOf(value, task, { least, most }) {
  const text = typeof value === "string" ? value.toLowerCase().replace(/[^a-z0-9]/g, "") : "";
  return text.length >= least && text.length <= most && seqFits(task, text) ? text : null;
}

/**
 * A field for the learner's own symbols, and a button that draws others.
 * @param {{words: (name: string, values?: any) => string, spec: any, task: () => any, text: () => string, changed: (text: string) => void}} given
 *   task: whose texts they are; text: as it stands
 */
export function attnTextField({ words, spec, task, text, changed }) {
  const input = element("input", {
    type: "text", value: text(), maxlength: spec.most, autocapitalize: "none", autocomplete: "off", spellcheck: "false", "data-control": "text",
  });
  const note = element("span", { class: "nlesson-attention-note", role: "status" });
  const button = element("button", { type: "button", class: "nlesson-attention-button", "data-control": "draw", text: words("draw") });
  let drawn = 0;
  input.addEventListener("input", () => {
    const found = attnTextOf(input.value, task(), spec);
    note.textContent = found ? "" : words("not_text", spec);
    input.setAttribute("aria-invalid", String(!found));
    if (found && found !== text()) changed(found);
  });
  input.addEventListener("blur", () => show());
  button.addEventListener("click", () => {
    drawn += 1;
    changed(seqText(task(), seqDrawn(task(), text().length, seqRandom(1000 + drawn))));
    show();
  });
  /** Say in the field what the text is now. */
  function show() {
    input.value = text();
    input.setAttribute("aria-invalid", "false");
    note.textContent = "";
  }
  return { node: element("div", { class: "nlesson-controls" }, element("label", { class: "nlesson-attention-text" }, element("span", { text: words("text") }), input), button, note), show };
}

/** A switch that is on or off; several of a name are told apart by their value. */
export function attnSwitch({ name, value, label, on, changed }) {
  const node = element("button", { type: "button", role: "switch", class: "nlesson-attention-switch", "data-control": name, "data-value": value, text: label });
  const show = () => node.setAttribute("aria-checked", String(on()));
  node.addEventListener("click", () => {
    changed(!on());
    show();
  });
  show();
  return { node, show };
}

/** Symbols of which one is asked for; those that cannot be asked for are left out. */
export function attnSymbols({ name, label, changed }) {
  const node = element("div", { class: "nlesson-attention-symbols" });
  /** @type {ReturnType<typeof createSegments>|null} */
  let segments = null;
  let known = "";
  /** @param {string[]} symbols @param {number} chosen @param {(i: number) => boolean} asks */
  function show(symbols, chosen, asks = (i) => i >= 0) {
    const choices = symbols.map((text, i) => ({ value: String(i), text })).filter((_, i) => asks(i));
    const key = choices.map(({ value, text }) => value + text).join();
    if (key !== known || !segments) {
      known = key;
      segments = createSegments({ name, label, choices, value: String(chosen), moved: (value) => changed(Number(value)) });
      node.replaceChildren(segments.element);
    }
    segments.set(String(chosen));
  }
  return { node, show };
}

/** Bars over symbols, one for each key; a bar of full height is a weight of 1. */
export function attnBars(label, kind = "") {
  const bars = element("div", { class: `nlesson-attention-bars ${kind}`, "aria-hidden": "true" });
  const told = element("p", { class: "nlesson-said" });
  const heard = element("p", { class: "nlv-spoken" });
  const node = element("div", { class: "nlesson-attention-row" }, element("h3", { text: label }), bars, heard, told);
  /** @param {string[]} symbols @param {ArrayLike<number>} row @param {string} sentence */
  function show(symbols, row, sentence, marked = -1) {
    bars.style.setProperty("--count", String(symbols.length));
    bars.replaceChildren(...symbols.map((symbol, j) => {
      const share = row[j] ?? 0;
      const bar = element("i");
      bar.style.height = `${Math.max(share > 0.001 ? 1.5 : 0, 100 * share)}%`;
      return element("span", { class: j === marked ? "marked" : null, title: `${symbol} ${share.toFixed(3)}` },
        element("b", {}, element("em", { text: share >= 0.05 ? share.toFixed(2).replace(/^0/, "") : "" }), bar), element("u", { text: symbol }));
    }));
    heard.textContent = symbols.map((symbol, j) => `${symbol} ${(row[j] ?? 0).toFixed(2)}`).join(", ");
    told.textContent = sentence;
    told.hidden = !sentence;
  }
  return { node, show };
}

/** A share as a bar with its number. */
export function attnMeter(label, kind = "") {
  const bar = element("i");
  const value = element("b");
  const node = element("div", { class: `nlesson-attention-meter ${kind}` }, element("span", { text: label }), element("div", { "aria-hidden": "true" }, bar), value);
  function show(share, text) {
    bar.style.width = `${100 * share}%`;
    value.textContent = text;
  }
  return { node, show };
}

/** Source, what is to be written and what was written; what is wrong is marked by a cross as well. */
export function attnWriting(words) {
  const node = element("dl", { class: "nlesson-attention-writing" });
  function show(task, { source, wanted, counts }, written) {
    const tokens = [...task.symbols, "⏎"];
    const part = (name, symbols) => [element("dt", { text: words(name) }), element("dd", {}, ...symbols)];
    const wrote = wanted.map((id, i) => {
      const right = !counts[i] || written[i] === id;
      const text = element("span", { class: counts[i] ? (right ? null : "wrong") : "given", text: tokens[right ? id : written[i]] });
      if (!right) text.append(element("span", { class: "nlv-spoken", text: "✗" }));
      return text;
    });
    node.replaceChildren(
      ...part("source", source.map((id) => element("span", { text: tokens[id] }))),
      ...part("wanted", wanted.map((id, i) => element("span", { class: counts[i] ? null : "given", text: tokens[id] }))),
      ...part("wrote", wrote),
    );
  }
  return { node, show };
}

/** The colours of the tiles from 0 to the end of their scale. */
export function attnColourBar(data) {
  const most = element("span");
  return { node: element("span", { class: "nlesson-attention-colours" }, "0", colourBar(data.array("lut_seq").data), most), show: (hi) => { most.textContent = hi.toFixed(2); } };
}
