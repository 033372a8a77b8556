// Four maps of one query: three of blocks that learned, one of a block that did not.

import { element } from "../../../shared/dom.js";
import { createSegments } from "../../figures/field.js";
import { createTiles } from "../../figures/tiles.js";
import { createBoard, createFacts, darkGround, frameScale } from "./board.js";
import { effectiveKeys, sumOf } from "./pure/measures.js";
import { honestMap, honestPlace, honestSharesAt } from "./pure/rows.js";
import { createScaleBar } from "./scale_bar.js";

/** @type {FigureMaker} */
export function createTwinsFigure(root, spec, data, { say, changed, state }) {
  const { clips } = spec;
  const ids = Object.keys(spec.maps); // a, b, c, d: which block, and its temperature
  let clip = clips.includes(state?.clip) ? state.clip : clips[0];
  const opened = new Set([clip, ...(Array.isArray(state?.opened) ? state.opened : []).filter((n) => clips.includes(n))]);
  let query = data.head.maps[`recall.${clip}`].query;
  if (Number.isInteger(state?.query) && state.query >= 256 && state.query < 320) ({ query } = state);
  const rowOf = (id, n, cell) => {
    const { block, soft } = spec.maps[id];
    return honestSharesAt(honestMap(data, `recall.${n}.${block}`), cell, soft ? { temperature: data.head.soft } : {});
  };
  const figuresOf = (id, n, cell) => {
    const row = rowOf(id, n, cell);
    const { truth } = data.head.maps[`recall.${n}`];
    const mass = sumOf(truth.map((j) => row[j]));
    return { row, mass, times: (mass * row.length) / truth.length, effective: effectiveKeys(row) };
  };

  const map = honestMap(data, `recall.${clip}.learned`);
  const seen = createBoard(data, { map, label: say(spec.seen), name: "query", seen: `recall.${clip}.seen`, frameName: (n) => say(spec.frame, { n }), pointed });
  const groups = Object.fromEntries(ids.map((id) => {
    const tiles = createTiles(data, { label: say(spec.map, { map: id.toUpperCase() }), name: `map-${id}`, side: 40 });
    tiles.element.style.setProperty("grid-template-columns", "repeat(5, minmax(0, 1fr))");
    return [id, tiles];
  }));
  const legends = Object.fromEntries(ids.map((id) => [id, createScaleBar(data)]));
  const facts = Object.fromEntries(ids.map((id) => [id, createFacts()]));
  const which = createSegments({
    name: "clip", label: say(spec.clip), value: String(clip), choices: clips.map((n, at) => ({ value: String(n), text: String(at + 1) })),
    moved: (value) => {
      clip = Number(value);
      opened.add(clip);
      ({ query } = data.head.maps[`recall.${clip}`]);
      draw();
      changed();
    },
  });
  const grid = element("div", { class: "nlesson-honest-four" }, ...ids.map((id) => element("section", {}, element("b", { text: say(spec.map, { map: id.toUpperCase() }) }), groups[id].element, legends[id].element, facts[id].element)));
  root.append(which.element, element("div", { class: "nlesson-honest-only-seen" }, seen.element), grid);

  function draw() {
    seen.draw({ shares: rowOf(ids[0], clip, query), at: query, pictures: `recall.${clip}.seen`, marks: data.head.maps[`recall.${clip}`].truth });
    for (const id of ids) {
      const { row, mass, times, effective } = figuresOf(id, clip, query);
      // Each map on its own scale, as pictures in papers are.
      const whole = frameScale(row);
      const place = honestPlace(map, query);
      groups[id].draw(Array.from({ length: 5 }, (_, frame) => ({
        id: `${id}-${frame}`, name: "", rows: 8, columns: 8, values: row.subarray(64 * frame, 64 * frame + 64), scale: whole, ground: darkGround(64),
        query: place.frame === frame ? [place.row, place.column] : null,
      })));
      legends[id].say(say(spec.colours, { top: whole.hi }));
      facts[id].say([say(spec.truth, { mass, times }), say(spec.effective, { effective, keys: row.length })]);
    }
  }
  function pointed(cell) {
    if (cell < 256) return; // the grey digit stands in the last frame
    query = cell;
    draw();
    changed();
  }
  draw();
  return {
    state: () => ({ clip, query, opened: [...opened] }),
    reading: () => ({
      clips: clips.length,
      maps: ids.map((id) => {
        const each = clips.map((n) => figuresOf(id, n, data.head.maps[`recall.${n}`].query));
        const found = each.map(({ times }) => times >= data.head.numbers.finds);
        const { mass, times, effective } = figuresOf(id, clip, query);
        return { id, mass, times, effective, keys: map.keys, found: found.filter(Boolean).length, opened: opened.size, there: clips.filter((n, at) => opened.has(n) && found[at]).length };
      }),
    }),
    destroy: () => {},
  };
}
