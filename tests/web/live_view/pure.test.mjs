// Units of the live view's pure modules: node --test tests/web/live_view/pure.test.mjs
import assert from "node:assert/strict";
import { test } from "node:test";

const home = new URL("../../../nlviz/web/", import.meta.url);
const module = (name) => import(new URL(`${name}.js`, home));
const { tableOf, logitScale, paintCells, roundUp, rowScale, shareOf } = await module("live_view/pure/colour");
const grid = await module("live_view/pure/grid");
const { CAPTION, pictureAt, planStage } = await module("live_view/pure/layout");
const { arcControl, arrowHead, linkWidth } = await module("live_view/draw/links");
const { topIndices } = await module("live_view/pure/top_k");
const { decodeByTable, decodeHalf, unpack } = await module("shared/unpack");
const words = await module("live_view/pure/words");
const sentences = await module("live_view/pure/sentences");
const formulas = await module("live_view/pure/formulas");
const { softmaxInPlace } = await module("live_view/pure/normalise");
const { leaveOut } = await module("live_view/pure/rows");
const { mirroredPicture } = await module("live_view/pure/patch_rows");
const { runningMean } = await module("live_view/pure/running_mean");

const GRID = { shape: [2, 3, 5], stride: [1, 8, 8], origin: [0, 3.5, 3.5] };
const CLIP = { frames: 2, height: 24, width: 40, times: [0, 0.4] };

test("float16 decodes to the numbers it stands for", () => {
  const bits = Uint16Array.of(0x0000, 0x3c00, 0xc000, 0x3555, 0x7bff, 0x0001, 0x7c00, 0xfc00);
  const expected = [0, 1, -2, 0.333251953125, 65504, 2 ** -24, Infinity, -Infinity];
  for (const decode of [decodeHalf, decodeByTable]) {
    assert.deepEqual(Array.from(decode(bits)), expected);
    assert.ok(Number.isNaN(decode(Uint16Array.of(0x7e00))[0]));
  }
});

/** Bytes of a safetensors file, at an offset where no typed array of numbers may begin. */
function written(metadata, sections, { offset = 3, cut = 0 } = {}) {
  const table = { __metadata__: metadata };
  let at = 0;
  for (const [name, { dtype, data, shape }] of Object.entries(sections)) {
    table[name] = { dtype, shape, data_offsets: [at, at + data.byteLength] };
    at += data.byteLength;
  }
  const short = new TextEncoder().encode(JSON.stringify(table));
  const text = new Uint8Array(8 * Math.ceil(short.length / 8)).fill(32);
  text.set(short);
  const bytes = new Uint8Array(offset + 8 + text.length + at - cut);
  new DataView(bytes.buffer).setBigUint64(offset, BigInt(text.length), true);
  bytes.set(text, offset + 8);
  let next = offset + 8 + text.length;
  for (const { data } of Object.values(sections)) {
    bytes.set(new Uint8Array(data.buffer).subarray(0, Math.max(0, bytes.length - next)), next);
    next += data.byteLength;
  }
  return bytes.subarray(offset);
}

const VIEW_FILE = { format: "nlviz.live_view", version: "2", header: '{"channel":"B\u00e4r"}' };

test("sections are read at any offset", () => {
  const sections = {
    wide: { dtype: "F32", shape: [3], data: Float32Array.of(1, 2.5, -3) },
    whole: { dtype: "I32", shape: [2], data: Int32Array.of(-7, 8) },
    half: { dtype: "F16", shape: [1, 2], data: Uint16Array.of(0x3c00, 0xc000) },
    odd: { dtype: "U8", shape: [3], data: Uint8Array.of(1, 2, 3) },
  };
  for (const offset of [0, 1, 2, 3, 5, 8]) {
    const { head, array } = unpack(written(VIEW_FILE, sections, { offset }));
    assert.equal(head.channel, "B\u00e4r");
    assert.deepEqual([...array("wide").data], [1, 2.5, -3]);
    assert.deepEqual([...array("whole").data], [-7, 8]);
    assert.deepEqual([[...array("half").data], array("half").shape], [[1, -2], [1, 2]]);
    assert.deepEqual([...array("odd").data], [1, 2, 3]);
    assert.equal(array("wide"), array("wide"), "decoded once");
    assert.throws(() => array("none"), /no section "none"/);
  }
});

test("bytes that are no live view are refused in words", () => {
  assert.throws(() => unpack(new Uint8Array(0)), /empty/);
  assert.throws(() => unpack(new Uint8Array(40)), /not a live view/);
  assert.throws(() => unpack(written({ format: "other" }, {})), /not a live view/);
  assert.throws(() => unpack(written({ ...VIEW_FILE, version: "7" }, {})), /version 2, this one has 7/);
  const sections = { wide: { dtype: "F32", shape: [3], data: Float32Array.of(1, 2, 3) } };
  assert.throws(() => unpack(written(VIEW_FILE, sections, { cut: 4 })).array("wide"), /"wide" was cut short/);
});

test("tokens and pixels agree with the grid both ways", () => {
  for (let n = 0; n < grid.gridSize(GRID); n++) {
    assert.equal(grid.nearestToken(GRID, grid.tokenCentre(GRID, n)), n);
  }
  assert.equal(grid.nearestToken(GRID, { frame: 1, y: 0, x: 12 }), 16);
  assert.equal(grid.nearestToken(GRID, { frame: 0, y: 0, x: 7.5 }), 0, "ties go to the lower index");
  assert.deepEqual(grid.tokenBox(GRID, 16, CLIP), { left: 0.2, top: 0, width: 0.2, height: 1 / 3 });
  assert.deepEqual(grid.gridBox(GRID, CLIP), { left: 0, top: 0, width: 1, height: 1 });
});

test("every clip frame knows the token frame that covers it", () => {
  const pooled = { shape: [2, 1, 1], stride: [2, 8, 8], origin: [0.5, 0, 0] };
  assert.deepEqual([...grid.tokenFrames(pooled, 4)], [0, 0, 1, 1]);
  assert.deepEqual([...grid.tokenFrames(pooled, 6)], [0, 0, 1, 1, -1, -1]);
  assert.equal(grid.clipFrame(pooled, 1, 4), 2);
});

test("the query moves by one cell and stays inside", () => {
  const at = { frame: 0, y: 4, x: 4 };
  assert.deepEqual(grid.movedQuery(at, { dx: 1 }, GRID, CLIP), { frame: 0, y: 3.5, x: 11.5 });
  assert.deepEqual(grid.movedQuery(at, { dy: -1 }, GRID, CLIP), { frame: 0, y: 3.5, x: 3.5 });
  assert.deepEqual(grid.movedQuery(at, { df: 1 }, GRID, CLIP), { frame: 1, y: 4, x: 4 });
  assert.deepEqual(grid.movedQuery(at, { df: -1 }, GRID, CLIP), at);
  assert.deepEqual(grid.insideClip({ frame: 9, y: -3, x: NaN }, CLIP), { frame: 1, y: 0, x: 0 });
  assert.deepEqual(grid.pixelAt(0.5, 1, CLIP), { y: 23, x: 20 });
});

test("the strongest entries come without sorting, in the order of a sort", () => {
  const values = Float32Array.from({ length: 5000 }, (_, n) => Math.sin(n * 12.9898) * 43758.5453 % 1);
  const out = new Int32Array(40);
  const count = topIndices(values, 40, out, { from: 100, to: 4000, skipFrom: 200, skipTo: 300, own: 777 });
  const expected = [...values.keys()]
    .filter((j) => j >= 100 && j < 4000 && !(j >= 200 && j < 300) && j !== 777)
    .sort((a, b) => values[b] - values[a] || a - b).slice(0, 40);
  assert.equal(count, 40);
  assert.deepEqual([...out], expected);
  assert.equal(topIndices(Float32Array.of(1, 1, 1), 2, out), 2);
  assert.deepEqual([...out.subarray(0, 2)], [0, 1]);
  assert.equal(topIndices(values, 0, out), 0);
  assert.equal(topIndices(Float32Array.of(3, NaN), 5, out), 1);
});

test("softmax returns log C and survives large logits", () => {
  const values = Float32Array.of(7, 1000, 1001, 7);
  const logC = softmaxInPlace(values, 1, 3);
  assert.ok(Math.abs(values[1] + values[2] - 1) < 1e-6);
  assert.ok(Math.abs(logC - (1001 + Math.log(1 + Math.exp(-1)))) < 1e-3);
  assert.equal(values[0], 7, "outside the reach nothing changes");
});

test("leaving out keeps the sum and says what was left out", () => {
  const row = Float32Array.of(0.5, 0.25, 0.125, 0.125);
  assert.equal(leaveOut(row, 0, 4, 0, 1, true).excluded, 0.5);
  assert.deepEqual([...row], [0, 0.5, 0.25, 0.25]);
  const counted = Float32Array.of(1, -0.5, 0.25, 0.25);
  assert.equal(leaveOut(counted, 0, 4, 0, 2, false).excluded, 0.75);
  assert.deepEqual([...counted], [0, 0, 0.5, 0.5]);
  const all = Float32Array.of(1, 0);
  assert.equal(leaveOut(all, 0, 2, 0, 2, true).excluded, 1);
  assert.deepEqual([...all], [0, 0]);
});

test("the border is mirrored without repeating the edge", () => {
  const { data, width } = mirroredPicture(Uint8Array.of(1, 2, 3), [1, 1, 3, 1], 2);
  assert.equal(width, 7);
  assert.deepEqual([...data.subarray(0, 7)], [3, 2, 1, 2, 3, 2, 1]);
});

test("scales end at round numbers and mark what they clip", () => {
  assert.equal(roundUp(53), 60);
  assert.equal(roundUp(0.031), 0.04);
  assert.equal(roundUp(1), 1);
  assert.equal(roundUp(0), 1);
  const about = { sorted: [864, 370, 94, 55], rank: 3, least: 0, most: 864, unit: 1, signed: false, fixed: null };
  const scale = rowScale(about);
  assert.deepEqual([scale.lo, scale.hi, scale.clipped, scale.diverging], [0, 60, true, false]);
  assert.equal(rowScale({ ...about, sorted: [864, 3, 2, 1] }).hi, 60, "one key in charge keeps a readable scale");
  assert.equal(rowScale({ ...about, sorted: [864, 800, 700, 650] }).clipped, false);
  assert.equal(rowScale({ ...about, fixed: 1000 }).hi, 1000);
  const signed = rowScale({ ...about, sorted: [3, 2], least: -3, most: 2, signed: true });
  assert.deepEqual([signed.lo, signed.hi, signed.diverging], [-3, 3, true]);
});

test("a logarithmic scale ends at the strongest key and gives equal factors equal steps", () => {
  const about = { sorted: [864, 3, 2, 1], rank: 3, least: 0, most: 864, unit: 2, signed: false, fixed: null, logarithmic: true };
  const scale = rowScale(about);
  assert.deepEqual([scale.lo, scale.hi, scale.floor, scale.clipped], [0, 1000, 1, false]);
  const shares = [0, 0.5, 1, 10, 100, 1000].map((value) => shareOf(value, scale));
  [0, 0, 0, 1 / 3, 2 / 3, 1].forEach((share, n) => { assert.ok(Math.abs(shares[n] - share) < 1e-12); });
  const signed = rowScale({ ...about, least: -900, signed: true });
  assert.deepEqual([signed.lo, signed.hi], [-1000, 1000]);
  assert.equal(shareOf(0, signed), 0.5);
  assert.ok(Math.abs(shareOf(-10, signed) + shareOf(10, signed) - 1) < 1e-12);
});

test("logits are drawn around zero only where they change sign", () => {
  assert.deepEqual([logitScale(-2, 6).lo, logitScale(-2, 6).hi], [-6, 6]);
  assert.deepEqual([logitScale(-9, -1).lo, logitScale(-9, -1).hi], [-9, -1]);
  assert.equal(logitScale(-9, -1).diverging, false);
  assert.ok(logitScale(2, 2).hi > logitScale(2, 2).lo);
});

test("a view's table is the one that was sent, its opacities times the strength", () => {
  const rgba = Uint8Array.from({ length: 1024 }, (_, n) => (n % 4 === 3 ? Math.floor(n / 4) : (7 * n) % 256));
  const words = tableOf(rgba, 0.5);
  const bytes = new Uint8Array(words.buffer);
  for (let i = 0; i < 256; i++) {
    assert.deepEqual([...bytes.subarray(4 * i, 4 * i + 3)], [...rgba.subarray(4 * i, 4 * i + 3)]);
    assert.equal(bytes[4 * i + 3], Math.ceil(i / 2), "halves go up");
  }
  assert.equal(tableOf(rgba, 1)[255] >>> 24, 255);
});

test("own, skipped and unreachable cells stay clear", () => {
  const table = new Uint32Array(256).fill(9);
  const cells = new Uint32Array(6);
  const limits = { reachFrom: 0, reachTo: 9, skipFrom: 6, skipTo: 7, own: 5 };
  paintCells(cells, new Float32Array(12).fill(1), 4, 10, table, { lo: 0, hi: 1, floor: 0, diverging: false }, limits);
  assert.deepEqual([...cells], [9, 0, 0, 9, 9, 0]);
});

test("the stage never leaves its width and both sides end together", () => {
  for (const width of [320, 390, 640, 760, 1000, 1280, 1700]) {
    for (const frames of [1, 2, 4, 8, 16, 32]) {
      for (const aspect of [0.5, 1, 16 / 9, 2.4]) {
        const plan = planStage({ width, frames, aspect });
        for (const box of [plan.large, ...plan.tiles]) {
          assert.ok(box.x >= 0 && box.x + box.w <= width + 0.01, `${width} ${frames} ${aspect}`);
          assert.ok(box.y + box.h + CAPTION <= plan.height + 0.01);
          assert.ok(Math.abs(box.w / box.h - aspect) < 1e-6);
        }
        assert.equal(plan.tiles.length, frames > 1 ? frames : 0);
        assert.ok(plan.tiles.every((tile) => tile.w <= plan.large.w + 0.01));
      }
    }
  }
  const plan = planStage({ width: 1176, frames: 8, aspect: 16 / 9 });
  assert.ok(plan.beside && plan.large.w > 2.5 * plan.tiles[0].w);
  assert.equal(pictureAt(plan, 5, 5).n, -1);
  assert.equal(pictureAt(plan, plan.tiles[3].x + 1, plan.tiles[3].y + 1).n, 3);
  assert.equal(pictureAt(plan, 5, plan.height - 2), null);
});

test("arrows bend upwards, end at the key, and widen with the weight", () => {
  const from = { x: 0, y: 100 };
  const to = { x: 200, y: 100 };
  assert.ok(arcControl(from, to).y < 100);
  assert.deepEqual(arrowHead(arcControl(from, to), to, 6)[0], to);
  assert.ok(linkWidth(1) > linkWidth(0.1) && linkWidth(0) > 0);
});

test("one sentence says where the row looks", () => {
  const clip = { frames: 4, times: [0, 1.6, 2.67, 3.74] };
  const row = { spec: { key: "learned" }, mass: [0.1, 0.12, 0.4, 0.38], leftOut: "nothing", ownShare: 0.01, column: false, logits: false };
  const plain = sentences.rowSentence(row, { frame: 1 }, { clip }).replaceAll("\u202f", " ");
  assert.equal(plain, "This point at 1.60 s takes 40 % of its weight from the frame at 2.67 s, 38 % from the frame at 3.74 s and 12 % from its own frame.");
  const self = sentences.rowSentence({ ...row, mass: [0, 0.95, 0.05, 0], ownShare: 0.93 }, { frame: 1 }, { clip }).replaceAll("\u202f", " ");
  assert.equal(self, "This point at 1.60 s takes 93 % of its weight from its own cell, 5 % from the frame at 2.67 s and 2 % from the rest of its frame.");
  const column = sentences.rowSentence({ ...row, column: true }, { frame: 1 }, { clip }).replaceAll("\u202f", " ");
  assert.equal(column, "Of the attention this point at 1.60 s receives, 40 % comes from the frame at 2.67 s and 38 % comes from the frame at 3.74 s.");
  const out = sentences.rowSentence({ ...row, mass: [0.2, 0, 0.4, 0.4], leftOut: "frame", excluded: 0.31 }, { frame: 1 }, { clip });
  assert.match(out, /Its own frame \(31.%\) is hidden; the rest is scaled to 100.%\./);
});

test("parts are told as what they are", () => {
  const clip = { frames: 4, times: [0, 1.6, 2.67, 3.74] };
  const said = (row, of = clip) => sentences.rowSentence(row, { frame: 1 }, { clip: of }).replaceAll("\u202f", " ");
  const row = { spec: { split: "shared" }, mass: [0.1, 0.12, 0.4, 0.38], leftOut: "nothing", ownShare: 0.3, column: false, logits: false };
  assert.equal(said(row), "The part that all queries share puts 40 % on the frame at 2.67 s and 38 % on the frame at 3.74 s.");
  const rest = { ...row, spec: { key: "minus_mean" }, difference: true, balanced: true, moved: 0.21, mass: [-0.034, 0.05, 0.0004, -0.0164] };
  assert.equal(said(rest), "This point at 1.60 s puts 21 % of its weight elsewhere than the average query: more in its own frame (+5.0 %), less in the frame at 0.00 s (−3.4 %) and the frame at 3.74 s (−1.6 %).");
  assert.equal(said({ ...rest, mass: [0, 0, 0, 0], moved: 0 }), "This point at 1.60 s puts 0 % of its weight elsewhere than the average query.");
  const still = { frames: 1, times: [0] };
  assert.equal(sentences.rowSentence(rest, { frame: 0 }, { clip: still }).replaceAll("\u202f", " "), "This point puts 21 % of its weight elsewhere than the average query.");
  const shares = { ...rest, balanced: false, mass: [0.1, 0.2, 0.3, 0.4] };
  assert.equal(said(shares), "Of what sets this point at 1.60 s apart from the average query, 40 % lies in the frame at 3.74 s and 30 % lies in the frame at 2.67 s.");
  assert.match(said({ ...shares, column: true }), /^Of what tells apart who looks at this point/);
  assert.match(formulas.formulaOf({ split: "shared", label: "Unary", pairwise: "gaussian" }).f, /μ/);
  assert.deepEqual(formulas.formulaOf({ split: null, pairwise: "gaussian" }), formulas.PAIRWISE.gaussian);
  assert.match(formulas.formulaOf({ split: null, pairwise: "embedded_gaussian", scale: 0.125 }).f, /^exp\(0\.125 θ/);
  assert.match(formulas.formulaOf({ split: null, pairwise: "dot_product", scale: 0.5 }).f, /^0\.500? θ/);
  assert.match(formulas.formulaOf({ context: true, split: null, pairwise: "embedded_gaussian" }).name, /^global context/);
  const layer = { kind: "in_turn", along: ["temporal", "spatial"] };
  assert.match(formulas.formulaOf({ layer }).name, /^spatial after temporal, without residual path/);
  assert.match(formulas.formulaOf({ layer: { ...layer, kind: "together" } }).name, /^temporal and spatial: each/);
  const cross = { spec: { layer: { ...layer, kind: "together" }, prefix_name: "the class token" }, leftOut: "nothing", parts: [
    { along: "temporal", apart: 0, own: 0.2 }, { along: "spatial", apart: 0.07, own: 0.05 },
  ] };
  assert.equal(said(cross), "Two rows of this point at 1.60 s on one scale, 100 % each: temporal and spatial (7 % of it on the class token). Its own cell shows the sum: temporal 20 % and spatial 5 %.");
  assert.equal(words.valueText(0.25, { ...cross, uniform: 0.1 }, "uniform"), "0.250");
  assert.doesNotMatch(formulas.formulaOf({ key: "position", split: null, pairwise: "gaussian" }).f, /x<sub>/);
});

test("numbers are short", () => {
  const plain = (text) => text.replaceAll("\u202f", " ");
  assert.equal(plain(words.percentText(0.004)), "<1 %");
  assert.equal(plain(words.percentText(0)), "0 %");
  assert.equal(plain(words.percentText(NaN)), "– %");
  assert.equal(plain(words.percentText(0.025)), "3 %");
  assert.equal(plain(words.changeText(0.123)), "+12 %");
  assert.equal(plain(words.changeText(-0.0042)), "−0.4 %");
  assert.equal(plain(words.changeText(-1e-9)), "0 %");
  assert.equal(plain(words.weightText(0.0412)), "4.1 %");
  assert.equal(words.multipleText(54.7), "55×");
  assert.equal(words.multipleText(4.26), "4.3×");
  assert.equal(words.multipleText(-0.5), "−0.5×");
  assert.equal(words.multipleText(1e-9), "<0.01×");
  assert.equal(words.numberText(-12.34), "−12.3");
  assert.equal(words.numberText(0.0007), "0.0007");
  assert.equal(words.numberText(0), "0");
  assert.equal(words.numberText(1e-9), "<0.000001");
});

test("a weighted mean comes about key by key, strongest first", () => {
  const pixels = { shape: [2, 3, 5, 2], data: Float32Array.from({ length: 60 }, (_, n) => (7 * n) % 31) };
  // Three cells of a window: row 1, columns 2 to 4 of the second frame.
  const box = { shape: [1, 1, 3], stride: [1, 1, 1], origin: [1, 1, 2] };
  const found = runningMean({ values: Float32Array.of(0.25, 0, 0.75), grid: box, from: 0, to: 3 }, pixels);
  const at = (c, n) => pixels.data[((3 + 1) * 5 + c) * 2 + n];
  assert.deepEqual(found.means, [
    [at(4, 0), at(4, 1)],
    [0.75 * at(4, 0) + 0.25 * at(2, 0), 0.75 * at(4, 1) + 0.25 * at(2, 1)],
  ]);
  assert.deepEqual(found.shares, [0.75, 1]);
  assert.equal(found.count, 2);
  assert.ok(Math.abs(found.noise - Math.sqrt(0.75 ** 2 + 0.25 ** 2)) < 1e-9);
});

test("keys beyond those that can be followed come in one last step", () => {
  const shape = [1, 53, 61];
  const size = 53 * 61;
  const pixels = { shape: [...shape, 1], data: Float32Array.from({ length: size }, (_, n) => (n * 37) % 101) };
  const values = Float32Array.from({ length: size }, (_, n) => (n % 3 ? ((n * 17) % 97) + 1 : 0));
  const found = runningMean({ values, grid: { shape, stride: [1, 1, 1], origin: [0, 0, 0] }, from: 0, to: size }, pixels);
  let sum = 0;
  let weight = 0;
  let squares = 0;
  values.forEach((value, n) => { sum += value * pixels.data[n]; weight += value; squares += value * value; });
  const used = values.filter((value) => value > 0).length;
  assert.ok(used > 2048 && found.means.length === 2049);
  assert.equal(found.count, used);
  assert.ok(Math.abs(found.means[2048][0] - sum / weight) < 1e-9);
  assert.equal(found.shares[2048], weight);
  assert.ok(Math.abs(found.noise - Math.sqrt(squares) / weight) < 1e-9);
});
