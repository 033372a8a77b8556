// A fresh block put into a trained network, with W_z times a factor: how many pictures keep their class.

import { element, setText } from "../../../shared/dom.js";
import { createChart } from "../../figures/chart.js";
import { createSlider } from "../../figures/field.js";
import { keptAt } from "./pure/judges.js";

/** @type {FigureMaker} */
export function createInsertedBlock(root, spec, data, { say, changed, state }) {
  const factors = Array.from(data.array("insert.factors").data, (value) => Number(value.toFixed(2)));
  const { labels } = spec;
  let number = Number.isInteger(state?.number) && state.number >= 0 && state.number < factors.length ? state.number : spec.number;
  const all = factors.map((_, n) => keptAt(data, n));
  const slider = createSlider({
    name: "number", label: say(labels.factor), least: 0, most: factors.length - 1, step: 1, value: number, write: (value) => factors[value].toFixed(2),
    moved(value) {
      number = value;
      draw();
      changed();
    },
  });
  const chart = createChart({ label: say(labels.chart), height: 280 });
  const said = element("p", { class: "nlesson-said", role: "status" });
  root.append(element("div", { class: "nlesson-controls" }, slider.element), chart.element, said);

  function draw() {
    // The line grows with the slider: a learner predicts before it is drawn.
    const shown = spec.hide ? all.slice(0, number + 1) : all;
    const x = factors.slice(0, shown.length);
    const at = all[number];
    const words = say(number === 0 ? labels.same : labels.kept, { factor: factors[number], mean: at.mean, least: at.least, most: at.most, pictures: at.pictures, correlation: at.correlation });
    chart.draw({
      lines: [
        { name: say(labels.mean), x, y: shown.map(({ mean }) => mean) }, { name: say(labels.least), x, y: shown.map(({ least }) => least), tone: 1 },
        { name: say(labels.most), x, y: shown.map(({ most }) => most), tone: 2 },
      ],
      x: { label: say(labels.factor), least: 0, most: factors[factors.length - 1] }, y: { label: say(labels.pictures), least: 0, most: at.pictures, form: ".0f" },
      at: factors[number], marks: [{ x: factors[number], y: at.mean, text: at.mean.toFixed(1) }], said: words,
    });
    setText(said, words);
    root.dataset.drawn = "";
  }

  draw();
  return { state: () => ({ number }), reading: () => ({}), destroy: () => chart.destroy() };
}
