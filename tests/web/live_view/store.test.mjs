// What the reader does to the state, without a page: node --test tests/web/live_view/store.test.mjs
import assert from "node:assert/strict";
import { test } from "node:test";

const home = new URL("../../../nlviz/web/live_view/", import.meta.url);
const { createStore } = await import(new URL("store.js", home));
const { activeQuery, largeFrame, mergedView } = await import(new URL("pure/state.js", home));
const { paintedCells } = await import(new URL("pure/painted.js", home));

const GRID = { shape: [3, 4, 7], stride: [1, 8, 8], origin: [0, 3.5, 3.5] };
const COARSE = { shape: [3, 2, 3], stride: [1, 16, 16], origin: [0, 7.5, 7.5] };
const DISPLAY = {
  defaults: { source: null, show: "both", direction: "from", head: "mean", links: 20, strength: 0.85, scale: "query", top: null },
  choices: { show: ["map", "links", "both"], direction: ["from", "to"], scale: ["query", "locked", "frame"] },
  most_links: 50,
};

function head(more = {}) {
  return {
    clip: { name: "dog", frames: 3, height: 32, width: 56, times: [0, 0.4, 0.8] },
    sources: [{ key: "a", queries: GRID, keys: COARSE }, { key: "b", queries: GRID, keys: GRID }],
    query: { frame: 1, y: 11.5, x: 19.5 },
    query_rule: "a rule",
    view: {},
    display: DISPLAY,
    ...more,
  };
}

function opened(more, before) {
  const store = createStore(head(more), before);
  const heard = [];
  store.subscribe((change) => heard.push(change));
  return { store, heard, state: store.state };
}

test("a view takes over what it knows and ignores the rest", () => {
  const change = { source: "b", links: 7, strength: 2, show: "fog", colour: "red", head: "max", top: null };
  const view = mergedView(DISPLAY.defaults, change, DISPLAY, ["a", "b"]);
  assert.deepEqual(view, { ...DISPLAY.defaults, source: "b", links: 7, head: "max" });
  assert.equal(mergedView(view, { source: "gone" }, DISPLAY, ["a"]).source, "a");
  for (const bad of [{ links: 51 }, { links: 1.5 }, { links: -1 }, { top: 0 }, { head: -1 }, { head: "all" }]) {
    assert.deepEqual(mergedView(view, bad, DISPLAY, ["a", "b"]), view);
  }
});

test("a container opens at its query, pinned unless it says otherwise", () => {
  const { state } = opened({ view: { links: 3 } });
  assert.deepEqual(state.pinned, { frame: 1, y: 11.5, x: 19.5 });
  assert.deepEqual([state.view.source, state.view.links, state.rule], ["a", 3, "a rule"]);
  const free = opened({ pinned: false }).state;
  assert.equal(free.pinned, null);
  assert.deepEqual(activeQuery(free), { frame: 1, y: 11.5, x: 19.5 });
});

test("over the same clip the reader's query and view stay, over another they do not", () => {
  const { store } = opened();
  store.pin({ frame: 2, y: 3, x: 4 });
  store.choose({ links: 9 });
  const again = opened({ view: { links: 1 } }, store).state;
  assert.deepEqual([again.pinned, again.view.links], [{ frame: 2, y: 3, x: 4 }, 9]);
  const other = opened({ clip: { ...head().clip, name: "cat" } }, store).state;
  assert.deepEqual([other.pinned.frame, other.view.links], [1, 20]);
});

test("hovered comes before pinned, pinned before the last place", () => {
  const { store, state } = opened({ pinned: false });
  store.hover({ frame: 2, y: 20, x: 30, px: 1, py: 2 });
  assert.deepEqual(activeQuery(state), { frame: 2, y: 20, x: 30 });
  assert.equal(largeFrame(state), 2);
  store.hover(null);
  assert.deepEqual(activeQuery(state), { frame: 1, y: 11.5, x: 19.5 }, "the panels are about where it opened, so it goes back");
  store.pin({ frame: 0, y: 3, x: 4 });
  store.hover({ frame: 2, y: 20, x: 30 });
  assert.equal(activeQuery(state).frame, 2);
  assert.deepEqual(state.resting, { frame: 0, y: 3, x: 4 }, "beside a pin, hovering leaves nothing");
  store.hover({ frame: 0, y: 5, x: 6 });
  assert.equal(state.hovered, null, "the pin's own cell is no other query");
});

test("pins stay inside the clip, end a large frame, and are told", () => {
  const { store, heard, state } = opened();
  store.large(2);
  store.pin({ frame: 9, y: -4, x: 70.126 });
  assert.deepEqual(state.pinned, { frame: 2, y: 0, x: 55 });
  assert.deepEqual([state.large, state.rule], [null, ""]);
  store.unpin();
  store.unpin();
  assert.equal(state.pinned, null);
  assert.deepEqual(heard, [{}, { pin: true }, { pin: true }], "freeing twice is told once");
});

test("keys move the pin, or the free query, by a cell of the grid it lies on", () => {
  const { store, heard, state } = opened();
  store.move({ dx: 1 });
  assert.deepEqual(state.pinned, { frame: 1, y: 11.5, x: 27.5 });
  store.unpin();
  store.move({ dy: 1 });
  assert.equal(state.pinned, null);
  assert.deepEqual(activeQuery(state), { frame: 1, y: 19.5, x: 27.5 });
  assert.deepEqual(heard.map((change) => Object.keys(change)[0]), ["pin", "pin", "step"]);
  store.choose({ direction: "to" });
  store.move({ dx: -1 });
  assert.deepEqual(activeQuery(state), { frame: 1, y: 23.5, x: 7.5 }, "keys lie on the coarse grid");
});

test("reading keeps the query until both button and key are up", () => {
  const { store, heard, state } = opened();
  store.peek(true);
  store.hover({ frame: 2, y: 20, x: 30, px: 5, py: 6 });
  assert.equal(state.hovered, null);
  assert.equal(state.cursor.px, 5);
  store.read(true);
  store.peek(false);
  assert.equal(state.reading, true);
  store.read(false);
  assert.equal(state.reading, false);
  assert.equal(heard.filter((change) => change.reading).length, 2);
});

test("locking the scale keeps its end, another scale forgets it", () => {
  const { store, heard, state } = opened();
  store.choose({ scale: "locked" }, 12.5);
  assert.deepEqual([state.view.scale, state.view.top], ["locked", 12.5]);
  store.choose({ scale: "frame" }, 12.5);
  assert.equal(state.view.top, null);
  store.choose({ scale: "frame" });
  assert.deepEqual(heard.map((change) => change.chosen), [true, true, false], "only changes are told");
});

test("what comes from outside is told to nobody", () => {
  const { store, heard, state } = opened();
  store.apply({ frame: 0, y: 1, x: 2 }, { links: 4 });
  assert.deepEqual([state.pinned.frame, state.view.links], [0, 4]);
  store.apply(undefined, { links: 5 });
  assert.equal(state.pinned.frame, 0, "no query leaves it alone");
  store.apply(null, undefined);
  assert.equal(state.pinned, null);
  assert.ok(heard.every((change) => !change.pin && !change.chosen));
});

test("frames are shown large one after the other, and a click on the same one ends it", () => {
  const { store, state } = opened();
  store.advance();
  store.advance();
  assert.equal(largeFrame(state), 0, "from 1 over 2 back to 0");
  store.large(0);
  assert.equal(largeFrame(state), 1);
});

test("what is lit is drawn once, and listeners can leave", () => {
  const { store, heard, state } = opened();
  store.light({ key: 3 });
  store.light({ key: 3 });
  assert.equal(heard.length, 1);
  const leave = store.subscribe(() => assert.fail("left"));
  leave();
  store.light(null);
  assert.equal(state.lit, null);
});

test("a token is the query until a point is pinned, a key moves it or Escape is pressed", () => {
  const sources = [{ key: "a", queries: GRID, keys: COARSE, tokens: [{ name: "cls", own: false }] }, { key: "b", queries: GRID, keys: GRID }];
  const leave = [
    (store) => store.pin({ frame: 0, y: 3.5, x: 11.5 }),
    (store) => store.move({ dx: 1 }),
    (store) => store.unpin(),
  ];
  for (const act of leave) {
    const { store, state, heard } = opened({ sources, view: { token: "cls" } });
    store.hover({ frame: 0, y: 3.5, x: 3.5, px: 1, py: 1, large: true });
    assert.equal(state.hovered, null);
    assert.equal(state.view.token, "cls");
    act(store);
    assert.equal(state.view.token, "");
    assert.ok(heard.at(-1).view);
  }
  // A source without the token shows the point.
  const { store, state } = opened({ sources, view: { token: "cls", source: "b" } });
  store.hover({ frame: 0, y: 3.5, x: 3.5, px: 1, py: 1, large: true });
  assert.deepEqual(state.hovered, { frame: 0, y: 3.5, x: 3.5 });
});

test("a stroke paints what it runs over, one that begins on a painted cell takes away", () => {
  const sources = [{ key: "a", queries: COARSE, keys: GRID }, { key: "b", queries: GRID, keys: COARSE }];
  const { store, state, heard } = opened({ sources, view: { source: "b" } });
  const cells = () => paintedCells(state.view.painted, GRID.shape);
  store.stroke({ frame: 0, y: 3, x: 3 });
  assert.deepEqual(cells(), [], "without a brush");
  store.brush(1);
  store.hover({ frame: 2, y: 20, x: 20, px: 1, py: 1, large: true });
  assert.equal(state.hovered, null, "the query stays");
  store.stroke({ frame: 1, y: 4, x: 4 });
  store.strokeTo({ frame: 1, y: 28, x: 28 });
  assert.deepEqual(cells(), [28, 36, 44, 52], "none is left out on the way");
  assert.ok(heard.at(-1).chosen);
  store.strokeTo({ frame: 2, y: 4, x: 52 });
  assert.deepEqual(cells(), [28, 36, 44, 52, 62], "no line from frame to frame");
  store.brush(3);
  store.stroke({ frame: 1, y: 12, x: 12 });
  assert.deepEqual(cells(), [52, 62]);
  store.moveBrush({ df: 1 });
  store.moveBrush({ dx: 9, dy: 9 });
  assert.equal(largeFrame(state), 2);
  store.brush(1);
  store.stroke(null);
  assert.deepEqual(cells(), [52, 62, 83]);
  store.brush(null);
  store.hover({ frame: 2, y: 20, x: 20, px: 1, py: 1, large: true });
  assert.equal(state.hovered?.frame, 2);
});

test("more than a view holds is not painted", () => {
  const keys = { shape: [9, 40, 90], stride: [1, 8, 8], origin: [0, 3.5, 3.5] };
  const { store, state } = opened({ sources: [{ key: "a", queries: keys, keys }] });
  store.brush(1);
  const spots = Array.from({ length: 900 }, (_, n) => ({ frame: 0, y: 3.5 + 8 * Math.floor(n / 45), x: 3.5 + 16 * (n % 45) }));
  for (const spot of spots) {
    store.brush(null);
    store.brush(1);
    store.stroke({ ...spot, frame: 0 });
  }
  assert.ok(state.view.painted.length <= 2000 && state.view.painted.length > 1900);
});
