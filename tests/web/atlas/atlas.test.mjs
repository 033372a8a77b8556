// Units of the atlas: where tiles lie, and from weights to levels. Run by test_units.py.
import assert from "node:assert/strict";
import { test } from "node:test";

const home = new URL("../../../nlviz/web/atlas/pure/", import.meta.url);
const { NAMES, neighbour, SPACE, tilesAcross } = await import(new URL("layout.js", home));
const { fillLevels, levelOf, wordsOfLevels } = await import(new URL("levels.js", home));

test("tiles never reach beyond the page, and every head has one", () => {
  for (const width of [300, 362, 700, 1016, 1400]) {
    for (const many of [1, 3, 12, 16, 144, 1024]) {
      for (const layers of [0, 1, 12]) {
        for (const words of [false, true]) {
          const { columns, side, beside, abreast } = tilesAcross(width, many, { words, layers });
          assert.ok(columns >= 1 && columns <= many && side >= 1);
          const layer = (beside ? NAMES : 0) + columns * (side + SPACE) - SPACE;
          assert.ok(abreast * layer <= width, `${[width, many, layers, words]}`);
        }
      }
    }
  }
});

test("heads of a layer stand in one row where they fit", () => {
  assert.equal(tilesAcross(1400, 12, { layers: 12 }).columns, 12);
  assert.equal(tilesAcross(1016, 12, { layers: 12 }).columns, 12);
  const narrow = tilesAcross(362, 12, { layers: 12 });
  assert.ok(narrow.columns < 12 && !narrow.beside);
  assert.equal(tilesAcross(1016, 3, { layers: 12 }).abreast, 2);
});

test("arrows lead to the tile beside, above and below, and not beyond", () => {
  assert.equal(neighbour(5, "ArrowLeft", 4, 11), 4);
  assert.equal(neighbour(5, "ArrowDown", 4, 11), 9);
  assert.equal(neighbour(8, "ArrowDown", 4, 11), -1);
  assert.equal(neighbour(0, "ArrowLeft", 4, 11), -1);
  assert.equal(neighbour(5, "Enter", 4, 11), -1);
});

test("levels run along the scale, and 0 is no key", () => {
  const scale = { top: 8, floor: 0, signed: false };
  assert.deepEqual([NaN, -1, 0, 4, 8, 99].map((v) => levelOf(v, scale)), [0, 1, 1, 128, 255, 255]);
  const signed = { ...scale, signed: true };
  assert.deepEqual([-9, -8, 0, 8].map((v) => levelOf(v, signed)), [1, 1, 128, 255]);
  const log = { top: 1000, floor: 1, signed: false };
  assert.deepEqual([0, 1, 1000].map((v) => levelOf(v, log)), [1, 1, 255]);
  assert.equal(levelOf(31.6227766, log), 128);
});

test("a row is laid as its tile, its own cell clear", () => {
  const out = new Uint8Array(6);
  const keyOf = Int32Array.from([0, 1, -1, 2, 3, 4]);
  const row = { values: [0.1, 0.2, 0.4, NaN, 0.3], uniform: 0.1, own: 1, from: 0, to: 4 };
  fillLevels(out, keyOf, row, { top: 4, floor: 0, signed: false });
  assert.deepEqual([...out], [65, 1, 0, 255, 0, 0]);
});

test("the ends of the table are the ends of the levels", () => {
  const rgba = new Uint8Array(1024).map((_, i) => (i % 4 === 3 ? 255 : i >> 2));
  const words = wordsOfLevels(rgba, 1);
  assert.equal(words[1], 0xff000000);
  assert.equal(words[255], 0xffffffff);
  assert.notEqual(words[0], words[1]);
});
