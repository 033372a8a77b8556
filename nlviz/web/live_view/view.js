// The live view as one handle: mount it, show containers in it, move it from outside.

import { element, matchScheme } from "../shared/dom.js";
import { decodePictures } from "./draw/pictures.js";
import { createSession } from "./session.js";
import { createStore } from "./store.js";
import { unpack } from "../shared/unpack.js";

/**
 * Mount an empty live view.
 * @param {HTMLElement} root
 * @param {{onPin?: ?function, onView?: ?function, theme?: string, everywhere?: boolean}} options
 *   onPin gets {frame, y, x} or null, onView the view; theme is "light", "dark" or absent
 * @returns {Handle & {apply: (message: Message) => void, timings: number[]}} timings: milliseconds of
 *   the latest rows with drawing
 */
export function mount(root, { onPin = null, onView = null, theme, everywhere = false } = {}) {
  root.classList.add("nlv");
  if (theme) root.dataset.theme = theme;
  /** @type {number[]} */
  const timings = [];
  const life = new AbortController();
  /** @type {ReturnType<typeof createSession>|null} */
  let session = null;
  /** @type {Store|null} */
  let store = null;
  let latest = 0;
  let loading = false;
  /** @type {Message|null} */
  let pending = null;
  /** @type {number|undefined} */
  let serial;

  // Native controls follow the page's theme, which may be switched while the view is on the screen.
  root.addEventListener("pointerenter", () => matchScheme(root), { signal: life.signal });

  async function show(bytes) {
    const turn = ++latest;
    loading = true;
    root.setAttribute("aria-busy", "true");
    try {
      const container = unpack(bytes);
      const pictures = await decodePictures(container);
      if (turn !== latest || life.signal.aborted) return;
      build(container, pictures);
    } catch (error) {
      if (turn !== latest) return;
      session?.stop();
      session = null;
      const { message } = /** @type {Error} */ (error);
      root.replaceChildren(element("p", { class: "nlv-error", role: "alert", text: `This view cannot be shown: ${message}.` }));
      throw error;
    } finally {
      if (turn === latest) {
        loading = false;
        root.removeAttribute("aria-busy");
        if (pending && session) store?.apply(pending.query, pending.view);
        pending = null;
      }
    }
  }

  function build(container, pictures) {
    const before = session === null ? null : store;
    session?.stop();
    store = createStore(container.head, before);
    session = createSession(root, container, pictures, store, { onPin, onView, everywhere, timings });
    session.resize();
    matchScheme(root);
  }

  /** Take over a query (null unpins) and a view from outside, without reporting them back. */
  /** @param {Message} message */
  function apply({ query, view } = {}) {
    // What comes while a container is on its way is meant for that one.
    if (loading) pending = { query, view };
    else if (session) store?.apply(query, view);
  }

  /** Like apply, for messages that may come several times: each serial counts once. */
  function receive(message) {
    if (message.serial !== undefined && message.serial === serial) return;
    ({ serial } = message);
    apply(message);
  }

  function destroy() {
    life.abort();
    session?.stop();
    session = null;
    root.replaceChildren();
  }

  return { show, apply, receive, destroy, timings };
}
