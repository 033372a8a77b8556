// Units of the survey's page that need no browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { cellSize, shortNames } from "../../../nlviz/web/survey/pure/cell_size.js";
import { cellNumber, shortNumber, signedNumber, withUnit } from "../../../nlviz/web/survey/pure/figure_numbers.js";
import { colourAt, figureScale, numberAt, placeOnScale } from "../../../nlviz/web/survey/pure/figure_scale.js";
import { parametersOf, serverOf } from "../../../nlviz/web/survey/pure/head_address.js";
import { surveyReport } from "../../../nlviz/web/survey/pure/survey_report.js";

test("numbers keep the digits that count", () => {
  assert.deepEqual([1234.4, 56.78, 5.678, 0.0421, 0, -0.5, 3.1e-5].map(shortNumber), ["1,234", "56.8", "5.68", "0.042", "0", "−0.500", "3.1e-5"]);
  assert.deepEqual([withUnit(0.254, "share"), withUnit(12, "pixels"), signedNumber(0.031, "share"), signedNumber(-2, "seconds")], ["25.4 %", "12.0 px", "+3.10 pp", "−2.00 s"]);
  assert.deepEqual([cellNumber(0.254, "share"), cellNumber(0.0314, "share"), cellNumber(12345, "keys"), cellNumber(0.5, "correlation", true)], ["25%", "3.1%", "12k", "+0.50"]);
});

test("a scale holds all values, and its places are numbers again", () => {
  for (const [values, unit, signed] of [[[3, 900], "keys"], [[0.01, 0.37], "share"], [[-0.2, 0.6], "correlation"], [[-4, 1], "pixels", true], [[], "share"]]) {
    const scale = figureScale(values, unit, signed);
    for (const value of values) {
      assert.ok(value >= scale.lo && value <= scale.hi, `${value} in ${scale.lo}..${scale.hi}`);
      assert.ok(Math.abs(numberAt(placeOnScale(value, scale), scale) - value) < 1e-9 * Math.max(1, Math.abs(value)));
    }
  }
  assert.ok(figureScale([3, 900], "keys").logarithmic);
  assert.ok(!figureScale([300, 900], "keys").logarithmic);
  const { lo, hi, diverging } = figureScale([-0.2, 0.6], "correlation");
  assert.deepEqual([lo + hi, diverging], [0, true]);
});

test("what is written on a colour has the higher contrast of black and white", () => {
  const table = Uint8Array.from({ length: 1024 }, (_, i) => (i % 4 === 3 ? 255 : i >> 2));
  assert.deepEqual(colourAt(0, table), { fill: "rgb(0 0 0)", ink: "#ffffff" });
  assert.equal(colourAt(1, table).ink, "#000000");
  assert.equal(colourAt(0.4, table).ink, "#ffffff");
});

test("cells fit their room, and say as much as they have room for", () => {
  for (const [room, across, written] of [[300, 1, "all"], [900, 12, "value"], [280, 12, "none"], [1200, 32, "none"]]) {
    const size = cellSize(room, across);
    assert.equal(size.written, written);
    assert.ok(size.width * across <= Math.max(room, 15 * across));
  }
});

test("names of layers lose what all have in common, and stay apart", () => {
  const names = Array.from({ length: 12 }, (_, n) => `model.encoder.blocks.${n}.attn`);
  assert.deepEqual(shortNames(names).names.slice(0, 2), ["0", "1"]);
  assert.equal(shortNames(names).pattern, "model.encoder.blocks.*.attn");
  assert.deepEqual(shortNames(["stage4", "stage5"]), { names: ["stage4", "stage5"], pattern: "" });
  const odd = ["backbone.blocks.temporal.0", "backbone.blocks.temporal.0.cross_attention", "other.name.altogether"];
  assert.equal(new Set(shortNames(odd).names).size, 3);
});

test("addresses name the clip by its digest, whatever it is called", () => {
  const example = { clip: "a & b/é?.mp4", digest: "ab12", query: [3, 12.5, 40] };
  const asked = new URLSearchParams(parametersOf(example, { model: "lite-nl" }, { block: "stage4.1", heads: 2 }, 1));
  assert.deepEqual(Object.fromEntries(asked), { clip: "survey:ab12:a & b/é?.mp4", model: "lite-nl", block: "stage4.1", at: "3,12.5,40", head: "1" });
  assert.ok(!new URLSearchParams(parametersOf(example, { model: "m" }, { block: "b", heads: 1 }, 0)).has("head"));
});

test("only a web address is a server", () => {
  assert.equal(serverOf(" http://localhost:8501 "), "http://localhost:8501/");
  assert.equal(serverOf("https://lab.example/nlviz?x=1#y"), "https://lab.example/nlviz/");
  for (const bad of ["javascript:alert(1)", "localhost:8501", "", "file:///etc/passwd", "//x"]) assert.equal(serverOf(bad), null);
});

test("what cannot be told is null, in whatever form it is missing", () => {
  const whole = { surveys: [{}], figures: [{ name: "sink", unit: "share" }], layers: [{ block: "a", heads: 2 }], values: [{ sink: { mean: [[0.2, null]], low: [[0.1, null]], high: [[0.3, null]], clips: [[4, 0]] } }], labels: [[[{ label: "odd" }, null]]], groups: [null] };
  const report = surveyReport(whole);
  assert.deepEqual(report.value(0, "sink", 0, 0), { mean: 0.2, low: 0.1, high: 0.3, clips: 4 });
  assert.deepEqual([report.value(0, "sink", 0, 1), report.value(0, "spread", 0, 0), report.value(1, "sink", 0, 0), report.change("sink", 0, 0)], [null, null, null, null]);
  assert.deepEqual([report.numbers("sink"), report.labels, report.counted(0, "odd"), report.histogram("sink", 0, 0), report.byLabel("sink", 0, 0)], [[0.2], ["odd"], 1, null, []]);
  assert.deepEqual(report.examples(0, 0, 0), { most: [], least: [] });
  assert.deepEqual(surveyReport({}).heads, []);
});
