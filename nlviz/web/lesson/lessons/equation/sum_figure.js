// The figure of the lesson: equation (1) over a picture of a few numbers, every number in its cell.
//
// spec: picture: prefix of two sections of the data, x and g; query, key: pixels to open with; pick: "query"
// or "key", what a click on any square moves; panels: of "x", "f", "weights", "g", "products", "table" (the
// rows of all queries); rows: queries whose rows stand beside them; lines: of "theta", "f", "weight", "y"; edit: "x", "g" or none; controls: of "temperature",
// "a", "b"; ask: pixel whose weight is not told; balance, target: the scale; labels: words.

import { createSlider } from "../../figures/field.js";
import { element, setText } from "../../../shared/dom.js";
import { formulaElement } from "../../rich.js";
import { createBalance } from "./balance.js";
import { workedLines } from "./lines.js";
import { createNumberPanel } from "./panel.js";
import { createRowsTable } from "./table.js";
import { keptSum, openingSum, restoredSum } from "./pure/kept.js";
import { cellNumber, cellShare, plainNumber } from "./pure/numbers.js";
import { rowOf, workedSum } from "./pure/worked.js";

const SYMBOLS = { x: "x_j", f: "f(x_i, x_j)", weights: "f / C", g: "g(x_j)", products: "(f / C) g" };
const signed = (value, places) => value.toFixed(places).replace("-", "−");
const EDIT_STEP = { x: 0.5, g: 0.1 };

/** @type {FigureMaker} */
export function createSumFigure(root, spec, data, { say, changed, state, language }) {
  const opening = openingSum(spec, data.array(`${spec.picture}.x`).data, data.array(`${spec.picture}.g`).data);
  let sum = restoredSum(state, opening, spec);
  /** @type {number|null} */
  let over = null;
  const word = (name, values) => say(spec.labels[name], values);
  const where = (j) => ({ row: Math.floor(j / sum.side) + 1, column: (j % sum.side) + 1 });
  const place = (j) => word("place", where(j));
  const asks = (j) => spec.ask !== undefined && sum.x[j] === sum.x[spec.ask];
  const dot = sum.pairwise === "dot_product";

  function act(next) {
    sum = { ...sum, ...next };
    draw();
    changed();
  }

  const pick = (j) => {
    if (sum[spec.pick] !== j) act({ [spec.pick]: j });
  };
  const step = spec.edit ? (j, way) => edit(j, sum[spec.edit][j] + way * (spec.edit === "g" ? 1 : EDIT_STEP.x)) : null;

  function edit(j, value) {
    const [low, high] = spec[`${spec.edit}_range`];
    const inside = Number(Math.min(high, Math.max(low, value)).toFixed(2));
    act({ [spec.edit]: sum[spec.edit].with(j, inside) });
  }

  /** What stands below a square: the sum of its cells, from the screen on that divides by it. */
  function totalOf(kind, { c, weights, y }) {
    if (!spec.panels.includes("weights")) return "";
    const whole = weights.reduce((all, w) => all + w, 0);
    const totals = { f: dot ? `C = N = ${c}` : `${word("sum")} C = ${cellNumber(c)}`, weights: `${word("sum")} ${dot ? signed(whole, 3) : cellShare(whole)}`, products: `${word("sum")} y = ${signed(y, 2)}` };
    return totals[kind] ?? "";
  }

  const hover = (j) => {
    if (over === j) return;
    over = j;
    draw();
  };

  const panels = spec.panels.filter((kind) => kind !== "table").map((kind) => ({
    kind,
    panel: createNumberPanel({
      side: sum.side, name: word(kind), symbol: formulaElement(SYMBOLS[kind]), note: word(kind), kind, place, pointed: hover,
      pick, keyed: kind === "x", control: spec.pick, steps: kind === "x" ? step : null,
    }),
  }));
  const rows = (spec.rows ?? []).map((query) => ({
    query,
    panel: createNumberPanel({ side: sum.side, name: word("row", { x: opening.x[query] }), symbol: "", note: word("row", { x: opening.x[query] }), kind: "weights", place, pick, pointed: hover }),
  }));
  const table = spec.panels.includes("table") ? createRowsTable({ count: sum.x.length, symbol: formulaElement(SYMBOLS.weights), note: word("table"), foot: word("outlined"), pick }) : null;
  const editor = spec.edit ? createSlider({
    name: spec.edit, label: "", least: spec[`${spec.edit}_range`][0], most: spec[`${spec.edit}_range`][1], step: EDIT_STEP[spec.edit],
    value: sum[spec.edit][sum.key], write: plainNumber, moved: (value) => edit(sum.key, value),
  }) : null;
  const sliders = (spec.controls ?? []).map((name) => (name === "temperature" ? createSlider({
    name, label: word(name), least: -2, most: 6, step: 0.125, value: Math.log2(sum.temperature),
    write: (power) => `T = ${Number((2 ** power).toPrecision(2))}`, moved: (power) => act({ temperature: 2 ** power }),
  }) : createSlider({
    name, label: word(name), least: -1, most: 1, step: 0.1, value: sum[name], write: plainNumber, moved: (value) => act({ [name]: value }),
  })));
  const balance = spec.balance ? createBalance(spec.g_range, spec.target ?? null) : null;
  const lines = element("div", { class: "nlesson-equation-lines" });
  const heard = element("p", { class: "nlv-spoken", "aria-live": "polite" });
  const told = spec.target === undefined ? spec.labels.balance && word("balance") : word("target", { target: spec.target });
  const hint = told ? element("p", { class: "nlesson-equation-goal", text: told }) : "";
  const squares = [...panels, ...rows].map(({ panel }) => panel.element).concat(table ? [table.element] : []);
  root.append(element("div", { class: "nlesson-equation-sum" },
    sliders.length ? element("div", { class: "nlesson-equation-controls" }, ...sliders.map((slider) => slider.element)) : "",
    element("div", { class: "nlesson-equation-panels", style: `--columns:${squares.length === 5 ? 3 : squares.length}` }, ...squares),
    editor ? editor.element : "",
    lines, hint, balance ? balance.element : "", heard));

  function draw() {
    const found = workedSum(sum);
    const largest = Math.max(...found.f.map(Math.abs), 1e-12);
    const most = Math.max(...found.weights.map(Math.abs), 1e-12);
    const product = Math.max(...found.products.map(Math.abs), 1e-12);
    const asShare = (weight) => (dot ? plainNumber(weight) : cellShare(weight));
    const shown = {
      x: { texts: sum.x.map(plainNumber), shares: sum.x.map((x) => x / 6) },
      f: { texts: found.f.map(cellNumber), shares: found.f.map((f) => f / largest) },
      weights: { texts: found.weights.map((w, j) => (asks(j) ? "?" : asShare(w))), shares: found.weights.map((w, j) => (asks(j) ? 0 : w / most)) },
      g: { texts: sum.g.map(plainNumber), shares: sum.g.map((g) => g / spec.g_range[1]) },
      products: { texts: found.products.map(cellNumber), shares: found.products.map((p) => p / product) },
    };
    const marks = { query: sum.query, key: sum.key, pointed: over };
    for (const { kind, panel } of panels) {
      panel.draw({ ...shown[kind], ...marks });
      panel.foot(totalOf(kind, found));
    }
    const shares = rows.map(({ query }) => rowOf(sum, query));
    const signs = Math.max(...shares.flat().map((share) => cellShare(share).length));
    for (const [n, { query, panel }] of rows.entries()) {
      const row = shares[n];
      const top = Math.max(...row);
      panel.draw({ signs, texts: row.map(cellShare), shares: row.map((w) => w / top), query, key: null, pointed: over });
    }
    table?.draw({
      rows: sum.x.map((_, query) => rowOf(sum, query)), query: sum.query, key: sum.key,
      hidden: (i, j) => i === sum.query && asks(j), heard: word("heard", where(sum.query)),
    });
    if (editor) {
      editor.set(sum[spec.edit][sum.key]);
      setText(/** @type {HTMLElement} */ (editor.element.querySelector("span")), word("edit", where(sum.key)));
    }
    for (const [n, name] of (spec.controls ?? []).entries()) {
      sliders[n].set(name === "temperature" ? Math.log2(sum.temperature) : sum[name]);
    }
    const looked = { ...sum, key: over ?? sum.key };
    lines.replaceChildren(...workedLines(spec.lines ?? [], looked, found, asks(looked.key), language));
    balance?.draw(sum.g, found.weights, found.y, looked.key);
    if (over === null) setText(heard, [...lines.children].map((each) => each.textContent).join("; "));
  }

  draw();
  return { state: () => keptSum(sum, opening), reading: () => sum, destroy: () => root.replaceChildren() };
}
