// What a query reaches, in words: every kind of support, pooled keys, tokens without a place.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as words from "../../../nlviz/web/live_view/pure/key_words.js";

const grid = (shape, stride = [1, 8, 8]) => ({ shape, stride, origin: [0, 3.5, 3.5] });

function spec(more) {
  return { queries: grid([3, 4, 5]), keys: grid([3, 4, 5]), support: { kind: "all" }, prefix: 0, heads: 2, softmax: true, ...more };
}

test("all keys are counted with their grid", () => {
  assert.deepEqual(words.sizesText(spec({})), { asking: "60 queries", asked: "60 keys (3×4×5)" });
});

test("of a smaller set the number that each query has is said", () => {
  const own = spec({ support: { kind: "frame_groups", frames_per_group: 1, own_prefix: false }, reached: "the keys of its own frame alone" });
  assert.equal(words.sizesText(own).asked, "20 keys each, of 60 (3×4×5)");
  assert.equal(words.reachedText(own), "the keys of its own frame alone");
  const { sumText } = words;
  assert.match(sumText({ spec: own }), /the query reaches: the keys of its own frame alone\.$/);
});

test("sets of keys, and a token without a place that all see", () => {
  const runs = [[0, 1, 1, 20], [0, 1, 21, 40]];
  const setOf = [0, ...Array(20).fill(0), ...Array(40).fill(1)];
  const sets = spec({ support: { kind: "key_sets", set_of: setOf, runs }, prefix: 1, prefix_name: "the class token", reached: "x" });
  assert.equal(words.sizesText(sets).asked, "40 keys each, of 60 (3×4×5)");
  assert.equal(words.reachedText(sets), "x, and the class token");
});

test("pooled keys have cells of their own", () => {
  const pooled = spec({ keys: grid([3, 2, 5], [1, 16, 8]) });
  assert.equal(words.sizesText(pooled).asking, "60 queries (3×4×5)");
  assert.equal(words.cellText(pooled), "one query = 8 px, one key = 16×8 px");
  assert.equal(words.cellText(spec({})), "one cell = 8 px");
});

test("queries without a place are not called a cell", () => {
  const cls = spec({ queries: grid([1, 1, 1], [3, 32, 40]), tokens: [{ name: "cls", own: false }] });
  assert.equal(words.sizesText(cls).asking, "1 query without a place");
  assert.equal(words.cellText(cls), "one key = 8 px");
  const result = { spec: cls, named: cls.tokens[0], count: 60, box: null };
  assert.match(words.sumText(result), /the class token \(cls\) reaches: 60 keys \(3×4×5\)\.$/);
});

test("long names are cut where they begin to differ", () => {
  assert.equal(words.networkName("/home/me/nets/timesformer"), "timesformer");
  assert.equal(words.networkName("hf:facebook/dinov2-base"), "hf:facebook/dinov2-base");
  assert.equal(words.blockName("stage4"), "stage4");
  assert.equal(words.blockName("timesformer.encoder.layer.11.temporal_attention.attention"), "…layer.11.temporal_attention.attention");
});
