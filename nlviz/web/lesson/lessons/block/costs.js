// Costs of a block, part by part, for sizes that the learner chooses; with keys pooled, or beside a
// convolution, and both timed in this browser on request.

import { element, setText } from "../../../shared/dom.js";
import { createSegments } from "../../figures/field.js";
import { richLine } from "../../rich.js";
import { blockCosts, convolutionCosts, countText } from "./pure/costs.js";
import { BLOCK_SIZES, costsAbout } from "./pure/judges.js";
import { blockWork, convolutionWork, drawnNumbers } from "./pure/work.js";

const COST_CHUNK = 7; // milliseconds of work between two looks at the page
const TIMED = { channels: 32, most: 3136 };

/** A kept state, if it is one of these costs. */
function keptCosts(state, start) {
  if (!state || typeof state !== "object") return null;
  const fits = Object.entries(BLOCK_SIZES).every(([name, values]) => values.includes(state[name]));
  return fits && ["pool", "project"].includes(state.order) ? { ...start, ...Object.fromEntries(Object.keys(start).map((name) => [name, state[name]])) } : null;
}

/** @type {FigureMaker} */
export function createBlockCosts(root, spec, data, { say, changed, state, signal }) {
  const start = { channels: 512, ratio: 2, frames: 4, side: 14, pool: 1, order: "pool", ...spec.start };
  const now = keptCosts(state, start) ?? { ...start };
  const { labels } = spec;
  const controls = element("div", { class: "nlesson-controls" });
  for (const name of spec.controls) {
    const text = (value) => (name === "ratio" ? (value === 1 ? "C" : `C/${value}`) : name === "side" ? `${value} × ${value}` : name === "pool" ? (value === 1 ? say(labels.unpooled) : `${value} × ${value}`) : String(value));
    const choices = name === "order" ? ["pool", "project"].map((value) => ({ value, text: say(labels[`order_${value}`]) }))
      : BLOCK_SIZES[name].map((value) => ({ value: String(value), text: text(value) }));
    controls.append(createSegments({
      name, label: say(labels[name]), value: String(now[name]), choices,
      moved(value) {
        now[name] = name === "order" ? value : Number(value);
        draw();
        changed();
      },
    }).element);
  }
  const grids = element("div", { class: "nlesson-block-grids", "aria-hidden": "true" });
  const flow = element("ol", { class: "nlesson-block-flow", "aria-label": say(labels.flow) });
  const counted = element("p", { class: "nlesson-block-counted" });
  const body = element("tbody");
  const heads = ["part", "parameters", "adds", ...(spec.show === "pooled" ? ["left"] : [])];
  const table = element("table", { class: "nlesson-block-costs" },
    element("thead", {}, element("tr", {}, ...heads.map((name) => element("th", { scope: "col", text: say(labels[name]) })))), body);
  const timer = spec.show === "convolution" ? createTimer() : null;
  root.append(controls, ...(spec.show === "pooled" ? [grids] : []), ...(spec.show === "block" ? [flow] : []), counted, table, ...(timer ? [timer.element] : []));

  function draw() {
    const about = costsAbout(now);
    const costs = blockCosts(about);
    const whole = blockCosts({ ...about, pool: 1 });
    const convolution = convolutionCosts(about);
    const most = spec.show === "convolution" ? Math.max(costs.multiplyAdds, convolution.multiplyAdds) : whole.multiplyAdds;
    const shapes = { C: now.channels, d: about.inner, N: costs.cells, K: costs.keys };
    const rows = costs.parts.map((part, n) => row(say(labels[part.name], shapes), part.parameters, part.multiplyAdds, most, whole.parts[n].multiplyAdds, ["products", "sums"].includes(part.name) ? "pairs" : "one"));
    rows.push(row(say(labels.total), costs.parameters, costs.multiplyAdds, most, whole.multiplyAdds, "total"));
    if (spec.show === "convolution") rows.push(row(say(labels.convolution, shapes), convolution.parameters, convolution.multiplyAdds, most, 1, "other"));
    body.replaceChildren(...rows);
    setText(counted, say(labels.counted, { cells: costs.cells, keys: costs.keys, pairs: costs.pairCount, convolutions: countText(costs.convolutions), products: countText(costs.pairs) }));
    grids.replaceChildren(plane(now.side, labels.queries), plane(Math.floor(now.side / now.pool), labels.keys));
    flow.replaceChildren(...stages(shapes));
    timer?.stale();
    root.dataset.drawn = "";
  }

  /** What becomes of what, with its size, as in figure 2 of the paper. */
  function stages({ C, d, N, K }) {
    const box = (name, size, kind = "") => element("span", { class: `nlesson-block-box ${kind}` }, element("b", {}, ...richLine(name)), element("small", { text: size }));
    return [
      [box("x", `${N} × ${C}`)],
      [box("θ", `${N} × ${d}`, "nlesson-block-of-one"), box("φ", `${K} × ${d}`, "nlesson-block-of-one"), box("g", `${K} × ${d}`, "nlesson-block-of-one")],
      [box("f / C(x)", `${N} × ${K}`, "nlesson-block-of-pairs")],
      [box("y = (f / C(x)) g", `${N} × ${d}`, "nlesson-block-of-pairs")],
      [box("$W_z y$", `${N} × ${C}`, "nlesson-block-of-one")],
      [box("$z = W_z y + x$", `${N} × ${C}`)],
    ].map((boxes) => element("li", {}, ...boxes));
  }

  function row(name, parameters, adds, most, unpooled, kind) {
    const bar = element("div", { class: `nlesson-block-bar nlesson-block-${kind}`, "aria-hidden": "true", style: `width:${(100 * adds) / most}%` });
    const cells = [element("th", { scope: "row" }, ...richLine(name)), element("td", { text: parameters ? countText(parameters) : "0" }), element("td", {}, bar, element("span", { text: countText(adds) }))];
    if (spec.show === "pooled") cells.push(element("td", { text: `${((100 * adds) / unpooled).toFixed(0)} %` }));
    return element("tr", { class: kind === "total" ? "nlesson-block-sum" : "" }, ...cells);
  }

  /** One frame's cells, as small squares. */
  function plane(side, name) {
    return element("figure", {}, element("div", { class: "nlesson-block-plane", style: `background-size:calc(100% / ${side}) calc(100% / ${side})` }), element("figcaption", { text: say(name, { side }) }));
  }

  /** Both as plain loops in this browser, a little at a time. */
  function createTimer() {
    const button = element("button", { type: "button", class: "nlesson-block-time", "data-control": "time", text: say(labels.time) });
    const told = element("p", { class: "nlesson-said", role: "status" });
    const { timed } = data.head;
    const ours = element("p", { class: "nlesson-said", text: say(labels.timed, { ...timed, ...timed.milliseconds, t: timed.grid[0], h: timed.grid[1], w: timed.grid[2] }) });
    let run = 0;
    button.addEventListener("click", async () => {
      run += 1;
      const mine = run;
      const grid = [now.frames, now.side, now.side];
      const cells = grid[0] * grid[1] * grid[2];
      if (cells > TIMED.most) {
        setText(told, say(labels.too_large, { cells, most: TIMED.most }));
        return;
      }
      setText(told, say(labels.running));
      const { channels } = TIMED;
      const inner = channels / 2;
      const x = drawnNumbers(cells * channels, 1);
      const weights = Object.fromEntries(["theta", "phi", "g", "out"].map((name, n) => [name, drawnNumbers(channels * inner, n + 2)]));
      const block = await inBackground(blockWork({ x, channels, inner, weights }), () => mine === run && !signal.aborted);
      const convolution = await inBackground(convolutionWork({ x, weight: drawnNumbers(27 * channels * channels, 9), channels, grid }), () => mine === run && !signal.aborted);
      if (block === null || convolution === null) return;
      const counts = [blockCosts({ channels, inner, grid }), convolutionCosts({ channels, grid })].map((cost) => cost.multiplyAdds);
      setText(told, say(labels.took, { cells, channels, block, convolution, ratio: block / convolution, counted: counts[0] / counts[1] }));
      told.dataset.took = `${block.toFixed(2)},${convolution.toFixed(2)}`;
    });
    return {
      element: element("div", { class: "nlesson-block-timer" }, button, told, ours),
      stale() {
        run += 1;
        setText(told, "");
      },
      stop: () => { run += 1; },
    };
  }

  draw();
  return { state: () => ({ ...now }), reading: () => ({}), destroy: () => timer?.stop() };
}

/**
 * Run work to its end between other tasks; the milliseconds that it took by itself, or null where it was given up.
 * @param {Generator<any>} work
 * @param {() => boolean} wanted
 */
async function inBackground(work, wanted) {
  let spent = 0;
  for (let done = false; !done;) {
    await new Promise((resolve) => { setTimeout(resolve, 0); });
    if (!wanted()) return null;
    const start = performance.now();
    while (!done && performance.now() - start < COST_CHUNK) done = Boolean(work.next().done);
    spent += performance.now() - start;
  }
  return spent;
}
