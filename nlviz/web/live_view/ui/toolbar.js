// The controls: sources by number key, and how the row is shown.

import { say, texts } from "../../shared/language.js";
import { element, focusedIn } from "../../shared/dom.js";
import { isText } from "../pure/pages.js";
import { isNamed } from "../pure/text_words.js";
import { createHeadChips } from "./head_chips.js";

const TIPS = texts({
  parts: "The learned affinity taken apart: what is about this query, what every query shares, and what sets this row apart from that of the average query",
  show: "Cells coloured by weight, arrows to the strongest keys, or both",
  direction: "From: where this query looks. To: who looks at this key",
  leave_out: "Hide the query's own cell or frame, so that the rest shows better; the rest is scaled to 100 %",
  scale: "What the colours mean: fitted to this query, kept the same across queries so that two can be compared, the same for equal factors, so that weak and strong keys differ, or fitted to each frame by itself",
  links: "How many of the strongest keys get an arrow",
  cells: "A cell is the area of the picture that one key stands for",
  strength: "How strongly the map covers the picture",
  values: "Rows: weights after C(x). Logits: the likeness before it",
  unit: "Uniform attention would give every key the same weight; 10× is ten times that",
  objects: "What the network detected: a label or a border pins the query at the middle of its object",
  residual: "Share that each layer passes on by its residual path, as it came; the rest comes by its attention. 0.5 as in Abnar & Zuidema 2020",
  top: "Where the locked scale ends, in multiples of uniform attention",
});

function labelled(text, field, control) {
  return element("label", { class: "nlv-field", "data-tip": field in TIPS ? say(TIPS[field]) : null, "data-field": field },
    element("span", { text: say(text) }), control);
}

function select(field, options) {
  const node = element("select", { name: field });
  for (const [value, text] of options) node.append(element("option", { value, text: say(text) }));
  return node;
}

function segments(field, options, legend) {
  const group = element("div", { class: "nlv-segments", role: "radiogroup", "aria-label": say(legend), "data-field": field });
  for (const [value, markup, tip] of options) {
    group.append(element("button", { type: "button", role: "radio", value, html: markup, "data-tip": tip ?? null }));
  }
  return group;
}

/** The radio button that an event is about. */
const radioOf = ({ target }) => {
  const button = target instanceof Element ? target.closest("button[role=radio]") : null;
  return button instanceof HTMLButtonElement ? button : null;
};
const fieldOf = (button) => button.parentElement?.dataset.field ?? "";

const escaped = (text) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

/** What is said otherwise of words, boxes and nodes. */
const TIPS_NAMED = texts({
  show: "Words coloured by weight, arcs to the strongest keys, or both",
  leave_out: "Hide what the query gives to itself, so that the rest shows better; the rest is scaled to 100 %",
  scale: "What the colours mean: fitted to this query, kept the same across queries so that two can be compared, or the same for equal factors, so that weak and strong keys differ",
  links: "How many of the strongest keys get an arc",
  strength: "How strongly colours cover what is below them",
});

/** Build the toolbar; `onChange(change)` gets the fields of the view that the reader changed. */
export function createToolbar(head, onChange, signal) {
  const text = isText(head);
  const own = texts({ line: "own word", boxes: "own box", nodes: "own node" })[head.sources[0].queries.kind ?? "grid"] ?? "own cell";
  const framed = (options) => (text ? options.filter(([value]) => value !== "frame") : options);
  const buttons = head.sources.map((s, n) => [s.key, `${n < 10 ? `<kbd aria-hidden="true">${(n + 1) % 10}</kbd>` : ""}${escaped(say(s.label))}`, s.note ? say(s.note) : null]);
  const among = (part) => buttons.filter((_, n) => Boolean(head.sources[n].part) === part);
  const sources = segments("source", among(false), texts("What is shown for the same query"));
  const parts = segments("source", among(true), texts("Parts of the learned affinity"));
  const partsField = element("div", { class: "nlv-field nlv-parts", "data-tip": say(TIPS.parts) },
    element("span", { text: say("Parts") }), parts);
  partsField.hidden = parts.children.length === 0;
  const heads = createHeadChips(onChange, signal);
  const show = segments("show", [["map", say("Map")], ["links", say("Links")], ["both", say("Both")]], texts("Show"));
  const direction = segments("direction", [
    ["from", say("From query")], ["to", say("To key")],
  ], texts("Direction"));
  const objects = segments("objects", [["shown", say("Shown")], ["hidden", say("Hidden")]], texts("Objects"));
  const objectsField = wrapped(texts("Objects"), "objects", objects);
  objectsField.hidden = !head.objects?.length;
  const directionField = wrapped(texts("Direction"), "direction", direction);
  const links = element("input", { type: "number", name: "links", min: 0, max: 200, step: 1 });
  const residual = labelled(texts("Residual"), "residual", element("input", { type: "number", name: "residual", min: 0, max: 0.95, step: 0.05 }));
  const top = labelled(texts("Top of scale"), "top", element("input", { type: "number", name: "top", min: 0, step: "any" }));
  const smooth = labelled(texts("Cells"), "cells", select("cells", texts([["cells", "as cells"], ["smooth", "smooth"]])));
  smooth.hidden = isNamed(head.sources[0].keys);
  const more = element("details", { class: "nlv-more" }, element("summary", { text: say("Display") }),
    element("div", { class: "nlv-panel" },
      labelled(texts(text ? "Arcs" : "Arrows"), "links", links),
      smooth,
      labelled(texts("Strength"), "strength", element("input", { type: "range", name: "strength", min: 0, max: 1, step: 0.05 })),
      labelled(texts("Values"), "values", select("values", texts([["rows", "rows (after C)"], ["logits", "raw logits"]]))),
      labelled(texts("Unit"), "unit", select("unit", texts([["uniform", "× uniform"], ["absolute", "absolute"]]))),
      top));
  const controls = element("div", { class: "nlv-controls" },
    wrapped(texts("Show"), "show", show), directionField, objectsField,
    labelled(texts("Hide"), "leave_out", select("leave_out", framed(texts([["nothing", "nothing"], ["cell", own], ["frame", "own frame"]])))),
    labelled(texts("Scale"), "scale", select("scale", framed(texts([["query", "this query"], ["locked", "locked"], ["log", "logarithmic"], ["frame", "per frame"]])))),
    residual, more);
  if (text) {
    for (const [field, tip] of Object.entries(TIPS_NAMED)) {
      for (const node of controls.querySelectorAll("[data-tip]")) {
        if (node instanceof HTMLElement && node.dataset.tip === say(TIPS[field])) node.dataset.tip = say(tip);
      }
    }
  }
  const fold = element("details", { class: "nlv-fold" }, element("summary", { text: say("Controls") }), controls);
  const bar = element("div", { class: "nlv-toolbar", role: "group", "aria-label": say("How it is shown") }, partsField, heads.element, fold);

  function wrapped(text, field, control) {
    return element("div", { class: "nlv-field", "data-tip": say(TIPS[field]) }, element("span", { text: say(text) }), control);
  }

  function changed(field, value) {
    onChange({ [field]: field === "head" && /^\d+$/.test(value) ? Number(value) : value });
  }

  /** @param {Event} event */
  function pressed(event) {
    const button = radioOf(event);
    if (button) changed(fieldOf(button), button.value);
  }

  /** @param {KeyboardEvent} event */
  function stepped(event) {
    const button = radioOf(event);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!button || !step) return;
    const group = button.parentElement;
    const all = (group === parts || group === sources ? [sources, parts] : [group])
      .flatMap((each) => /** @type {HTMLButtonElement[]} */ ([...each?.children ?? []])).filter((each) => !each.disabled);
    const next = all[(all.indexOf(button) + step + all.length) % all.length];
    next.focus();
    next.click();
    event.preventDefault();
    event.stopPropagation();
  }

  for (const part of [sources, bar]) {
    part.addEventListener("click", pressed, { signal });
    part.addEventListener("keydown", stepped, { signal });
  }
  bar.addEventListener("input", (event) => {
    if (!(event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement)) return;
    const { name, value, type } = event.target;
    if (type === "number" || type === "range") value !== "" && onChange({ [name]: Number(value) });
    else changed(name, value);
  }, { signal });
  document.addEventListener("pointerdown", (event) => {
    if (more.open && !bar.classList.contains("nlv-narrow") && !event.composedPath().includes(more)) more.open = false;
  }, { signal });

  /** @param {(value: string) => boolean} disabled */
  function check(group, value, disabled = (_) => false) {
    for (const button of group.children) {
      const on = button.value === value;
      button.setAttribute("aria-checked", String(on));
      button.tabIndex = on ? 0 : -1;
      button.disabled = disabled(button.value);
    }
  }

  /** Make the controls say what the view says. */
  function sync(view, made) {
    const { spec, canColumn } = made;
    check(sources, view.source);
    check(parts, view.source);
    // Where they do not fit, the sources are a row that scrolls: the chosen one is in sight.
    const chosen = /** @type {HTMLElement|null} */ (sources.querySelector("[aria-checked=true]"));
    if (chosen) sources.scrollLeft = chosen.offsetLeft - (sources.clientWidth - chosen.offsetWidth) / 2;
    check(show, view.show);
    check(objects, view.objects);
    check(direction, canColumn ? view.direction : "from", (value) => value === "to" && !canColumn);
    directionField.dataset.tip = canColumn ? say(TIPS.direction) : say("To this key: not available here, every row's C(x) would be needed");
    heads.sync(view, spec.heads ?? 1);
    for (const input of /** @type {NodeListOf<HTMLInputElement>} */ (bar.querySelectorAll("[name]"))) {
      if (input.name === "head") continue; // told by the chips
      const value = view[input.name];
      const text = value === null || value === undefined ? "" : String(value);
      if (input.value !== text && input !== focusedIn(bar)) input.value = text;
    }
    residual.hidden = !spec.layers;
    top.hidden = view.scale !== "locked";
    links.disabled = view.show === "map";
  }

  /** In a narrow place the controls stand one below the other; on narrow screens they fold away, too. */
  function setNarrow(narrow, folds = narrow) {
    bar.classList.toggle("nlv-narrow", narrow);
    bar.classList.toggle("nlv-folds", folds);
    fold.open = !folds;
    more.open = narrow;
  }

  /** Close the open panel; returns whether one was open. */
  function close() {
    if (!more.open || bar.classList.contains("nlv-narrow")) return false;
    more.open = false;
    more.querySelector("summary")?.focus();
    return true;
  }

  return { element: bar, sources, sync, setNarrow, close };
}
