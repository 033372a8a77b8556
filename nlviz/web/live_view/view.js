// The live view as one handle: mount it, show containers in it, move it from outside.

import { say, speakIn } from "../shared/language.js";
import { element, matchScheme } from "../shared/dom.js";
import { decodePictures } from "./draw/pictures.js";
import { createSession } from "./session.js";
import { createStore } from "./store.js";
import { unpack } from "../shared/unpack.js";

/**
 * Mount an empty live view.
 * @param {HTMLElement} root
 * @param {{onSaid?: ?function, theme?: string, everywhere?: boolean, language?: string}} options
 *   onSaid gets {n, again, of, query, pinned, view} once the reader's acts have come to rest: n numbers
 *   the acts, of is that of the latest message; theme is "light", "dark" or absent; language is a tag, and
 *   where it is absent that of the container, of the address or of the browser
 * @returns {Handle & {apply: (message: Message) => void, timings: number[]}} timings: milliseconds of
 *   the latest rows with drawing; watch calls back with what is under the pointer, null for nothing
 */
export function mount(root, { onSaid = null, theme, everywhere = false, language } = {}) {
  root.classList.add("nlv");
  if (theme) root.dataset.theme = theme;
  /** @type {number[]} */
  const timings = [];
  const life = new AbortController();
  /** @type {Set<(said: {block: string, rows: () => (any[]|null)}|null) => void>} */
  const watchers = new Set();
  /** @type {ReturnType<typeof createSession>|null} */
  let session = null;
  /** @type {Store|null} */
  let store = null;
  let latest = 0;
  let loading = false;
  /** @type {Message|null} */
  let pending = null;
  /** @type {number|string|undefined} */
  let serial;
  /** @type {string|undefined} what the latest message was about */
  let of;
  const tell = onSaid && ((said) => onSaid({ ...said, of }));

  // Native controls follow the page's theme, which may be switched while the view is on the screen.
  root.addEventListener("pointerenter", () => matchScheme(root), { signal: life.signal });

  async function show(bytes) {
    const turn = ++latest;
    loading = true;
    root.setAttribute("aria-busy", "true");
    try {
      speakIn(root, language);
      const container = unpack(bytes);
      speakIn(root, language, container.head.language);
      const pictures = await decodePictures(container);
      if (turn !== latest || life.signal.aborted) return;
      build(container, pictures);
    } catch (error) {
      if (turn !== latest) return;
      session?.stop();
      session = null;
      const { message } = /** @type {Error} */ (error);
      root.replaceChildren(element("p", { class: "nlv-error", role: "alert", text: say("This view cannot be shown: {message}.", { message }) }));
      throw error;
    } finally {
      if (turn === latest) {
        loading = false;
        root.removeAttribute("aria-busy");
        const message = pending;
        pending = null;
        if (message) apply(message);
      }
    }
  }

  function build(container, pictures) {
    const before = session === null ? null : store;
    session?.stop();
    store = createStore(container.head, before);
    session = createSession(root, container, pictures, store, { onSaid: tell, everywhere, timings, watchers });
    session.resize();
    matchScheme(root);
    if (before) return;
    // Parts find their sizes while the first map is drawn; they are shown once they have them.
    root.style.visibility = "hidden";
    requestAnimationFrame(() => requestAnimationFrame(() => root.style.removeProperty("visibility")));
  }

  /**
   * Take over a query (null unpins) and a view from outside, without reporting them back. What was
   * said without knowing the reader's latest act is older than that act, and passes; that act is told
   * again, in case that it was not heard.
   * @param {Message} message
   */
  function apply(message = {}) {
    // What comes while a container is on its way is meant for that one.
    if (loading) pending = message;
    else if (session && store) {
      const known = store.state.acts <= (message.seen ?? Infinity);
      session.heard(known);
      if (!known) return;
      ({ of } = message);
      store.apply(message.query, message.view, message.pinned);
    }
  }

  /** Like apply, for messages that may come several times: each serial counts once. */
  function receive(message) {
    if (message.serial !== undefined && message.serial === serial) return;
    ({ serial } = message);
    apply(message);
  }

  /** Be told of each row under the pointer; returns what ends it. */
  function watch(listener) {
    watchers.add(listener);
    return () => watchers.delete(listener);
  }

  function destroy() {
    life.abort();
    session?.stop(true);
    session = null;
    root.replaceChildren();
  }

  return { show, apply, receive, watch, destroy, timings };
}
