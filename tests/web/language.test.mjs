// Units of the browser's languages: node --test tests/web/language.test.mjs
import assert from "node:assert/strict";
import { test } from "node:test";

const language = await import(new URL("../../nlviz/web/shared/language.js", import.meta.url));
const { LANGUAGES, chooseLanguage, chosenLanguage, langAttribute, languageIn, languageOf, say, speak, spoken } = language;

test("tags of browsers mean one of three languages, or none", () => {
  const meant = { "zh-CN": "zh", "zh-Hant": "zh", "zh-TW": "zh", "ja-JP": "ja", JA: "ja", en_GB: "en", fr: null, "": null };
  for (const [tag, code] of Object.entries(meant)) assert.equal(languageOf(tag), code, tag);
  for (const nothing of [null, undefined, 5, "constructor"]) assert.equal(languageOf(nothing), null);
});

test("what is given goes before what the browser likes, and English is last", () => {
  assert.equal(chosenLanguage("ja", ["zh-CN"]), "ja");
  assert.equal(chosenLanguage("fr", ["pt-BR", "zh-TW", "ja"]), "zh");
  assert.equal(chosenLanguage(undefined, ["pt-BR"]), "en");
  assert.equal(chosenLanguage(null, ["en-GB", "ja"]), "en");
});

test("what the reader chose goes before what a view was made in, not before where it is mounted", () => {
  chooseLanguage("zh-CN");
  assert.equal(languageIn(undefined, "ja"), "zh");
  assert.equal(languageIn("ja", "en"), "ja");
  assert.equal(chosenLanguage(undefined, ["ja"]), "zh");
  chooseLanguage(null);
  assert.equal(languageIn(undefined, "ja"), "ja");
});

test("a text is said in the language that is spoken, with its values in their places", () => {
  const done = "That was the lesson: {solved} of {all} questions answered.";
  assert.equal(speak("ja-JP"), "ja");
  assert.match(say(done, { solved: 3, all: "1,200" }), /1,200問中3問/);
  assert.equal(say("nobody translated {this}", { this: "$&" }), "nobody translated $&");
  assert.equal(say("toString {kept}"), "toString {kept}");
  assert.equal(speak("fr"), "en");
  assert.equal(say(done, { solved: 3, all: 7 }), "That was the lesson: 3 of 7 questions answered.");
  assert.equal(spoken(), "en");
});

test("every language has a name and a tag", () => {
  assert.deepEqual(Object.keys(LANGUAGES).map((code) => langAttribute(code)), ["en", "zh-Hans", "ja"]);
});
