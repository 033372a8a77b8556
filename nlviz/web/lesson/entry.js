// What every lesson exports: a Streamlit component, and the page by itself where it is that.

import { bytesOf } from "../shared/base64.js";
import { mounting } from "../shared/mounting.js";
import { mountLesson } from "./player.js";

/** Fields of the address after #, as a page from disk keeps them. */
const fieldsInHash = () => Object.fromEntries(new URLSearchParams(location.hash.slice(1)));

/**
 * @param {LessonCode} code
 * @returns what Streamlit calls
 */
export function lessonEntry(code) {
  const holder = document.getElementById("nlv-container");
  const root = document.getElementById("nlv-root");
  if (holder && root) {
    const keep = (fields) => history.replaceState(null, "", `#${new URLSearchParams(fields)}`);
    const shown = mountLesson(root, code, { fields: fieldsInHash(), keep, page: true });
    window.nlviz = shown;
    shown.show(bytesOf(holder.textContent ?? "")).then(() => { root.dataset.drawn = ""; });
  }
  return mounting((mounted, tell) => mountLesson(mounted, code, { onSaid: (said) => tell("said", said) }));
}
