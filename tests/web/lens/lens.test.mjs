// Units of the lens: what the reader chooses, and where things lie. Run by test_units.py.
import assert from "node:assert/strict";
import { test } from "node:test";

const home = new URL("../../../nlviz/web/lens/", import.meta.url);
const geometry = await import(new URL("geometry.js", home));
const { valueText } = await import(new URL("numbers.js", home));
const { createStore, LEAST, MOST } = await import(new URL("store.js", home));

const SIZE = { height: 90, width: 120 };

function lens(more = {}) {
  const pictures = ["clean", "noisy", "nlm"].map((key) => ({ key, noise: key === "clean" ? null : "noise" }));
  return { ...SIZE, pictures, noise_note: "", noise_scale: 51, before: "noisy", after: "nlm", point: null, ...more };
}

function opened(more) {
  const heard = [];
  const store = createStore((change) => heard.push(change));
  store.open(lens(more));
  return { store, heard, state: store.state };
}

test("the lens follows the pointer until a pixel is pinned", () => {
  const { store, heard, state } = opened();
  store.hover({ y: 7.9, x: 11.2 });
  assert.deepEqual(store.point(), { y: 7, x: 11 });
  store.hover({ y: 7.1, x: 11.9 });
  assert.equal(heard.length, 1, "the same pixel is no change");
  store.pin({ y: 30, x: 40 });
  store.hover({ y: 1, x: 2 });
  assert.deepEqual(store.point(), { y: 30, x: 40 });
  store.free();
  assert.deepEqual(store.point(), { y: 1, x: 2 });
  store.free();
  assert.deepEqual(heard, [{}, { pin: true }, { pin: true }]);
  assert.equal(state.pinned, null);
});

test("pins stay inside the pictures, and the same pin is told once", () => {
  const { store, heard, state } = opened();
  store.pin({ y: -3, x: 500 });
  assert.deepEqual(state.pinned, { y: 0, x: 119 });
  store.pin({ y: 0.4, x: 119.9 });
  assert.equal(heard.length, 1);
  const nowhere = opened();
  nowhere.store.pin();
  assert.deepEqual([nowhere.heard, nowhere.state.pinned], [[], null], "Enter without a lens pins nothing");
});

test("arrows start in the middle and move what is there", () => {
  const { store, heard, state } = opened();
  store.step(1, 0);
  assert.deepEqual(store.point(), { y: 45, x: 60 });
  store.step(0, -10);
  assert.deepEqual([store.point(), state.pinned], [{ y: 45, x: 50 }, null]);
  store.pin();
  store.step(-50, 0);
  assert.deepEqual(state.pinned, { y: 0, x: 50 });
  assert.equal(heard.filter((change) => change.step).length, 3);
});

test("magnification ends at both ends, where the page may scroll again", () => {
  const { store, state } = opened();
  for (let n = 0; n < 40; n++) store.zoom(1);
  assert.equal(state.view.zoom, MOST);
  assert.equal(store.zoom(1), false);
  assert.equal(store.zoom(-1), true);
  for (let n = 0; n < 40; n++) store.zoom(-1);
  assert.equal(state.view.zoom, LEAST);
  assert.equal(store.zoom(-1), false);
});

test("over pictures of one size the choices stay, over others they begin anew", () => {
  const { store, state } = opened({ point: { y: 3, x: 5 } });
  assert.deepEqual(state.pinned, { y: 3, x: 5 });
  store.pin({ y: 30, x: 40 });
  store.choose({ layout: "divider", show: "noise" });
  Object.assign(state.view, { before: "clean" });
  store.open(lens({ point: { y: 1, x: 1 } }));
  assert.deepEqual([state.pinned, state.view.before, state.view.show], [{ y: 30, x: 40 }, "clean", "noise"]);
  store.open(lens({ pictures: [{ key: "noisy", noise: null }, { key: "nlm", noise: null }] }));
  assert.deepEqual([state.view.before, state.view.show], ["noisy", "picture"], "gone pictures are not chosen");
  store.open(lens({ height: 91, point: { y: 1, x: 1 } }));
  assert.deepEqual([state.pinned, state.view.layout], [{ y: 1, x: 1 }, "divider"]);
});

test("what comes from outside is told to nobody", () => {
  const { store, heard, state } = opened();
  store.hover({ y: 1, x: 2 });
  store.apply({ query: { y: 200, x: 20.7 } });
  assert.deepEqual([state.pinned, state.hovered], [{ y: 89, x: 20 }, null]);
  store.apply({ query: undefined, view: {} });
  assert.deepEqual(state.pinned, { y: 89, x: 20 });
  store.apply({ query: undefined, view: { free: true } });
  assert.equal(state.pinned, null);
  assert.equal(heard.length, 1);
});

test("columns fit the room", () => {
  assert.deepEqual([320, 600, 900, 1200, 1700].map((width) => geometry.columnsFor(7, width)), [1, 2, 3, 4, 4]);
  assert.deepEqual([320, 600, 1700].map((width) => geometry.columnsFor(1, width)), [1, 1, 1]);
  for (let count = 1; count < 16; count++) {
    for (const width of [300, 500, 800, 1000, 1300, 1800]) {
      const columns = geometry.columnsFor(count, width);
      assert.ok(columns >= 1 && columns <= count, `${count} ${width}`);
    }
  }
});

test("the lens stays inside its picture", () => {
  const box = { width: 300, height: 225, side: geometry.glassSide(300, 225) };
  assert.ok(box.side >= 88 && box.side <= 225);
  for (const point of [{ y: 0, x: 0 }, { y: 45, x: 60 }, { y: 89, x: 119 }]) {
    const { left, top } = geometry.glassCorner(point, SIZE, box);
    assert.ok(left >= 0 && left + box.side <= 300 && top >= 0 && top + box.side <= 225);
  }
  const { left, top } = geometry.glassCorner({ y: 44.5, x: 59.5 }, SIZE, box);
  assert.deepEqual([left + box.side / 2, top + box.side / 2], [150, 112.5], "in the middle it is around its pixel");
  assert.equal(geometry.glassSide(40, 70), 40, "small pictures are covered whole");
});

test("the lens shows whole pixels, the chosen one in the middle", () => {
  for (const [wide, cell] of [[117, 6], [200, 12], [91, 5]]) {
    for (const point of [{ y: 45, x: 60 }, { y: 0, x: 119 }, { y: 89, x: 3 }]) {
      const cut = geometry.glassCut(point, SIZE, wide, cell);
      assert.ok(Math.abs(cut.middle + cell / 2 - wide / 2) <= 0.5);
      assert.equal(cut.toX + (point.x - cut.left) * cell, cut.middle, "the pixel lies there");
      assert.equal(cut.toY + (point.y - cut.top) * cell, cut.middle);
      assert.ok(cut.left >= 0 && cut.left + cut.width <= 120 && cut.top >= 0 && cut.top + cut.height <= 90);
      if (cut.left > 0) assert.ok(cut.toX <= 0, "nothing is missing on the left");
      if (cut.left + cut.width < 120) assert.ok(cut.toX + cut.width * cell >= wide);
    }
  }
});

test("places in the window are pixels, in the picture and in the pinned lens", () => {
  const box = { left: 100, top: 50, width: 240, height: 180 };
  assert.deepEqual(geometry.pixelBelow(box, SIZE, 100, 50), { y: 0, x: 0 });
  assert.deepEqual(geometry.pixelBelow(box, SIZE, 339.9, 229.9), { y: 89, x: 119 });
  assert.deepEqual(geometry.pixelBelow(box, SIZE, 161, 53), { y: 1, x: 30 });
  const glass = { left: 10, top: 20, width: 100, height: 100 };
  assert.deepEqual(geometry.pixelInGlass({ y: 40, x: 60 }, glass, 6, 60, 70), { y: 40, x: 60 });
  assert.deepEqual(geometry.pixelInGlass({ y: 40, x: 60 }, glass, 6, 72, 52), { y: 37, x: 62 });
});

test("the divider moves by keys and by the pointer, between its ends", () => {
  const after = geometry.dividerAfter;
  assert.deepEqual([after(0.5, "ArrowRight", false), after(0.5, "ArrowLeft", true)], [0.51, 0.4]);
  assert.deepEqual([after(0.37, "PageUp", false), after(0.05, "PageDown", false)], [0.47, 0]);
  assert.deepEqual([after(0.37, "End", false), after(0.37, "Home", false)], [1, 0]);
  assert.equal(after(0.37, "Enter", false), null);
  const box = { left: 30, width: 200 };
  assert.deepEqual([30, 80, 500, 0].map((x) => geometry.dividerAt(box, x)), [0, 0.25, 1, 0]);
});

test("values have their sign, and say where the scale ends", () => {
  assert.equal(valueText([7, 7, 7], "picture", 51), "7");
  assert.equal(valueText([7, 8, 9], "picture", 51), "R 7  G 8  B 9");
  assert.equal(valueText([128, 128, 128], "noise", 51), "0");
  assert.equal(valueText([0, 0, 0], "noise", 51), "\u2264\u202f\u221251");
  assert.equal(valueText([255, 255, 255], "noise", 51), "\u2265\u202f+51");
  assert.equal(valueText([100, 100, 100], "noise", null), "\u221228");
});
