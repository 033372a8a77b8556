// The query in numbers, for keyboards and touch: frame slider, y and x, play, pin.

import { say, texts } from "../../shared/language.js";
import { element, focusedIn, setText } from "../../shared/dom.js";
import { isText, lineOf } from "../pure/pages.js";
import { tokenOf, wordOf } from "../pure/state.js";
import { timeText, tokenText } from "../pure/words.js";

/** @param {HTMLElement|null} brush controls that stand beside it, if any */
export function createQueryBar(head, on, signal, brush = null) {
  const { clip } = head;
  const text = isText(head);
  const moving = clip.frames > 1;
  const button = (name, more) => element("button", { type: "button", class: `nlv-button ${name}`, ...more });
  const play = button("nlv-play", { "data-tip": say("Show one frame after the other, large, while the query stays where it is (space bar)") });
  const input = (name, type, most, label) => element("input", {
    type, name, min: 0, max: most, step: 1, "aria-label": label,
  });
  const frame = input("frame", "range", clip.frames - 1, say("Frame of the query"));
  const frameText = element("output", { class: "nlv-frame-text" });
  const y = input("y", "number", clip.height - 1, say("y of the query in pixels, from the top"));
  const x = input("x", "number", clip.width - 1, text ? say("Number of the query's word, from 0") : say("x of the query in pixels, from the left"));
  const chip = element("span", { class: "nlv-state", role: "status" });
  const pin = button("nlv-pin");
  const read = button("nlv-read", {
    "aria-pressed": "false", text: say("Read weights"),
    "data-tip": text ? say("Keep this query and read the weight of each word under the pointer (or hold Shift)") : say("Keep this query and read the weight of each cell under the pointer (or hold Shift)"),
  });
  const frames = moving ? say(" · <kbd>,</kbd><kbd>.</kbd> frame") : "";
  const { kind = "grid" } = head.sources[0].queries;
  const unplaced = kind === "line" || kind === "nodes"; // in no picture
  const step = text ? `${say("word")} · <kbd>Home</kbd><kbd>End</kbd>` : say({ boxes: texts("box"), nodes: texts("node"), line: texts("word") }[kind] ?? texts("cell"));
  const hint = element("span", {
    class: "nlv-hint",
    html: say("<kbd>←</kbd><kbd>↑</kbd><kbd>↓</kbd><kbd>→</kbd> {step}{frames} · <kbd>Esc</kbd> unpins", { step, frames }),
  });
  const tokens = (head.sources[0].tokens ?? []).map(({ name, own }) => button("nlv-token", {
    text: name, "aria-pressed": "false", "data-name": name,
    "data-tip": say("{token} as the query, in the place of a point; a click on the picture goes back to points", { token: tokenText(name, own) }),
  }));
  const several = head.sources[0].heads > 1 && tokens.length > 0;
  const first = several ? tokens[0].dataset.name ?? "" : "";
  const every = button("nlv-every-head", {
    text: say("{name}, every head", { name: first }), hidden: !several,
    "data-tip": say("Where {name} looks, the maps of all heads side by side", { name: first }),
  });
  every.addEventListener("click", () => on.everyHead(first), { signal });
  const named = element("div", { class: "nlv-tokens", role: "group", "aria-label": say("Tokens without a place as the query") }, ...tokens, every);
  named.hidden = tokens.length === 0;
  for (const one of tokens) one.addEventListener("click", () => on.token(one.dataset.name), { signal });
  const bar = element("div", { class: "nlv-query", role: "group", "aria-label": say("Query") }, chip,
    moving ? element("label", { class: "nlv-field nlv-frame" }, element("span", { text: say("Frame") }), frame, frameText) : null,
    text || unplaced ? null : element("label", { class: "nlv-field" }, element("span", { text: "y" }), y),
    unplaced && !text ? null : element("label", { class: "nlv-field" }, element("span", { text: text ? say("Word") : "x" }), x),
    pin, named, moving ? play : null, read, brush, hint);
  let shown = { frame: 0, y: 0, x: 0 };
  let pinned = false;

  // Drawing comes a frame later, and must not bring back what was there before it was typed over.
  const unfinished = new Set();
  const place = (query) => {
    shown = query;
    on.place(query);
  };
  const typed = () => {
    if (y.value === "" || x.value === "") return;
    place({ frame: Number(frame.value), y: Number(y.value), x: Number(x.value) });
  };
  for (const field of [y, x]) {
    field.addEventListener("input", () => unfinished.add(field), { signal });
    field.addEventListener("blur", () => unfinished.delete(field), { signal });
    field.addEventListener("change", () => {
      unfinished.delete(field);
      typed();
    }, { signal });
  }
  frame.addEventListener("input", () => place({ ...shown, frame: Number(frame.value) }), { signal });
  play.addEventListener("click", () => on.play(), { signal });
  pin.addEventListener("click", () => (pinned ? on.unpin() : on.pin(shown)), { signal });
  read.addEventListener("click", () => on.read(read.getAttribute("aria-pressed") !== "true"), { signal });

  function update(query, state) {
    const { rule } = state;
    shown = query;
    const spec = head.sources.find(({ key }) => key === state.view.source) ?? head.sources[0];
    const word = wordOf(spec, state.view, { frame: 0, y: 0, x: 0 });
    pinned = state.pinned !== null || word >= 0;
    const hovering = state.hovered !== null && query === state.hovered;
    const frameValue = String(query.frame);
    if (frame.value !== frameValue) frame.value = frameValue;
    frame.setAttribute("aria-valuetext", say("frame {n} of {count}, {time}", { n: query.frame + 1, count: clip.frames, time: timeText(query.frame, clip) }));
    setText(frameText, timeText(query.frame, clip));
    for (const [field, value] of [[y, query.y], [x, text && word >= 0 && !hovering ? word : query.x]]) {
      const number = String(Math.round(value));
      const typing = unfinished.has(field) || (hovering && field === focusedIn(bar));
      if (field.value !== number && !typing) field.value = number;
    }
    const line = lineOf(state.view.direction === "to" ? spec.keys : spec.queries);
    const token = word >= 0 && line ? line.words[word].trim() : spec.tokens?.[tokenOf(spec, state.view)]?.name ?? null;
    for (const one of tokens) one.setAttribute("aria-pressed", String(one.dataset.name === token));
    const what = token !== null && !hovering ? `token ${token}` : hovering ? "hover" : pinned ? "pinned" : "free";
    if (chip.dataset.state !== what || chip.dataset.rule !== rule) {
      chip.dataset.state = what;
      chip.dataset.rule = rule;
      const hover = say("Hovered");
      chip.textContent = { hover, pinned: say("Pinned"), free: say("Not pinned") }[what] ?? `${word >= 0 ? say("Word") : say("Query")}: ${token}`;
      if (rule && rule !== "as asked for") chip.dataset.tip = say("Opening query: {rule}", { rule: say(rule) });
      else delete chip.dataset.tip;
    }
    setText(pin, pinned ? say("Unpin") : say("Pin"));
    setText(play, state.playing ? say("❚❚ Pause") : say("▶ Play"));
    play.setAttribute("aria-pressed", String(state.playing));
    read.setAttribute("aria-pressed", String(state.reading));
  }

  return { element: bar, update };
}
