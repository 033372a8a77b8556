// Entry of a second, invisible Streamlit component: hands a query and a view to a mounted live
// view, so that Python can move it without sending its bytes again. The latest is kept for a view
// that is mounted after it came, or in the place of another.
// data: {channel, query, pinned, view, language, of, seen, serial}. A language is that of the whole page. No query leaves the query alone. A view
// that has seen this serial already ignores it, as reruns repeat the last message; so does one whose
// reader did something after the act that is numbered `seen`; that act is then told again. `of` comes
// back with what it tells.

import { told } from "./told.js";

export default function ({ data }) {
  const { channel, query, view, language, ...more } = told(data) ?? {};
  if (language !== undefined && language !== window.__nlvizLanguage) {
    window.__nlvizLanguage = language;
    document.documentElement.lang = language === "zh" ? "zh-Hans" : language;
    window.dispatchEvent(new Event("nlviz-language"));
  }
  if (!channel) return;
  const message = { ...more, query: query ?? undefined, view: view ?? undefined };
  window.__nlvizMessages ??= new Map();
  window.__nlvizMessages.set(channel, message);
  window.__nlvizChannels?.get(channel)?.receive(message);
}
