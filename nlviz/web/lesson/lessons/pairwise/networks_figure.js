// The figure of the lesson: a clip, a query, and the rows of networks that differ in f.
//
// spec: clips: "recall" or "single"; nets: names of networks, in the order of their maps; asks: the network that
// the question is of; clip, query: to open with; first: a query whose ten strongest keys are marked; donors:
// networks whose rows can be given to "asks"; flip: whether signs can be changed; hidden: names are not told,
// and can be given; labels: words.

import { createColourLegend } from "../../figures/colours.js";
import { createSegments } from "../../figures/field.js";
import { commonScale, createTiles } from "../../figures/tiles.js";
import { element, setText } from "../../../shared/dom.js";
import { CELLS, KEYS, keysKept, recallAnswer, recallRow, rightOf, rowFigures, strongestKeys } from "./pure/recall.js";

const FRAMES = KEYS / CELLS;
const SIDE = 8; // cells of a frame
const ACROSS = FRAMES * SIDE;
const letterOf = (n) => String.fromCharCode(65 + n);
const signedNumber = (value, places) => value.toFixed(places).replace("-", "−");

/** Cells of a frame after those of the one before as cells side by side. */
const besides = (query) => {
  const frame = Math.floor(query / CELLS);
  const cell = query % CELLS;
  return /** @type {[number, number]} */ ([Math.floor(cell / SIDE), frame * SIDE + (cell % SIDE)]);
};
const queryAt = (row, column) => Math.floor(column / SIDE) * CELLS + row * SIDE + (column % SIDE);

/** Frames side by side: of (5, h, w, channels) values one picture. */
function stripOf(values, side, channels) {
  const out = new (/** @type {any} */ (values).constructor)(values.length);
  for (let frame = 0; frame < FRAMES; frame++) {
    for (let row = 0; row < side; row++) {
      const from = (frame * side + row) * side * channels;
      out.set(values.subarray(from, from + side * channels), (row * FRAMES + frame) * side * channels);
    }
  }
  return out;
}

/** What was kept, where it is what this figure could have kept. */
function restoredNetworks(state, opening, spec, count) {
  const whole = (value, most) => Number.isInteger(value) && value >= 0 && value < most;
  if (!state || !whole(state.clip, count) || !whole(state.query, KEYS)) return opening;
  const donor = [spec.asks, ...(spec.donors ?? [])].includes(state.donor) ? state.donor : spec.asks;
  const names = Object.fromEntries(Object.entries(state.names ?? {}).filter(([name]) => spec.nets.includes(name)));
  return { clip: state.clip, query: state.query, flip: state.flip === true, donor, names };
}

/** @type {FigureMaker} */
export function createNetworksFigure(root, spec, data, { say, changed, state }) {
  const { head } = data;
  const clips = head.clips[spec.clips];
  const count = clips.asked.length;
  const pixels = data.array(`pixels.${spec.clips}`).data;
  const opening = { clip: spec.clip ?? 0, query: spec.query, flip: false, donor: spec.asks, names: /** @type {Record<string, string>} */ ({}) };
  let now = restoredNetworks(state, opening, spec, count);
  const word = (name, values) => say(spec.labels[name], values);
  const nameOf = (name) => word(head.nets[name].f);
  const colour = (name) => say(spec.labels.colours[name]);

  function act(next) {
    now = { ...now, ...next };
    draw();
    changed();
  }

  const pointed = (_, row, column) => act({ query: queryAt(row, column) });
  const clipTile = createTiles(data, { label: word("clip"), name: "query", side: 320, pointed });
  const maps = createTiles(data, { label: word("maps"), name: "map", side: 260, pointed });
  const stepper = createSegments({
    name: "clip", label: word("clip"), value: String(now.clip), moved: (value) => act({ clip: Number(value) }),
    choices: Array.from({ length: count }, (_, n) => ({ value: String(n), text: String(n + 1) })),
  });
  const flip = spec.flip ? createSegments({
    name: "flip", label: word("sign"), value: String(now.flip), moved: (value) => act({ flip: value === "true" }),
    choices: [{ value: "false", text: word("asTheyAre") }, { value: "true", text: word("flipped") }],
  }) : null;
  const donors = spec.donors ? createSegments({
    name: "donor", label: word("rowsFrom", { name: nameOf(spec.asks) }), value: now.donor, moved: (donor) => act({ donor }),
    choices: [spec.asks, ...spec.donors].map((name) => ({ value: name, text: name === spec.asks ? word("ownRows") : nameOf(name) })),
  }) : null;
  const menus = spec.hidden ? spec.nets.map((name, n) => {
    const menu = element("select", { "data-control": `name-${letterOf(n)}` }, element("option", { value: "", text: "…" }),
      ...["embedded_gaussian", "dot_product", "gaussian", "concatenation"].map((f) => element("option", { value: f, text: word(f) })));
    menu.value = now.names[name] ?? "";
    menu.addEventListener("change", () => act({ names: { ...now.names, [name]: menu.value } }));
    return element("label", { class: "nlesson-pairwise-name" }, element("b", { text: letterOf(n) }), menu);
  }) : [];
  const legend = createColourLegend(data, { zero: "0", most: word("strongest"), negative: word("negative"), positive: word("positive") });
  const told = element("p", { class: "nlesson-pairwise-told", "aria-live": "polite" });
  root.append(element("div", { class: "nlesson-pairwise" },
    element("div", { class: "nlesson-pairwise-controls" }, stepper.element, flip?.element ?? "", donors?.element ?? ""),
    clipTile.element, maps.element, legend, menus.length ? element("div", { class: "nlesson-pairwise-names" }, ...menus) : "", told));

  const changeOf = (name) => (name !== spec.asks ? {} : { factor: now.flip ? -1 : 1, giver: now.donor });

  /** What stands below a map. */
  function noteOf(name, figures) {
    const sum = word("sum", { sum: signedNumber(figures.sum, 2) });
    if (spec.hidden) return `${sum} · ${word("range", { least: signedNumber(figures.least, 3), most: signedNumber(figures.most, 3) })}`;
    if (spec.first !== undefined && name === spec.asks) return word("keptAsked");
    if (spec.first !== undefined) return word("kept", { kept: keysKept(data, name, now.clip, spec.first, now.query) });
    const answer = recallAnswer(data, name, now.clip, changeOf(name));
    return `${sum} · ${word("says", { colour: colour(answer.colour) })} ${answer.right ? "✓" : "✗"}`;
  }

  function draw() {
    const picture = stripOf(pixels.subarray(now.clip * FRAMES * 32 * 32 * 3, (now.clip + 1) * FRAMES * 32 * 32 * 3), 32, 3);
    const query = besides(now.query);
    const first = spec.first === undefined ? [] : [{ row: besides(spec.first)[0], column: besides(spec.first)[1], kind: "first" }];
    clipTile.draw([{ id: "clip", name: word("frames"), note: spec.first === undefined ? "" : word("twoQueries"), rows: SIDE, columns: ACROSS, pixels: new Uint8Array(3 * SIDE * ACROSS), ground: picture, query, marks: first, values: new Float32Array(SIDE * ACROSS) }]);
    maps.draw(spec.nets.map((name, n) => {
      const giver = changeOf(name).giver ?? name;
      const row = recallRow(data, giver, now.clip, now.query);
      const factor = changeOf(name).factor ?? 1;
      const values = stripOf(Float32Array.from(row, (value) => factor * value), SIDE, 1);
      const marks = spec.first === undefined ? [] : strongestKeys(recallRow(data, name, now.clip, spec.first)).map((j) => ({ row: besides(j)[0], column: besides(j)[1] }));
      const figures = rowFigures(data, giver, now.clip, now.query);
      return {
        id: name, name: spec.hidden ? letterOf(n) : nameOf(name), note: noteOf(name, { ...figures, sum: factor * figures.sum }),
        rows: SIDE, columns: ACROSS, values, ground: picture, query, marks, scale: commonScale([values]),
      };
    }));
    const told_ = spec.donors ? rightOf(data, spec.asks, changeOf(spec.asks)) : null;
    setText(told, told_ ? word("rightOf", { ...told_, name: nameOf(spec.asks) }) : "");
  }

  draw();
  return {
    state: () => ({ ...now }),
    reading: () => now,
    destroy: () => root.replaceChildren(),
  };
}
