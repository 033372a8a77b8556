// How large a cell of the atlas is, what it has room for, and short names of layers.

const SIDE_LEAST = 15;
const SIDE_MOST = 150;
const LONG_NAME = 20; // characters from which what all names share is left out

/**
 * Width and height of a cell in CSS pixels, and what is written in it: all of it, the value, or nothing.
 * @param {number} room for all cells of a row
 * @param {number} across most heads of a layer
 */
export function cellSize(room, across) {
  const width = Math.max(SIDE_LEAST, Math.min(SIDE_MOST, Math.floor(room / Math.max(1, across))));
  const written = width >= 112 ? "all" : width >= 46 ? "value" : "none";
  const height = written === "all" ? 60 : written === "value" ? 36 : Math.max(SIDE_LEAST, Math.min(24, width));
  return { width, height, written };
}

/**
 * Names of layers without the words that all begin and end with, and what those were.
 * @param {string[]} names
 * @returns {{names: string[], pattern: string}} pattern has * where the names differ; empty where nothing was left out
 */
export function shortNames(names) {
  if (names.length < 2 || Math.max(...names.map((name) => name.length)) <= LONG_NAME) return { names, pattern: "" };
  const parts = names.map((name) => name.split("."));
  const room = Math.min(...parts.map(({ length }) => length)) - 1;
  let front = 0;
  while (front < room && parts.every((one) => one[front] === parts[0][front])) front += 1;
  let back = 0;
  while (back < room - front && parts.every((one) => one.at(-1 - back) === parts[0].at(-1 - back))) back += 1;
  if (!front && !back) return { names, pattern: "" };
  const kept = parts.map((one) => one.slice(front, one.length - back).join("."));
  const [first] = parts;
  return { names: kept, pattern: [...first.slice(0, front), "*", ...first.slice(first.length - back)].join(".") };
}
