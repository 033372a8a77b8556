// One map on its frames: what is seen, and below it the row, with one query that clicks and arrow keys move.

import { rowScale } from "../../../live_view/pure/colour.js";
import { element, setText } from "../../../shared/dom.js";
import { createTiles } from "../../figures/tiles.js";
import { honestCell, honestFrames, honestPlace } from "./pure/rows.js";
import { HONEST_INK, createScaleBar } from "./scale_bar.js";

const LEAST_TOP = 3; // times the even share: the lowest end of a scale, so that an even row does not glow

/** A scale from 0 to the strongest cell, the query's own too: it often holds most of the row. */
export function honestScale(shares) {
  let most = LEAST_TOP / shares.length;
  for (const share of shares) if (share > most) most = share;
  return rowScale({ sorted: [most], rank: 0, least: 0, most, unit: 1, signed: false, fixed: null });
}

/** Each frame's own scale: what makes a frame with next to nothing look strong. */
export function frameScale(frame) {
  const most = Math.max(...frame, 1e-30);
  return { lo: 0, hi: most, floor: 0, diverging: false, clipped: false, clippedBelow: false };
}

const SHADE = 0.42; // of the luma of a picture that shows through

/**
 * Dark ground of some cells, or of a picture: grey, and darker.
 * @param {number} cells
 * @param {Uint8Array|null} picture
 */
export function darkGround(cells, picture = null) {
  if (!picture) return Uint8Array.from({ length: 3 * cells }, (_, n) => HONEST_INK[n % 3]);
  const out = new Uint8Array(picture.length);
  for (let n = 0; n < picture.length; n += 3) {
    const luma = SHADE * (0.3 * picture[n] + 0.59 * picture[n + 1] + 0.11 * picture[n + 2]);
    for (let c = 0; c < 3; c++) out[n + c] = Math.min(255, HONEST_INK[c] / 2 + luma);
  }
  return out;
}

/**
 * @param {any} data
 * @param {{map: any, label: string, named?: string, name: string, frameName: (n: number) => string, seen?: string|null, seenLabel?: string, through?: boolean,
 *   above?: boolean, widest?: number, legend?: ((top: number|null) => string)|null, words?: string[]|null, pointed?: ((cell: number) => void)|null}} about
 *   named: what is written at a map of one frame; seen: name of the section of pictures, seenLabel what one of one frame is called; through: whether they show through the map; above: whether they stand above it; widest: in em; legend: what the end of the colours is, null where each frame has its own; words: those of a text, below its cells; pointed gets the cell
 */
export function createBoard(data, { map, label, named = label, name, frameName, seen = null, above = true, widest = 46, seenLabel = "", legend = null, through = false, words = null, pointed = null }) {
  const [t, h, w] = map.shape;
  const at = (id, row, column) => honestCell(map, { frame: Number(id.split("-")[1]), row, column });
  let query = -1;
  const heard = pointed && ((id, row, column) => pointed(at(id, row, column)));
  const group = (kind) => {
    const tiles = createTiles(data, { label, name: `${name}-${kind}`, side: 60, pointed: heard });
    tiles.element.style.setProperty("grid-template-columns", `repeat(${t}, minmax(0, 1fr))`);
    return tiles;
  };
  const pictures = seen && above ? group("seen") : null;
  const bar = legend && createScaleBar(data);
  const maps = group("map");
  const line = words && element("div", { class: "nlesson-honest-words", style: `grid-template-columns:repeat(${words.length}, 1fr)` }, ...words.map((text) => element("span", { text })));
  const wide = words ? "100%" : `${Math.min(t === 3 ? 46 : t * 11 + 1, widest)}em`;
  const box = element("div", { class: `nlesson-honest-board${t === 1 && !words ? " nlesson-honest-single" : ""}`, style: `--wide:${wide}` },
    pictures?.element ?? "", maps.element, line ?? "", bar?.element ?? "");

  const tile = (kind, frame) => ({ id: `${kind}-${frame}`, name: t > 1 ? frameName(frame + 1) : kind === "seen" ? seenLabel : named, rows: h, columns: w, query: queryIn(frame) });
  const queryIn = (frame) => {
    const place = honestPlace(map, query);
    return query >= 0 && place.frame === frame ? /** @type {[number, number]} */ ([place.row, place.column]) : null;
  };

  /**
   * @param {{shares: Float32Array, at: number, scale?: any, eachFrame?: boolean, notes?: string[], marks?: number[], pictures?: string|null, picture?: number}} drawn
   *   shares: (keys,); eachFrame: every frame on its own scale; notes: one a frame; marks: cells; pictures and
   *   picture: another section in the place of what is seen, and which of its clips
   */
  function draw({ shares, at: cell, scale, eachFrame = false, notes = [], marks = [], pictures: section = seen, picture = 0 }) {
    query = cell;
    const frames = honestFrames(map, shares);
    const common = scale ?? honestScale(shares);
    const grounds = section ? groundsOf(data.array(section), t, picture) : [];
    const marked = (frame) => marks.map((n) => honestPlace(map, n)).filter((place) => place.frame === frame);
    pictures?.draw(grounds.map((ground, frame) => ({ ...tile("seen", frame), ground, marks: marked(frame) })));
    maps.draw(frames.map((values, frame) => ({
      ...tile("map", frame), values, note: notes[frame] ?? "", marks: marked(frame), scale: eachFrame ? frameScale(values) : common,
      ground: darkGround(h * w, through ? grounds[frame] : null),
    })));
    if (legend) bar?.say(legend(eachFrame ? null : common.hi));
  }

  return { element: box, draw, cells: t * h * w };
}

/** (H, W, 3) pixels of each frame out of (t, H, W, 3), or of one clip out of several. */
function groundsOf({ data, shape }, t, picture) {
  const size = shape.slice(-3).reduce((a, b) => a * b, 1);
  return Array.from({ length: t }, (_, frame) => data.subarray((picture * t + frame) * size, (picture * t + frame + 1) * size));
}

/** A line of figures below a picture: "name value", the value in bold. */
export function createFacts() {
  const box = element("p", { class: "nlesson-said nlesson-honest-facts", "aria-live": "off" });
  return {
    element: box,
    /** @param {string[]} texts each with its value between ** and ** */
    say(texts) {
      box.replaceChildren(...texts.map((text) => {
        const parts = text.split("**");
        return element("span", {}, ...parts.map((part, n) => (n % 2 ? element("b", { text: part }) : part)));
      }));
    },
    clear: () => setText(box, ""),
  };
}
