// Rows computed in the browser's code against the rows that Python put into the container.
// Run by test_rows.py: NLVIZ_CONTAINER names the file, its header lists the cases.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const home = new URL("../../../nlviz/web/", import.meta.url);
const { unpack } = await import(new URL("shared/unpack.js", home));
const { createEngine } = await import(new URL("live_view/pure/engine.js", home));

const file = readFileSync(process.env.NLVIZ_CONTAINER);
const shifted = new Uint8Array(file.length + 3);
shifted.set(file, 3);
// An odd offset, as Streamlit delivers it.
const container = unpack(shifted.subarray(3));
const engine = createEngine(container);

for (const one of container.head.cases) {
  test(one.name, () => {
    const view = { ...container.head.display.defaults, ...one.view };
    const result = engine.compute(one.query, view);
    assert.equal(result.waiting, false);
    assert.equal(result.token, one.token);
    const { data } = container.array(one.expected);
    assert.equal(result.values.length, data.length);
    // NaN stands where a key is not reached; beyond the reachable part the browser leaves what it likes.
    const there = Array.from(data, (value) => !Number.isNaN(value));
    for (const [j, wanted] of there.entries()) {
      const found = j >= result.from && j < result.to && !Number.isNaN(result.values[j]);
      if (!wanted) assert.equal(found, false, `cell ${j} is not reached`);
      else if (there.includes(false)) assert.equal(found, true, `cell ${j} is reached`);
    }
    const top = data.reduce((most, value) => Math.max(most, Math.abs(value) || 0), 0);
    const worst = data.reduce((most, value, j) => (there[j] ? Math.max(most, Math.abs(value - result.values[j])) : most), 0);
    assert.ok(!Number.isNaN(worst));
    assert.ok(worst <= one.tolerance * top, `largest difference ${worst} of ${top}`);
    if ("excluded" in one) assert.ok(Math.abs(result.excluded - one.excluded) < 2e-3);
    if ("log_c" in one) assert.ok(Math.abs(result.logC - one.log_c) < 2e-2);
    if ("apart" in one) assert.ok(Math.abs(one.apart - result.apart) < 2e-3, `${result.apart} apart`);
    if ("words" in one) {
      const { data: given } = container.array(one.words);
      assert.equal(result.words.length, given.length);
      given.forEach((weight, n) => {
        assert.equal(Number.isNaN(result.words[n]), Number.isNaN(weight), `word ${n} is reached`);
        if (!Number.isNaN(weight)) assert.ok(Math.abs(weight - result.words[n]) <= one.tolerance * Math.max(top, 0.05), `word ${n}: ${result.words[n]} for ${weight}`);
      });
    }
    if ("top" in one) assert.ok(Math.abs(result.scale.hi / one.top - 1) < 1e-3, `scale up to ${result.scale.hi} for ${one.top}`);
    if ("mass" in one) {
      for (const [f, share] of one.mass.entries()) assert.ok(Math.abs(share - result.mass[f]) < 2e-3, `frame ${f}`);
    }
    if ("signed" in one) assert.equal(result.scale.diverging, one.signed);
  });
}

test("every case was listed", () => assert.ok(container.head.cases.length >= 20));
