// What the queries of a source reach, in words: the set of keys that C(x) is taken over.

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

/** What a query reaches, to go behind "reaches"; keys without a place named, too. */
export function reachedText(spec) {
  if (lineOf(spec.keys) && spec.prefix) return `${spec.reached ?? "every key that it may"}, words among them`;
  const apart = spec.prefix && spec.prefix_name ? `, and ${spec.prefix_name}` : "";
  return (spec.reached ?? "every key that it may") + apart;
}

/** How many queries there are, what one of them is, and how many keys each has. */
export function sizesText(spec) {
  const { queries, keys } = spec;
  const most = mostReached(spec);
  const all = gridSize(keys);
  if (isNamed(queries) || isNamed(keys) || lineOf(queries) || lineOf(keys)) return namedSizes(spec, most, all);
  const asking = asksWithoutPlace(spec) ? counted(spec.tokens.length, "query without a place", "queries without a place")
    : `${counted(gridSize(queries), "query", "queries")}${shapeText(queries) === shapeText(keys) ? "" : ` (${shapeText(queries)})`}`;
  const asked = most < all ? `${counted(most, "key")} each, of ${all.toLocaleString("en")} (${shapeText(keys)})` : `${counted(all, "key")} (${shapeText(keys)})`;
  return { asking, asked };
}

/** Words, boxes and nodes are counted as what they are; cells of pictures by their grid. */
function namedSizes({ queries, keys }, most, all) {
  const count = (grid, called) => {
    const size = gridSize(grid);
    const cells = isNamed(grid) ? `${size.toLocaleString("en")} ${kindText(grid, size)}` : `${counted(size, called, called === "query" ? "queries" : "keys")} (${shapeText(grid)})`;
    const words = grid.line ? `${counted(grid.line.words.length, "word")} and ` : "";
    return words + cells;
  };
  const each = most < all ? `${counted(most, "key")} each, of ` : "";
  return { asking: `${count(queries, "query")}${isNamed(queries) || queries.line ? " that ask" : ""}`, asked: `${each}${count(keys, "key")}${isNamed(keys) || keys.line ? " that are asked" : ""}` };
}

/** What one cell stands for: queries and keys apart where keys were pooled. */
export function cellText(spec) {
  if (isNamed(spec.queries) && isNamed(spec.keys)) return "";
  if (isNamed(spec.queries)) return `one key = ${pixels(spec.keys)} px`;
  if (isNamed(spec.keys)) return `one query = ${pixels(spec.queries)} px`;
  if (asksWithoutPlace(spec)) return `one key = ${pixels(spec.keys)} px`;
  const [q, k] = [pixels(spec.queries), pixels(spec.keys)];
  if (q === "1" && k === "1") return "one query a pixel";
  return q === k ? `one cell = ${q} px` : `one query = ${q} px, one key = ${k} px`;
}

function pixels({ stride: [, y, x] }) {
  const [down, across] = [Number(y.toFixed(1)), Number(x.toFixed(1))];
  return down === across ? String(down) : `${down}×${across}`;
}

/** Over which keys a row is normalised: their number and grid, and keys without a place. */
export function overKeys(result) {
  const { spec } = result;
  if (isNamed(result.grid)) return `${result.count.toLocaleString("en")} ${kindText(result.grid, result.count)}`;
  const { shape } = result.box ? result.grid : result.column ? spec.queries : spec.keys;
  const whole = result.box || result.count === shape.reduce((a, b) => a * b, 1);
  const words = result.words ? ` and ${counted(result.words.length, "word")}` : "";
  const apart = words || (spec.prefix && spec.prefix_name && !result.column ? ` and ${spec.prefix_name}` : "");
  return `${result.count.toLocaleString("en")} keys (${whole ? "" : "of "}${shape.join("×")})${apart}`;
}

/** Σ of the equation, in words. */
export function sumText(result) {
  const who = result.named ? askerText(result) : "the query";
  if (result.named) return `Σ<sub>j</sub> runs over the keys that ${who[0].toLowerCase()}${who.slice(1)} reaches: ${overKeys(result)}.`;
  return `Σ<sub>j</sub> runs over the keys that the query reaches: ${reachedText(result.spec)}.`;
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
