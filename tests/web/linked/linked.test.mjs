// The difference of two rows and their agreement in the browser against what Python found. Run by
// test_linked.py: NLVIZ_CONTAINER names a linked view, its header what was expected.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const home = new URL("../../../nlviz/web/", import.meta.url);
const { unpack } = await import(new URL("shared/unpack.js", home));
const { createEngine } = await import(new URL("live_view/pure/engine.js", home));
const { onCommon, secondMinusFirst } = await import(new URL("linked/pure/common.js", home));
const { agreementOf } = await import(new URL("linked/pure/agreement.js", home));
const { placeIn, sharedScale } = await import(new URL("linked/link.js", home));

const { head, array } = unpack(new Uint8Array(readFileSync(process.env.NLVIZ_CONTAINER)));
const { expected } = head;

function rowOf(n) {
  const side = { head: head.sides[n], array: (name) => array(`${"ab"[n]}.${name}`) };
  const view = { ...side.head.display.defaults, ...side.head.view };
  return { result: createEngine(side).compute(side.head.query, view), view };
}

test("difference and agreement are those of Python", () => {
  const rows = [rowOf(0), rowOf(1)];
  const results = rows.map(({ result }) => result);
  for (const { waiting } of results) assert.equal(waiting, false);
  const { grid, lay } = head.difference[results[0].column ? "to" : "from"];
  const laid = onCommon(results, lay);
  const found = secondMinusFirst(results, laid, rows.map(({ view }) => view));
  const { data } = array("expected");
  assert.equal(found.values.length, data.length);
  let most = 0;
  for (let j = 0; j < data.length; j++) most = Math.max(most, Math.abs(data[j]) || 0);
  for (let j = 0; j < data.length; j++) {
    assert.equal(Number.isNaN(found.values[j]), Number.isNaN(data[j]), `cell ${j} is reached`);
    if (!Number.isNaN(data[j])) assert.ok(Math.abs(found.values[j] - data[j]) < 4e-3 * most + 1e-6, `cell ${j}: ${found.values[j]} is not ${data[j]}`);
  }
  assert.ok(Math.abs(found.apart - expected.apart) < 4e-3, `${found.apart} apart is not ${expected.apart}`);
  assert.equal(found.balanced, expected.balanced);
  assert.equal(found.shares, expected.shares);
  const agreement = agreementOf(laid, grid.shape);
  if (expected.correlation === null) return assert.equal(agreement, null);
  assert.equal(agreement.cells, expected.cells);
  assert.ok(Math.abs(agreement.correlation - expected.correlation) < 5e-3, `${agreement.correlation} is not ${expected.correlation}`);
  // Shifts are drawn there and spread evenly here where they are not all tried.
  const near = expected.cells <= 500 ? 5e-3 : 0.06;
  assert.ok(Math.abs(agreement.low - expected.low) < near && Math.abs(agreement.high - expected.high) < near);
});

test("places are those of the clip that is stretched over the other", () => {
  const [from, to] = [{ frames: 4, height: 40, width: 56 }, { frames: 8, height: 80, width: 112 }];
  assert.deepEqual(placeIn({ frame: 2, y: 19.5, x: 27.5 }, from, to), { frame: 5, y: 39.5, x: 55.5 });
  assert.deepEqual(placeIn({ frame: 3, y: 39, x: 0, word: 2 }, from, from), { frame: 3, y: 39, x: 0, word: 2 });
});

test("a shared scale ends at the other's multiple of uniform attention", () => {
  const own = { lo: 0, hi: 0.1, floor: 0, diverging: false, clipped: true, clippedBelow: false };
  assert.deepEqual(sharedScale(own, 0.01, 0.4, 50), { ...own, hi: 0.5, clipped: false });
  const signed = sharedScale({ ...own, lo: -0.1, diverging: true, floor: 1e-4 }, 0.01, 0.9, 50);
  assert.deepEqual([signed.lo, signed.hi, signed.clipped], [-0.5, 0.5, true]);
  assert.ok(Math.abs(signed.floor - 5e-4) < 1e-12);
});
