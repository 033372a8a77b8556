// What queries reach in the browser against the masks of Python, cell by cell.
// Run by tests/affinity/test_support.py: NLVIZ_SUPPORTS names a file with the cases.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const home = new URL("../../../nlviz/web/live_view/pure/", import.meta.url);
const { boxSize, rangeOfBox, supportOf } = await import(new URL("support.js", home));

const cases = JSON.parse(readFileSync(process.env.NLVIZ_SUPPORTS, "utf8"));

/** The cells of a box on a grid, as text of 0 and 1. */
function cells({ a0, a1, b0, b1, c0, c1 }, [t, h, w]) {
  const inside = (n) => {
    const [a, b, c] = [Math.floor(n / (h * w)), Math.floor(n / w) % h, n % w];
    return a0 <= a && a < a1 && b0 <= b && b < b1 && c0 <= c && c < c1;
  };
  return Array.from({ length: t * h * w }, (_, n) => (inside(n) ? "1" : "0")).join("");
}

/** The cells of a list, likewise. */
const listed = (list, size) => Array.from({ length: size }, (_, n) => (list.includes(n) ? "1" : "0")).join("");

for (const { name, spec, local, listed: isListed, rows, most, groups } of cases) {
  const support = supportOf(spec);
  const { queries, keys, prefix } = spec;
  const keyCount = keys.shape.reduce((a, b) => a * b, 1);
  const queryCount = queries.shape.reduce((a, b) => a * b, 1);
  /** What is reached: a box, or a list within one. */
  const shown = (box, list, grid, size) => {
    if (!isListed) return cells(box, grid.shape);
    const around = cells(box, grid.shape);
    assert.ok(list.every((cell) => around[cell] === "1"));
    return listed(Array.from(list), size);
  };
  test(`${name}: rows`, () => {
    rows.forEach((row, query) => {
      const [from, to] = support.apart(query);
      const apart = Array.from({ length: prefix }, (_, n) => (from <= n && n < to && !support.misses?.(query, n) ? "1" : "0")).join("");
      const box = support.reached(query);
      assert.equal(apart + shown(box, support.cells?.(query), keys, keyCount), row, `query ${query}`);
      assert.equal(support.counted(query), [...row].filter((c) => c === "1").length);
      if (!local) assert.equal(rangeOfBox(box, keys)[1] - rangeOfBox(box, keys)[0], boxSize(box));
      assert.equal(support.group(query), groups[query]);
    });
  });
  test(`${name}: columns`, () => {
    for (let key = 0; key < keyCount; key++) {
      const column = rows.map((row) => row[prefix + key]).join("");
      assert.equal(shown(support.reaching(key), support.cellsBack?.(key), queries, queryCount), column, `key ${key}`);
      if (local) continue;
      const choices = rows.filter((row) => row[prefix + key] === "1").map((row) => [...row.slice(prefix)].filter((c) => c === "1").length);
      assert.equal(support.choices(key), Math.max(0, ...choices));
    }
  });
  test(`${name}: room`, () => {
    assert.equal(support.local, local);
    assert.ok(support.most >= most);
  });
}

test("every kind has cases", () => assert.ok(new Set(cases.map((c) => c.spec.support.kind)).size >= 3));
test("another kind is refused in words", () => {
  assert.throws(() => supportOf({ support: { kind: "ring" }, queries: {}, keys: {} }), /kind ring/);
});
