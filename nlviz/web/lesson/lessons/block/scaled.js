// A trained block whose W_z is scaled: its row, what it adds, and what the network then answers.

import { element, setText } from "../../../shared/dom.js";
import { createSegments, createSlider } from "../../figures/field.js";
import { createTiles } from "../../figures/tiles.js";
import { rightOf, scaledRun } from "./pure/recall.js";

const MOST_FACTOR = 2;

/** @type {FigureMaker} */
export function createScaledBlock(root, spec, data, { say, changed, state }) {
  const [clips, frames, side] = data.array("frames").shape;
  const [, h, w] = data.head.grid;
  const kept = Number.isInteger(state?.clip) && state.clip >= 0 && state.clip < clips && state.factor >= 0 && state.factor <= MOST_FACTOR;
  const now = kept ? { clip: state.clip, factor: state.factor } : { clip: spec.clip, factor: spec.factor };
  const { labels } = spec;
  const pixels = data.array("frames").data;

  const slider = createSlider({
    name: "factor", label: say(labels.factor), least: 0, most: MOST_FACTOR, step: 0.05, value: now.factor, write: (value) => value.toFixed(2),
    moved(value) {
      now.factor = value;
      acted();
    },
  });
  const menu = createSegments({
    name: "clip", label: say(labels.clip), value: String(now.clip), choices: spec.clips.map((clip, n) => ({ value: String(clip), text: String(n + 1) })),
    moved(value) {
      now.clip = Number(value);
      acted();
    },
  });
  const tiles = createTiles(data, { label: say(labels.row), side: 110 });
  const ratio = element("p", { class: "nlesson-block-ratio" });
  const bars = element("dl", { class: "nlesson-block-chances" });
  const right = element("p", { class: "nlesson-said", role: "status" });
  root.append(element("div", { class: "nlesson-controls" }, slider.element, menu.element), element("h3", { class: "nlesson-block-name", text: say(labels.row) }), tiles.element,
    ratio, element("h3", { class: "nlesson-block-name", text: say(labels.answer) }), bars, right);

  function draw() {
    const run = scaledRun(data, now.clip, now.factor);
    const each = side * side * 3;
    const uniform = 1 / run.row.length;
    tiles.draw(Array.from({ length: frames }, (_, frame) => {
      const ground = pixels.subarray((now.clip * frames + frame) * each, (now.clip * frames + frame + 1) * each);
      const values = Array.from(run.row.subarray(frame * h * w, (frame + 1) * h * w));
      const mass = values.reduce((sum, value) => sum + value, 0);
      return { id: String(frame), name: String(frame + 1), note: `${(100 * mass).toFixed(0)} %`, rows: h, columns: w, values, ground, query: frame === frames - 1 ? /** @type {[number, number]} */ (run.query) : null };
    }));
    setText(ratio, say(labels.ratio, { ratio: run.ratio, sum: run.row.reduce((sum, value) => sum + value, 0), times: Math.max(...run.row) / uniform }));
    const truth = data.array("answers").data[now.clip];
    bars.replaceChildren(...data.head.colours.flatMap((colour, n) => [
      element("dt", { text: say(labels[colour]) + (n === truth ? ` ✓` : "") }),
      element("dd", {}, element("span", { class: "nlesson-block-long", "aria-hidden": "true" }, element("i", { class: `nlesson-block-${colour}`, style: `width:${100 * run.chances[n]}%` })), element("span", { text: `${(100 * run.chances[n]).toFixed(0)} %` })),
    ]));
    setText(right, say(labels.right, rightOf(data, now.factor)));
    root.dataset.drawn = "";
  }

  function acted() {
    draw();
    changed();
  }

  draw();
  return { state: () => ({ ...now }), reading: () => ({}), destroy() {} };
}
