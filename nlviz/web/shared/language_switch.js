// The switch of a page that works by itself: its languages, each by its own name.

import { element } from "./dom.js";
import { chooseLanguage, chosenLanguage, LANGUAGES, langAttribute, say, speak } from "./language.js";

/**
 * Put the switch above a page, and let the page say which language it is in.
 * @param {HTMLElement} root what it stands before
 * @param {any} given the language that the page was made for, if any
 * @param {() => void} again shows the page anew
 */
export function addLanguageSwitch(root, given, again) {
  const list = element("select", { class: "nlv-language", name: "language" },
    ...Object.entries(LANGUAGES).map(([code, text]) => element("option", { value: code, text, lang: langAttribute(code) })));
  const line = element("div", { class: "nlv-language-line" }, list);
  root.before(line);

  function sync() {
    const code = speak(chosenLanguage(given));
    document.documentElement.lang = langAttribute(code);
    line.lang = langAttribute(code);
    list.value = code;
    list.setAttribute("aria-label", say("Language"));
  }

  list.addEventListener("change", () => {
    chooseLanguage(list.value);
    sync();
    again();
  });
  sync();
}
