// The language of what a page says: English, Chinese or Japanese. A text is looked up by its English
// form, with {names} where values go; what has no translation is said in English.

import { CHINESE } from "../languages/zh.js";
import { JAPANESE } from "../languages/ja.js";

/** Each language in its own name, by code. */
export const LANGUAGES = { en: "English", zh: "中文", ja: "日本語" };

/** What the `lang` attribute says: the Chinese is in simplified characters. */
const TAGS = { en: "en", zh: "zh-Hans", ja: "ja" };

/** @type {Record<string, Record<string, string>>} */
const translations = { en: {}, zh: CHINESE, ja: JAPANESE };

let current = "en";

/**
 * The language that a tag means: "zh-CN" and "zh-Hant" are "zh", "ja-JP" is "ja"; null where it is none
 * of these.
 * @param {any} tag
 */
export function languageOf(tag) {
  if (typeof tag !== "string") return null;
  const code = tag.trim().toLowerCase().split(/[-_]/)[0];
  return Object.hasOwn(LANGUAGES, code) ? code : null;
}

/** What an address asks for, as `?lang=ja`; null outside of a page. */
export function addressedLanguage() {
  if (typeof location === "undefined") return null;
  return languageOf(new URLSearchParams(location.search).get("lang"));
}

/** Choose a language for the whole page, as its reader did; null takes the choice back. */
export function chooseLanguage(tag) {
  globalThis.__nlvizLanguage = languageOf(tag);
}

/**
 * The language to speak: the one that is given, else the one that the page's reader chose, else the
 * address's, else the first that the browser's reader likes and that is here, else English.
 * @param {any} [given] a tag
 * @param {readonly string[]} [liked]
 */
export function chosenLanguage(given, liked = typeof navigator === "undefined" ? [] : navigator.languages ?? []) {
  const asked = languageOf(given) ?? globalThis.__nlvizLanguage ?? addressedLanguage();
  return asked ?? liked.map(languageOf).find((code) => code !== null) ?? "en";
}

/** The language of a view: as where it is mounted, else as its reader chose, else as it was made. */
export const languageIn = (given, made) => languageOf(given) ?? globalThis.__nlvizLanguage ?? chosenLanguage(made);

/** Speak a language from now on: "en", "zh" or "ja", or a tag that means one; returns its code. */
export function speak(tag) {
  current = languageOf(tag) ?? "en";
  return current;
}

/**
 * Speak the language of a view from now on.
 * @param {HTMLElement} root what says in its `lang` which language it is in
 * @param {any} [given] a tag, of who mounts it
 * @param {any} [made] a tag, of the container that it shows
 */
export function speakIn(root, given, made) {
  speak(languageIn(given, made));
  root.lang = langAttribute();
}

/** The code of the language that is spoken now. */
export const spoken = () => current;

/** The `lang` attribute for a code. */
export const langAttribute = (code = current) => TAGS[code];

/**
 * A text in the language that is spoken, its {names} replaced by values.
 * @param {string} [english] nothing is said as nothing
 * @param {Record<string, string|number>} [values]
 */
export function say(english = "", values = {}) {
  const text = Object.hasOwn(translations[current], english) ? translations[current][english] : english;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (Object.hasOwn(values, name) ? String(values[name]) : whole));
}

/**
 * Mark texts that are said later, by a variable: the tests find them by it.
 * @template T
 * @param {T} all
 * @returns {T}
 */
export const texts = (all) => all;
