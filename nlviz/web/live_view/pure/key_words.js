// What the queries of a source reach, in words: the set of keys that C(x) is taken over.

import { say, texts } from "../../shared/language.js";
import { gridSize } from "./grid.js";
import { asksWithoutPlace } from "./state.js";
import { boxSize, supportOf } from "./support.js";
import { lineOf } from "./pages.js";
import { askerText, isNamed, kindText } from "./text_words.js";
import { counted } from "./words.js";

/** Frames, rows and columns of a grid. */
export const shapeText = ({ shape }) => shape.join("×");


/** Keys with a place that a query reaches at most. */
export function mostReached(spec) {
  const support = supportOf(spec);
  return support.cells || support.local ? support.most : boxSize(support.reached(0));
}

const WINDOW = /^a window of (\d+) x (\d+) keys around (it|its block of queries)(?: in (\d+) frames)?$/;
const POOLED = /^(.*), pooled: one for ([\d×]+) cells(?: in (\d+) frames)?$/;
texts("every key that it may");

/** The keys that a query reaches, as Python tells them, in the language that is spoken. */
function keysText(told) {
  const pooled = POOLED.exec(told);
  if (pooled) {
    const [, keys, cells, frames] = pooled;
    const of = { keys: keysText(keys), cells, frames };
    return frames ? say("{keys}, pooled: one for {cells} cells in {frames} frames", of) : say("{keys}, pooled: one for {cells} cells", of);
  }
  const [, rows, columns, around, frames] = WINDOW.exec(told) ?? [];
  if (!rows) return say(told);
  const size = { rows, columns, frames };
  if (around === "it") return frames ? say("a window of {rows} x {columns} keys around it in {frames} frames", size) : say("a window of {rows} x {columns} keys around it", size);
  return frames ? say("a window of {rows} x {columns} keys around its block of queries in {frames} frames", size)
    : say("a window of {rows} x {columns} keys around its block of queries", size);
}

/** What a query reaches, to go behind "reaches"; keys without a place named, too. */
export function reachedText(spec) {
  const reached = keysText(spec.reached ?? "every key that it may");
  if (lineOf(spec.keys) && spec.prefix) return say("{reached}, words among them", { reached });
  return spec.prefix && spec.prefix_name ? say("{reached}, and {tokens}", { reached, tokens: say(spec.prefix_name) }) : reached;
}

/** How many queries there are, what one of them is, and how many keys each has. */
export function sizesText(spec) {
  const { queries, keys } = spec;
  const most = mostReached(spec);
  const all = gridSize(keys);
  if (isNamed(queries) || isNamed(keys) || lineOf(queries) || lineOf(keys)) return namedSizes(spec, most, all);
  const asking = asksWithoutPlace(spec) ? counted(spec.tokens.length, "query without a place", "queries without a place")
    : `${counted(gridSize(queries), "query", "queries")}${shapeText(queries) === shapeText(keys) ? "" : ` (${shapeText(queries)})`}`;
  const whole = `${all.toLocaleString("en")} (${shapeText(keys)})`;
  const asked = most < all ? say("{some} each, of {all}", { some: counted(most, "key"), all: whole }) : `${counted(all, "key")} (${shapeText(keys)})`;
  return { asking, asked };
}

/** Words, boxes and nodes are counted as what they are; cells of pictures by their grid. */
function namedSizes({ queries, keys }, most, all) {
  const count = (grid, called) => {
    const size = gridSize(grid);
    const cells = isNamed(grid) ? numberOf(grid, size) : `${counted(size, called, called === "query" ? "queries" : "keys")} (${shapeText(grid)})`;
    return grid.line ? say("{some} and {last}", { some: counted(grid.line.words.length, "word"), last: cells }) : cells;
  };
  const asking = count(queries, "query");
  const whole = isNamed(keys) || keys.line ? say("{keys} that are asked", { keys: count(keys, "key") }) : count(keys, "key");
  return {
    asking: isNamed(queries) || queries.line ? say("{queries} that ask", { queries: asking }) : asking,
    asked: most < all ? say("{some} each, of {all}", { some: counted(most, "key"), all: whole }) : whole,
  };
}

/** What one cell stands for: queries and keys apart where keys were pooled. */
export function cellText(spec) {
  if (isNamed(spec.queries) && isNamed(spec.keys)) return "";
  const [q, k] = [pixels(spec.queries), pixels(spec.keys)];
  if (isNamed(spec.queries) || (!isNamed(spec.keys) && asksWithoutPlace(spec))) return say("one key = {size} px", { size: k });
  if (isNamed(spec.keys)) return say("one query = {size} px", { size: q });
  if (q === "1" && k === "1") return say("one query a pixel");
  return q === k ? say("one cell = {size} px", { size: q }) : say("one query = {size} px, one key = {other} px", { size: q, other: k });
}

/** So many words, boxes or nodes. */
const numberOf = (grid, size) => say("{n} {kind}", { n: size.toLocaleString("en"), kind: kindText(grid, size) });

function pixels({ stride: [, y, x] }) {
  const [down, across] = [Number(y.toFixed(1)), Number(x.toFixed(1))];
  return down === across ? String(down) : `${down}×${across}`;
}

/** Over which keys a row is normalised: their number and grid, and keys without a place. */
export function overKeys(result) {
  const { spec } = result;
  if (isNamed(result.grid)) return numberOf(result.grid, result.count);
  const { shape } = result.box ? result.grid : result.column ? spec.queries : spec.keys;
  const whole = result.box || result.count === shape.reduce((a, b) => a * b, 1);
  const n = result.count.toLocaleString("en");
  const cells = whole ? say("{n} keys ({shape})", { n, shape: shape.join("×") }) : say("{n} keys (of {shape})", { n, shape: shape.join("×") });
  const apart = result.words ? counted(result.words.length, "word") : spec.prefix && spec.prefix_name && !result.column ? say(spec.prefix_name) : "";
  return apart ? say("{some} and {last}", { some: cells, last: apart }) : cells;
}

/** Σ of the equation, in words. */
export function sumText(result) {
  if (!result.named) return say("Σ<sub>j</sub> runs over the keys that the query reaches: {reached}.", { reached: reachedText(result.spec) });
  const who = askerText(result);
  return say("Σ<sub>j</sub> runs over the keys that {who} reaches: {reached}.", { who: `${who[0].toLowerCase()}${who.slice(1)}`, reached: overKeys(result) });
}

/** The name of a network: of a file or a folder without the folders that it lies in. */
export const networkName = (name) => (name.includes("/") && /^([/~]|[A-Za-z]:)/.test(name) ? name.split("/").filter(Boolean).pop() ?? name : name);

const LONG_NAME = 24;

/** The name of a block; where it is long, from the word before its last number on. */
export function blockName(name) {
  if (name.length <= LONG_NAME) return name;
  const parts = name.split(".");
  const last = parts.map((part) => /^\d+$/.test(part)).lastIndexOf(true);
  return last > 1 ? `…${parts.slice(last - 1).join(".")}` : name;
}
