// Counting, the scaled block, gradients and timed loops of "The block" against PyTorch.
// Run by test_block.py: NLVIZ_LESSON names the data, NLVIZ_EXPECTED what is expected.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const home = new URL("../../nlviz/web/", import.meta.url);
const { unpack } = await import(new URL("shared/unpack.js", home));
const folder = new URL("lesson/lessons/block/pure/", home);
const { blockCosts, convolutionCosts, countText } = await import(new URL("costs.js", folder));
const { rightOf, scaledRun } = await import(new URL("recall.js", folder));
const { blockGradients, DESCENT_RATE, freshBlock, gradientNorms, stepDown } = await import(new URL("descent.js", folder));
const { blockWork, convolutionWork } = await import(new URL("work.js", folder));
const judges = await import(new URL("judges.js", folder));

const container = unpack(new Uint8Array(readFileSync(process.env.NLVIZ_LESSON)));
const data = container;
const expected = JSON.parse(readFileSync(process.env.NLVIZ_EXPECTED, "utf-8"));
const near = (found, wanted, tolerance, name) => assert.ok(Math.abs(found - wanted) <= tolerance * Math.max(1, Math.abs(wanted)), `${name}: ${found} for ${wanted}`);

test("costs are what PyTorch counts", () => {
  assert.ok(expected.blocks.length >= 5);
  for (const { about, parameters, multiplyAdds } of expected.blocks) {
    const found = blockCosts(about);
    assert.equal(found.parameters, parameters);
    assert.equal(found.multiplyAdds, multiplyAdds, JSON.stringify(about));
    assert.equal(found.parts.reduce((sum, part) => sum + part.multiplyAdds, 0), found.pairs + found.convolutions);
  }
  for (const { about, parameters, multiplyAdds } of expected.convolutions) {
    const found = convolutionCosts(about);
    assert.equal(found.parameters, parameters);
    assert.equal(found.multiplyAdds, multiplyAdds);
    assert.equal(found.reach, 27);
  }
  assert.deepEqual([countText(12), countText(12656), countText(1.389e9)], ["12", "12.7 k", "1.39 G"]);
});

test("W_z times a factor", () => {
  for (const { clip, factor, ratio, chances, row } of expected.scaled) {
    const found = scaledRun(data, clip, factor);
    near(found.ratio, ratio, 2e-3, `ratio of ${clip} at ${factor}`);
    for (const [n, chance] of chances.entries()) near(found.chances[n], chance, 5e-3, `colour ${n}`);
    for (const [j, weight] of row.entries()) near(found.row[j], weight, 5e-3, `key ${j}`);
  }
  for (const [factor, right] of expected.right) assert.equal(rightOf(data, factor).right, right, `right at ${factor}`);
  const [zero, one] = [0, 1].map((factor) => scaledRun(data, 4, factor));
  assert.equal(zero.ratio, 0);
  assert.deepEqual(zero.row, one.row);
});

test("gradients are those of automatic differentiation, step by step", () => {
  const block = freshBlock(data);
  assert.equal(DESCENT_RATE, expected.rate);
  for (const [step, { loss, right, norms }] of expected.descent.entries()) {
    const found = blockGradients(data, block);
    near(found.loss, loss, 2e-3, `loss of step ${step}`);
    assert.equal(found.right, right);
    const lengths = gradientNorms(found.gradients);
    for (const [name, norm] of Object.entries(norms)) {
      if (norm === 0) assert.equal(lengths[name], 0);
      else near(lengths[name], norm, 5e-3, `${name} at step ${step}`);
    }
    stepDown(block, found.gradients);
  }
  let last = blockGradients(data, block);
  for (let n = 0; n < 45; n++) {
    stepDown(block, last.gradients);
    last = blockGradients(data, block);
  }
  assert.ok(last.loss < 0.6 * expected.descent[0].loss, `loss ${last.loss}`);
  assert.ok(last.right > 2 * expected.descent[0].right, `${last.right} right`);
});

test("the loops that are timed compute a convolution and a block", () => {
  const done = (work) => {
    let out = null;
    for (const each of work) out = each;
    return out;
  };
  const { channels, inner, grid, x, weights, convolution, block, convolved } = expected.work;
  const floats = (values) => Float32Array.from(values);
  const found = done(blockWork({ x: floats(x), channels, inner, weights: Object.fromEntries(Object.entries(weights).map(([name, values]) => [name, floats(values)])) }));
  assert.equal(found.length, block.length);
  for (const [n, value] of block.entries()) near(found[n], value, 1e-4, `block ${n}`);
  const other = done(convolutionWork({ x: floats(x), weight: floats(convolution), channels, grid }));
  for (const [n, value] of convolved.entries()) near(other[n], value, 1e-4, `convolution ${n}`);
});

const start = { channels: 512, ratio: 2, frames: 4, side: 14, pool: 1, order: "pool" };

test("judges compute from the sizes that stand there", () => {
  for (const side of [7, 14, 28, 56]) {
    for (const channels of [16, 64, 256, 512, 1024]) {
      const state = { ...start, side, channels };
      assert.equal(judges.judgePairsLead({ state }).right, 4 * side * side > 2 * channels);
      assert.equal(judges.judgeBlockCostsMore({ state }).right, 4 * side * side > 25 * channels);
      for (const order of ["pool", "project"]) {
        const right = ["pairs", "block", "parameters", "output"].filter((given) => judges.judgeQuarter({ given, state: { ...state, order } }).right);
        assert.deepEqual(right, ["pairs"]);
      }
    }
  }
  assert.equal(judges.judgePairsLead({ state: start }).right, false);
});

test("one answer of each choice is right", () => {
  const state = { clip: 4, factor: 0, steps: 0 };
  const of = (judge, options, more = state) => options.filter((given) => judges[judge]({ given, state: more, data }).right);
  assert.deepEqual(of("judgeRowsAtZero", ["zero", "uniform", "same"]), ["same"]);
  assert.deepEqual(of("judgeRowsAtZero", ["zero", "uniform", "same"], { clip: 4, factor: 0.5 }), []);
  assert.deepEqual(of("judgeFirstGradient", ["out", "inside", "all", "none"]), ["inside"]);
  const kept = Math.round(expected.kept);
  const say = (given) => judges.judgeInserted({ given, state: { number: 0 }, data }).say;
  assert.deepEqual([say(kept), say(kept + 3), say(kept - 3)], ["right", "too-many", "too-few"]);
});
