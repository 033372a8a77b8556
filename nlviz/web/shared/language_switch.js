// The switch of a page that works by itself: its languages, each by its own name.

import { element } from "./dom.js";
import { chooseLanguage, LANGUAGES, langAttribute, languageIn, say, speak } from "./language.js";

/**
 * Put the switch into the margin of a page, and let the page say which language it is in.
 * @param {HTMLElement} root the page's own part
 * @param {any} given the language that the page was made for, if any
 * @param {() => void} again shows the page anew
 */
export function addLanguageSwitch(root, given, again) {
  const list = element("select", { class: "nlv-language", name: "language" },
    ...Object.entries(LANGUAGES).map(([code, text]) => element("option", { value: code, text, lang: langAttribute(code) })));
  const line = element("div", { class: "nlv-language-line" }, list);
  // What is shown comes first for the keyboard.
  root.after(line);

  function sync() {
    const code = speak(languageIn(null, given));
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
