// Rows and judges of "From patches to features" against what Python computed.
// Run by test_features.py: NLVIZ_LESSON names the data, NLVIZ_EXPECTED what is expected.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const home = new URL("../../nlviz/web/", import.meta.url);
const { unpack } = await import(new URL("shared/unpack.js", home));
const folder = new URL("lesson/lessons/features/pure/", home);
const { featureRows } = await import(new URL("rows.js", folder));
const { outlineOf } = await import(new URL("outline.js", folder));
const judges = await import(new URL("judges.js", folder));

const data = unpack(new Uint8Array(readFileSync(process.env.NLVIZ_LESSON)));
const expected = JSON.parse(readFileSync(process.env.NLVIZ_EXPECTED, "utf-8"));
const spec = { figure: { high: 0.6, low: 0.3 } };
const at = (query, more = {}) => ({ state: { query, light: "filmed", tried: [], ...more }, data, spec });

test("rows go where Python's rows go", () => {
  const rows = featureRows(data);
  assert.ok(expected.rows.length >= 12);
  for (const { light, key, query: [frame, y, x], same, twin, top } of expected.rows) {
    const found = rows.row(light, key, { frame, y, x });
    const name = `${light} ${key} ${frame},${y},${x}`;
    assert.ok(Math.abs(found.same - same) < 4e-3, `${name}: ${found.same} for ${same}`);
    assert.ok(Math.abs(found.twin - twin) < 4e-3, `${name}: ${found.twin} for ${twin}`);
    const total = found.values.reduce((sum, value) => sum + value, 0);
    assert.ok(Math.abs(total - 1) < 1e-4);
    assert.ok(Math.abs(found.values[top] - found.values[found.best]) < 2e-2 * found.values[found.best], name);
  }
});

test("the border of a region", () => {
  const labels = [0, 0, 0, 9, 9, 9, 0, 9, 0]; // 3 x 3
  assert.equal(outlineOf(labels, 0, 3, 3, 9).length, 10);
  assert.equal(outlineOf(labels, 0, 3, 3, 4).length, 0);
});

test("judges compute from the learner's query", () => {
  const { fur, eye, grass } = expected.places;
  assert.equal(judges.judgeStrayPatches(at(fur)).say, "same");
  assert.equal(judges.judgeStrayPatches(at(eye)).right, true);
  assert.equal(judges.judgeStrayPatches(at(grass)).say, "background");
  assert.equal(judges.judgeDisagreement(at(fur)).say, "none-low");
  assert.equal(judges.judgeDisagreement(at(eye)).right, true);
  assert.equal(judges.judgeDisagreement(at(grass)).say, "background");
  for (const given of ["patches", "features"]) {
    const { right, values } = judges.judgeDarkerLight({ ...at(fur), given });
    assert.equal(right, (given === "patches") === (values.patches_lost > values.features_lost));
  }
});

test("one option of each choice is right, and it is the one that Python finds", () => {
  for (const [name, { options, right, state }] of Object.entries(expected.choices)) {
    const found = options.filter((given) => judges[name]({ ...at(expected.places.fur, state), given }).right);
    assert.deepEqual(found, [right], name);
  }
});

test("three tries are asked for", () => {
  assert.equal(judges.judgeLearnedWins({ ...at(expected.places.fur, { tried: [3, 4] }), given: "more" }).say, "few");
});
