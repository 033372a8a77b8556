// Two live views of one query side by side, moved as one, and their difference below: one handle.

import { say, speakIn } from "../shared/language.js";
import { element, matchScheme } from "../shared/dom.js";
import { unpack } from "../shared/unpack.js";
import { decodePictures } from "../live_view/draw/pictures.js";
import { createSession } from "../live_view/session.js";
import { createStore } from "../live_view/store.js";
import { linkStores, oneScale } from "./link.js";
import { createThird } from "./third.js";

const NAMES = ["a", "b"];

/** The container of one side: its header, and its sections by their own names. */
function sideOfContainer({ head, array }, n) {
  return { head: head.sides[n], array: (name) => array(`${NAMES[n]}.${name}`) };
}

/**
 * Mount an empty pair of views.
 * @param {HTMLElement} root
 * @param {{onSaid?: ?function, everywhere?: boolean, language?: string}} options onSaid gets {n, again, of, query, pinned,
 *   view, other} once the reader's acts have come to rest: view is A's, other B's
 * @returns {Handle & {apply: (message: Message) => void, timings: number[]}}
 */
export function mountLinked(root, { onSaid = null, everywhere = false, language } = {}) {
  root.classList.add("nlv", "nlink");
  /** @type {number[]} */
  const timings = [];
  const life = new AbortController();
  /** @type {any} */
  let shown = null;
  /** @type {string|undefined} */
  let of;
  /** @type {number|string|undefined} */
  let serial;
  let latest = 0;
  let loading = false;
  /** @type {Message|null} */
  let pending = null;
  root.addEventListener("pointerenter", () => matchScheme(root), { signal: life.signal });

  async function showBytes(bytes) {
    const turn = ++latest;
    loading = true;
    root.setAttribute("aria-busy", "true");
    try {
      speakIn(root, language);
      const whole = unpack(bytes);
      speakIn(root, language, whole.head.language);
      const containers = NAMES.map((_, n) => sideOfContainer(whole, n));
      const pictures = await Promise.all(containers.map(decodePictures));
      if (turn !== latest || life.signal.aborted) return;
      build(whole.head, containers, pictures);
    } catch (error) {
      if (turn !== latest) return;
      shown?.stop();
      shown = null;
      const { message } = /** @type {Error} */ (error);
      root.replaceChildren(element("p", { class: "nlv-error", role: "alert", text: say("These views cannot be shown: {message}.", { message }) }));
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

  function build(told, containers, pictures) {
    const before = shown?.stores ?? [null, null];
    shown?.stop();
    shown = createPair(root, told, containers, pictures, before, { onSaid: onSaid && ((said) => onSaid({ ...said, of })), everywhere, timings });
  }

  /** Take over a query of A (null unpins) and views from outside; see the live view. */
  function apply(message = {}) {
    if (loading) pending = message;
    else if (shown) {
      if (shown.apply(message)) ({ of } = message);
    }
  }

  function receive(message) {
    if (message.serial !== undefined && message.serial === serial) return;
    ({ serial } = message);
    apply(message);
  }

  function destroy() {
    life.abort();
    shown?.stop(true);
    shown = null;
    root.replaceChildren();
  }

  return { show: showBytes, apply, receive, destroy, timings };
}

/** What lives as long as one linked container is shown. */
function createPair(root, told, containers, pictures, before, { onSaid, everywhere, timings }) {
  const life = new AbortController();
  const { signal } = life;
  const stores = containers.map(({ head }, n) => createStore(head, before[n]));
  const painters = () => sessions.map(({ painter }) => painter);
  /** @type {any[]} */
  const sessions = [];
  linkStores(stores, told.crossed, signal, told.apart);
  const scaled = oneScale(painters);
  const roots = NAMES.map((name, n) => element("div", { class: "nlv nlink-view", "data-side": name, "aria-label": `${name.toUpperCase()}: ${told.labels[n]}` }));
  const sides = roots.map((view, n) => element("section", { class: `nlink-side${told.crossed && n === 1 ? " nlink-across" : ""}`, "aria-label": say("Side {name}", { name: NAMES[n].toUpperCase() }) },
    element("p", { class: "nlink-letter" }, element("b", { text: NAMES[n].toUpperCase() }), element("span", { class: "nlv-dim", text: told.labels[n] })), view));
  const notes = told.notes?.length ? element("ul", { class: "nlv-notes" }, ...told.notes.map((text) => element("li", { text }))) : "";
  root.replaceChildren(element("div", { class: "nlink-pair" }, ...sides));
  let request = 0;

  const later = () => {
    request ||= requestAnimationFrame(() => {
      request = 0;
      const [a, b] = painters();
      third.draw([a?.result ?? null, b?.result ?? null], `${a?.of} ${b?.of}`);
    });
  };
  containers.forEach((container, n) => {
    const beside = { rescale: scaled(n), drawn: later };
    const hear = onSaid && ((said) => tell(said));
    sessions.push(createSession(roots[n], container, pictures[n], stores[n], { onSaid: hear, everywhere: everywhere && n === 0, timings, beside }));
  });
  const third = createThird(told, containers, pictures[0], stores, sessions[0].lut, signal);
  root.append(third.element, notes);
  const watcher = new ResizeObserver(() => resize());
  watcher.observe(root);
  resize();
  for (const session of sessions) session.resize();

  function resize() {
    const width = third.element.clientWidth;
    if (!width) return;
    third.resize(width);
    later();
  }

  /** Report what the reader did on either side: the query as it lies in A's clip, and both views. */
  function tell({ again }) {
    const [a, b] = stores.map(({ state }) => state);
    const { pinned, resting } = a;
    onSaid({ n: Math.max(a.acts, b.acts), again, query: pinned ?? resting, pinned: pinned !== null, view: { ...a.view }, other: { ...b.view } });
  }

  /** @returns {boolean} whether it was taken over */
  function apply(message) {
    const known = stores.every(({ state }) => state.acts <= (message.seen ?? Infinity));
    for (const session of sessions) session.heard(known);
    if (!known) return false;
    stores[0].apply(message.query, message.view, message.pinned);
    if (message.other) stores[1].apply(undefined, message.other);
    return true;
  }

  function stop(gone = false) {
    cancelAnimationFrame(request);
    watcher.disconnect();
    for (const session of sessions) session.stop(gone);
    third.stop();
    life.abort();
  }

  return { stores, apply, stop, third };
}
