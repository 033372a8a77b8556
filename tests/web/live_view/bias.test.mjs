// What the browser adds to logits against a dense reference of Python.
// Run by tests/affinity/test_bias.py: NLVIZ_BIASES names a file with the cases.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const home = new URL("../../../nlviz/web/live_view/pure/", import.meta.url);
const { biasOf } = await import(new URL("bias.js", home));

for (const { name, spec, sections, dense } of JSON.parse(readFileSync(process.env.NLVIZ_BIASES, "utf8"))) {
  test(name, () => {
    const bias = biasOf(spec, (section) => sections[section]);
    for (const [head, rows] of dense.entries()) {
      for (const [query, row] of rows.entries()) {
        for (const [n, wanted] of row.entries()) {
          const key = n - spec.prefix;
          const found = key < 0 ? bias.apart(head, n, query) : bias.at(head, query, key);
          // Three numbers of an axis each are added in double precision here.
          assert.ok(Math.abs(found - wanted) <= (spec.bias.kind === "axes" ? 1e-6 : 0), `head ${head}, query ${query}, key ${key}: ${found}, not ${wanted}`);
        }
      }
    }
  });
}

test("no bias, and one of another kind", () => {
  assert.equal(biasOf({ bias: null }), null);
  assert.throws(() => biasOf({ bias: { kind: "matrix" } }), /kind matrix/);
});
