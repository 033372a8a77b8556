// A fresh block with W_z = 0 takes steps against the gradient, here and now: loss and gradients by step.

import { element, setText } from "../../../shared/dom.js";
import { createChart } from "../../figures/chart.js";
import { richLine } from "../../rich.js";
import { blockGradients, freshBlock, gradientNorms, stepDown } from "./pure/descent.js";

const MOST_STEPS = 120;
const DESCENT_NAMES = ["out", "g", "theta", "phi"];

/** @type {FigureMaker} */
export function createDescendingBlock(root, spec, data, { say, changed, signal, state }) {
  const { labels } = spec;
  const block = freshBlock(data);
  /** @type {{loss: number, right: number, clips: number, norms: Record<string, number>}[]} */
  const history = [];
  let gradients = look();
  let wanted = 0;
  let timer = 0;

  const one = element("button", { type: "button", class: "nlesson-block-step", "data-control": "step", text: say(labels.step) });
  const many = element("button", { type: "button", class: "nlesson-block-step", "data-control": "many", text: say(labels.many) });
  const table = element("dl", { class: "nlesson-block-norms" });
  const chart = createChart({ label: say(labels.chart), height: 240 });
  const said = element("p", { class: "nlesson-said", role: "status" });
  root.append(element("div", { class: "nlesson-controls" }, one, many), said, table, chart.element);
  one.addEventListener("click", () => take(1));
  many.addEventListener("click", () => take(20));

  function look() {
    const { loss, right, clips, gradients: found } = blockGradients(data, block);
    history.push({ loss, right, clips, norms: gradientNorms(found) });
    return found;
  }

  /** Steps are taken one by one between other tasks: each takes some milliseconds. */
  function take(count) {
    wanted = Math.min(MOST_STEPS, wanted + count);
    changed();
    go();
  }

  function go() {
    clearTimeout(timer);
    if (signal.aborted || history.length - 1 >= wanted) {
      root.dataset.drawn = "";
      return;
    }
    root.dataset.drawn = "waits";
    timer = window.setTimeout(() => {
      stepDown(block, gradients);
      gradients = look();
      draw();
      go();
    }, 0);
  }

  function draw() {
    const steps = history.length - 1;
    const { loss, right, clips, norms } = history[steps];
    setText(said, say(labels.said, { steps, loss, right, clips }));
    table.replaceChildren(...DESCENT_NAMES.flatMap((name) => [
      element("dt", {}, ...richLine(say(labels[name]))), element("dd", { text: norms[name] === 0 ? say(labels.zero) : norms[name].toPrecision(3), "data-norm": name }),
    ]));
    const x = history.map((_, n) => n);
    chart.draw({
      lines: DESCENT_NAMES.map((name, tone) => ({ name: say(labels[name]), x, y: history.map((each) => each.norms[name]), tone, kind: steps < 3 ? "points" : "line" })),
      x: { label: say(labels.steps), least: 0, most: Math.max(5, steps), form: ".0f" }, y: { label: say(labels.norm), least: 0 }, at: steps,
    });
  }

  draw();
  const kept = Number.isInteger(state?.steps) && state.steps > 0 ? Math.min(MOST_STEPS, state.steps) : 0;
  wanted = kept;
  go();
  return {
    state: () => ({ steps: wanted }), reading: () => ({ steps: history.length - 1 }),
    destroy() {
      clearTimeout(timer);
      chart.destroy();
    },
  };
}
