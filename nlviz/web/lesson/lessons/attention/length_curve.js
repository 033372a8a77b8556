// Over how many keys rows spread as texts get longer: curves that were measured, and rows computed here.

import { contextOf, element } from "../../../shared/dom.js";
import { createChart } from "../../figures/chart.js";
import { createSlider } from "../../figures/field.js";
import { attnWords } from "./attn_parts.js";
import { attnNet } from "./pure/attn_judges.js";
import { attnEffective, attnRow } from "./pure/attn_rows.js";
import { seqTexts } from "./pure/seq_tasks.js";

export function createAttnLengthFigure(root, spec, data, { say, changed, state }) {
  const words = attnWords(spec, say);
  const { lengths } = data.head.length;
  const place = (length, otherwise) => (lengths.includes(length) ? lengths.indexOf(length) : otherwise);
  let at = place(state?.length, place(spec.length, 0));
  let seen = Math.max(at, place(state?.seen, at)); // curves go on as far as the learner has been

  const slider = createSlider({
    name: "length", label: words("length"), least: 0, most: lengths.length - 1, step: 1, value: at,
    write: (value) => words("symbols", { n: lengths[value] }), moved: (value) => {
      at = value;
      seen = Math.max(seen, at);
      draw();
      changed();
    },
  });
  const chart = createChart({ label: words("chart"), height: 290 });
  const table = element("table", { class: "nlesson-attention-table" });
  const of = element("p", { class: "nlesson-said" });
  const strips = spec.rows.map(({ net, block, name }) => {
    const canvas = element("canvas", { class: "nlesson-attention-strip", "aria-hidden": "true" });
    const told = element("p", { class: "nlesson-said" });
    return { net, block, canvas, told, node: element("div", {}, element("h3", { text: say(name) }), canvas, told) };
  });
  root.append(slider.element, chart.element, element("div", {}, of, table), ...strips.map(({ node }) => node));

  /** Both axes are logarithmic: a line as steep as that of all symbols alike keeps its share of the text. */
  function drawChart() {
    const curve = ({ kind, of }) => (of === "every" ? lengths : data.head.length[kind][of]);
    const last = lengths[lengths.length - 1];
    chart.draw({
      lines: spec.lines.map((line) => ({ name: say(line.name), x: lengths.slice(0, seen + 1), y: curve(line).slice(0, seen + 1), tone: line.tone })),
      x: { label: words("axis_length"), logarithmic: true, ticks: lengths, least: lengths[0], most: last },
      y: { label: words("axis_keys"), logarithmic: true, ticks: [1, 4, 16, 64, 256], least: 1, most: 1.15 * last },
      at: lengths[at], marks: spec.lines.filter(({ of }) => of !== "every").map((line) => ({ x: lengths[at], y: curve(line)[at] })),
    });
    const rows = spec.lines.filter(({ of }) => of !== "every").map((line) => element("tr", {},
      element("th", { scope: "row", text: say(line.name) }), element("td", { text: words("cell", { keys: curve(line)[at], share: curve(line)[at] / lengths[at] }) })));
    of.textContent = words("table", { n: lengths[at] });
    table.replaceChildren(element("tbody", {}, ...rows));
  }

  /** The row of the query in the middle of a text, as bars. */
  function drawStrip({ net: name, block: of, canvas, told }) {
    const net = attnNet(data, name);
    const n = lengths[at];
    const [posed] = seqTexts(net.spec, { count: 1, length: n, seed: spec.seed });
    const row = attnRow(net.run(posed).blocks[of], 0, n >> 1);
    const most = row.reduce((a, b) => Math.max(a, b), 0);
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [(canvas.clientWidth || 300) * ratio, (canvas.clientHeight || 34) * ratio].map(Math.round);
    canvas.width = width;
    canvas.height = height;
    const context = contextOf(canvas);
    context.fillStyle = getComputedStyle(canvas).color;
    row.forEach((share, j) => {
      const [left, right] = [Math.round((j * width) / n), Math.round(((j + 1) * width) / n)];
      const tall = (height * share) / most;
      context.fillRect(left, height - tall, Math.max(1, right - left - (right - left > 3 ? 1 : 0)), tall);
    });
    told.textContent = words("strip", { keys: attnEffective(row), n, most });
  }

  function draw() {
    drawChart();
    for (const strip of strips) drawStrip(strip);
  }

  draw();
  return {
    state: () => ({ length: lengths[at], seen: lengths[seen] }), reading: () => ({ length: lengths[at] }), resize: draw,
    destroy: () => {
      chart.destroy();
      root.replaceChildren();
    },
  };
}
