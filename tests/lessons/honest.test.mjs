// The pure modules of the lesson "Read a map honestly" against what the library computed.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { unpack } from "../../nlviz/web/shared/unpack.js";
import { decidingFigure, HONEST_LIMITS, judgeCut, judgeNeeded, judgeQuiz, judgeSame, judgeShare, judgeSink, judgeUntrained } from "../../nlviz/web/lesson/lessons/honest/pure/judges.js";
import { inCommon, median, onSinks, received, stepsBetween, strongLinks, strongestOf } from "../../nlviz/web/lesson/lessons/honest/pure/measures.js";
import { keysByChance, keysOfFrames, logOdds, recallLogits, recallOf } from "../../nlviz/web/lesson/lessons/honest/pure/recall.js";
import { quizScore, readAnswers, writtenAnswers } from "../../nlviz/web/lesson/lessons/honest/pure/quiz_score.js";
import { honestCell, honestMap, honestPlace, honestRow, honestShares, honestSharesAt } from "../../nlviz/web/lesson/lessons/honest/pure/rows.js";
import { quizVerdict } from "../../nlviz/web/lesson/lessons/honest/pure/verdict.js";

const data = unpack(new Uint8Array(readFileSync(process.env.HONEST_DATA)));
const expected = JSON.parse(readFileSync(process.env.HONEST_EXPECTED, "utf8"));
const close = (is, should, tolerance, what) => assert.ok(Math.abs(is - should) <= tolerance, `${what}: ${is}, should be ${should}`);

test("rows are those of the library", () => {
  for (const [id, { queries, rows }] of Object.entries(expected.pair)) {
    const map = honestMap(data, `pair.${id}`);
    queries.forEach((query, n) => {
      honestRow(map, query).forEach((weight, j) => { close(weight, rows[n][j], 1e-5, `${id} ${query} ${j}`); });
    });
  }
});

test("logits of the recall networks are those of the whole network, also with frames cut", () => {
  for (const { clip, network, logits, cut, query, strong } of expected.recall) {
    const recall = recallOf(data, clip, network);
    const plain = recallLogits(recall);
    plain.forEach((value, c) => { close(value, logits[c], 0.03, `${network} ${clip} ${c}`); });
    cut.forEach((wanted, frame) => {
      const gone = keysOfFrames(recall.map, [frame]);
      recallLogits(recall, () => ({ cut: gone })).forEach((value, c) => { close(value, wanted[c], 0.05, `${network} ${clip} without ${frame}, ${c}`); });
    });
    assert.equal(256 + strongestOf(recall.read), query);
    if (network === "dot") {
      // As many others, cut at random, matter less than the strong ones.
      const strongest = strongLinks(honestRow(recall.map, query - 256));
      const said = strongestOf(plain);
      for (let seed = 1; seed <= 8; seed++) {
        const other = keysByChance(recall.map.keys, strongest.reduce((a, b) => a + b, 0), seed, strongest);
        const moved = logOdds(recallLogits(recall, (i) => (i === query - 256 ? { cut: other } : {})), said) - logOdds(plain, said);
        assert.ok(Math.abs(moved) < Math.abs(strong) / 2, `seed ${seed}: ${moved} against ${strong}`);
      }
    }
    const answer = strongestOf(plain);
    const links = strongLinks(honestRow(recall.map, query - 256));
    const after = recallLogits(recall, (i) => (i === query - 256 ? { cut: links } : {}));
    close(logOdds(after, answer) - logOdds(plain, answer), strong, 0.03 * Math.abs(strong) + 0.02, `${network} ${clip} strong links`);
  }
});

test("the quiz has the verdicts of nlviz.verdict", () => {
  expected.quiz.forEach((known, n) => {
    const { source, matters, origin } = quizVerdict(data, n);
    assert.deepEqual([source, matters, data.head.maps[`quiz.${n}`].query], [known.source, known.matters, known.query], `map ${n + 1}`);
    for (const figure of ["uniform", "shared", "sink", "own", "position", "base", "beyond"]) close(origin[figure], known[figure], 0.004, `map ${n + 1}, ${figure}`);
    close(origin.effective, known.effective, 0.01 * known.effective, `map ${n + 1}, effective keys`);
  });
});

const verdicts = () => data.head.quiz.map((_, n) => quizVerdict(data, n));
const names = new Proxy({}, { get: (_, key) => `the ${String(key)}` });
const rightAnswers = () => verdicts().map(({ source, matters }) => ({ kind: source, needs: matters }));
const judged = (answers) => judgeQuiz({ data, reading: { answers, verdicts: verdicts(), names } });

test("answers of the quiz are kept in a short text", () => {
  const answers = rightAnswers();
  answers[3] = null;
  const text = writtenAnswers(answers);
  assert.equal(text.length, 20);
  assert.deepEqual(readAnswers(text, 10), answers);
  for (const odd of [undefined, 7, "", "zz", "cq".repeat(10), "cyc"]) assert.equal(readAnswers(odd, 10).slice(2).filter(Boolean).length, 0);
});

test("eight of ten pass; fewer are told which kinds were mixed up, or that the need was", () => {
  assert.equal(judged(rightAnswers()).right, true);
  const two = rightAnswers().map((answer) => (answer.kind === "same" ? { ...answer, kind: "content" } : answer));
  assert.deepEqual([judged(two).right, judged(two).values.right], [true, HONEST_LIMITS.pass]);
  const pairs = two.map((answer) => (answer.kind === "sink" ? { ...answer, kind: "content" } : answer));
  pairs[0] = { kind: "position", needs: "yes" };
  const mixed = judged(pairs);
  assert.deepEqual([mixed.right, mixed.say, mixed.values.right, mixed.values.count, mixed.values.said], [false, "mixed", 5, 2, "the content"]);
  const { figure, rule } = decidingFigure("same", verdicts()[mixed.values.map - 1].origin, data.head.rules);
  if (mixed.values.was === "the same") assert.ok(figure >= rule && mixed.values.figure === figure);
  const needs = judged(rightAnswers().map((answer, n) => (n < 4 ? { ...answer, needs: answer.needs === "yes" ? "no" : "yes" } : answer)));
  assert.deepEqual([needs.say, needs.values.count, needs.values.map], ["needs", 4, 1]);
  close(needs.values.odds, Math.exp(data.head.quiz[0].strong), 1e-9, "odds");
  const some = rightAnswers();
  some[9] = null;
  assert.deepEqual([judged(some).say, judged(some).values.given], ["unfinished", 9]);
  // Who says the same of every map passes in no way.
  for (const kind of ["content", "position", "sink", "same", "uniform"]) {
    for (const need of ["yes", "no"]) assert.ok(quizScore(rightAnswers().map(() => ({ kind, needs: need })), verdicts()).right <= 2);
  }
});

test("the query must move, and the other row too", () => {
  const map = honestMap(data, "pair.a");
  const reading = (query, chosen) => ({
    chosen, steps: stepsBetween(map, map.query, query),
    changes: Object.fromEntries(["a", "b"].map((id) => {
      const each = honestMap(data, `pair.${id}`);
      return [id, 1 - inCommon(honestSharesAt(each, map.query), honestSharesAt(each, query))];
    })),
  });
  const said = (query, chosen) => judgeSame({ reading: reading(query, chosen) }).say;
  assert.equal(said(map.query - 4, "a"), "right");
  assert.equal(said(map.query - 4, "b"), "changed");
  assert.equal(said(map.query - 3, "a"), "both"); // of the same colour
  assert.equal(said(map.query - 1, "a"), "near");
  assert.equal(said(map.query - 4, null), "none");
  // Wherever the query is moved, the one row stays.
  for (let query = 0; query < map.keys; query++) assert.ok(reading(query, "a").changes.a < HONEST_LIMITS.kept, `cell ${query}`);
});

test("only one block has a key that receives all and gives nothing", () => {
  const said = Object.fromEntries(["pair.b", "sink.text", "sink.empty"].map((id) => {
    const map = honestMap(data, id);
    const shares = received(map);
    const key = strongestOf(shares);
    const values = data.array(`${id}.values`).data;
    return [id, judgeSink({ reading: { share: shares[key], times: shares[key] * map.keys, ratio: values[key] / median(values) } }).say];
  }));
  assert.deepEqual(said, { "pair.b": "little", "sink.text": "gives", "sink.empty": "right" });
});

test("shares, cuts and needs are judged by what was measured", () => {
  const masses = [0.6, 0.36, 0.04];
  assert.equal(judgeShare({ given: 5, reading: { masses, scale: "one" } }).say, "right");
  assert.equal(judgeShare({ given: 33, reading: { masses, scale: "frame" } }).say, "scaled");
  assert.equal(judgeShare({ given: 30, reading: { masses, scale: "one" } }).say, "third");
  assert.equal(judgeShare({ given: 60, reading: { masses, scale: "one" } }).say, "off");
  const before = { answer: 2, share: 0.99 };
  assert.equal(judgeCut({ reading: { cut: null, mass: 0, before, after: before, chance: 1 } }).say, "none");
  assert.equal(judgeCut({ reading: { cut: 3, mass: 0.1, before, after: { answer: 2, share: 0.98 }, chance: 1 } }).say, "kept");
  assert.equal(judgeCut({ reading: { cut: 3, mass: 0.9, before, after: { answer: 1, share: 0.02 }, chance: 1 } }).values.frame, 4);
  const reading = { left: 0.001, right: -4, least: 0.05, read: 0.2, effective: { left: 12, right: 140 } };
  assert.deepEqual(["left", "right", "both", "neither"].map((given) => judgeNeeded({ given, reading }).say), ["left-keeps", "right", "left-keeps", "right-changes"]);
  const maps = [{ id: "a", found: 6, opened: 1, there: 1 }, { id: "b", found: 1, opened: 3, there: 1 }];
  assert.deepEqual(["a", "b"].map((given) => judgeUntrained({ given, reading: { maps, clips: 6 } }).say), ["one", "right"]);
  assert.equal(judgeUntrained({ given: "a", reading: { maps: maps.map((each) => ({ ...each, opened: 3 })), clips: 6 } }).say, "finds");
});

test("what is cut is shared out anew of a softmax, and stays away of a sum", () => {
  const soft = honestMap(data, "recall.0.learned");
  const sum = honestMap(data, "recall.0.dot");
  const cut = keysByChance(soft.keys, 64, 5);
  assert.equal(cut.reduce((a, b) => a + b, 0), 64);
  assert.notDeepEqual(cut, keysByChance(soft.keys, 64, 6));
  const others = keysByChance(soft.keys, 64, 5, cut);
  assert.equal(others.reduce((a, b) => a + b, 0), 64);
  assert.ok(others.every((one, j) => !(one && cut[j])));
  close(honestRow(soft, 7, { cut }).reduce((a, b) => a + b, 0), 1, 1e-5, "sum");
  const [whole, less] = [honestRow(sum, 7), honestRow(sum, 7, { cut })];
  less.forEach((weight, j) => { close(weight, cut[j] ? 0 : whole[j], 1e-7, `key ${j}`); });
  close(honestShares(whole).reduce((a, b) => a + b, 0), 1, 1e-5, "shares");
  assert.ok(onSinks(Float32Array.of(0.1, 0.9), Float32Array.of(0.2, 0.8)) > 0.79);
  for (const cell of [0, 77, 319]) assert.equal(honestCell(soft, honestPlace(soft, cell)), cell);
});
