// The lens as one handle: mount it, show a comparison in it, move it from outside.

import { say, speakIn } from "../shared/language.js";
import { element, matchScheme, setText } from "../shared/dom.js";
import { createTelling } from "../shared/telling.js";
import { unpack } from "../shared/unpack.js";
import { createDivider } from "./divider.js";
import { columnsFor } from "./geometry.js";
import { attachPointing } from "./pointing.js";
import { decodeAll } from "./pixels.js";
import { createStore } from "./store.js";
import { createTile } from "./tile.js";
import { createToolbar } from "./toolbar.js";

const TOLD_AFTER = 150; // ms at rest before a pin is reported: keys that repeat would flood Python
const SAID_AFTER = 400;
const HIGHEST = 560; // CSS pixels of a picture in the grid

/**
 * One comparison on the screen.
 * @param {HTMLElement} root
 * @param {LensHead} lens
 * @param {LensItem[]} items
 * @param {ReturnType<typeof createStore>} store
 */
function createShown(root, lens, items, store, everywhere) {
  const { state } = store;
  const { view } = state;
  const { hover, pin, free, zoom, step } = store;
  const end = new AbortController();
  const toolbar = createToolbar(lens, {
    layout: (name) => store.choose({ layout: name }), show: (name) => store.choose({ show: name }), zoom, free,
  });
  const tiles = items.map((item) => createTile(item, lens));
  const grid = element("div", {
    class: "nlens-grid", tabindex: "0", role: "group",
    "aria-label": say("Pictures with one lens. Arrow keys move it, Enter pins it, Escape unpins it, plus and minus magnify."),
  }, ...tiles.map((tile) => tile.node));
  const divider = createDivider(items, lens, view);
  const spoken = element("p", { class: "nlv-spoken", "aria-live": "polite" });
  root.replaceChildren(toolbar.node, grid, divider.node, spoken);
  attachPointing(root, grid, tiles, {
    hover, pin, free, zoom, step,
    pinned: () => state.pinned,
    leave: () => hover(null),
    active: () => view.layout === "grid",
  }, { everywhere, signal: end.signal, size: lens });
  const watch = new ResizeObserver(() => arrange());
  watch.observe(root);
  end.signal.addEventListener("abort", () => watch.disconnect());

  /** Lay out and redraw everything: after a new payload, another width, another kind of picture. */
  function arrange() {
    const columns = columnsFor(tiles.length, root.clientWidth);
    grid.hidden = view.layout !== "grid";
    divider.node.hidden = view.layout !== "divider";
    grid.style.setProperty("--columns", String(columns));
    grid.style.maxWidth = `${columns * HIGHEST * (lens.width / lens.height) + (columns - 1) * 14}px`;
    root.dataset.columns = String(columns);
    if (view.layout === "grid") for (const tile of tiles) tile.draw(view.show);
    else divider.draw(view.show);
    refresh();
  }

  function refresh() {
    const at = store.point();
    const pinned = state.pinned !== null;
    for (const tile of tiles) tile.look(at, view.zoom);
    const drawn = view.layout === "grid" ? tiles[0].picture : divider.stage;
    toolbar.update(view, at, pinned, drawn.clientWidth / lens.width);
    grid.classList.toggle("nlens-pinned", pinned);
    root.dataset.point = at ? `${at.y},${at.x}` : "";
    root.dataset.pinned = String(pinned);
    root.dataset.zoom = String(view.zoom);
    root.dataset.show = view.show;
    root.dataset.layout = view.layout;
  }

  function speak() {
    const at = store.point();
    const values = tiles.map((tile) => tile.text()).join(", ");
    setText(spoken, at ? say("Row {y}, column {x}: {values}", { y: at.y, x: at.x, values }) : say("The lens is not pinned."));
  }

  return { arrange, refresh, speak, stop: () => end.abort() };
}

/**
 * Mount an empty lens.
 * @param {HTMLElement} root
 * @param {{onPoint?: ?function, everywhere?: boolean, language?: string}} options onPoint gets {n, again, of, point}: n
 *   numbers the reader's acts, of is that of the latest message, point {y, x} or null;
 *   everywhere: keys count wherever the focus is
 * @returns {Handle}
 */
export function mount(root, { onPoint = null, everywhere = false, language } = {}) {
  root.classList.add("nlv", "nlens");
  const life = new AbortController();
  const store = createStore(changed);
  const telling = createTelling(root, onPoint && ((again) => {
    onPoint({ n: store.state.acts, again, of, point: store.state.pinned });
  }));
  let saying = 0;
  /** @type {ReturnType<typeof createShown>|null} */
  let shown = null;
  let frame = 0;
  let latest = 0;
  let loading = false;
  /** @type {Message|null} the latest message */
  let latestMessage = null;
  /** @type {number|string|undefined} */
  let serial;
  /** @type {string|undefined} what the latest message was about */
  let of;
  root.addEventListener("pointerenter", () => matchScheme(root), { signal: life.signal });
  // Whatever is pressed elsewhere comes after what was done here.
  document.addEventListener("pointerdown", telling.now, { signal: life.signal, capture: true });

  async function show(bytes) {
    const turn = ++latest;
    loading = true;
    root.setAttribute("aria-busy", "true");
    try {
      speakIn(root, language);
      const container = unpack(bytes);
      speakIn(root, language, container.head.language);
      const { lens } = container.head;
      if (!lens) throw new Error("these bytes hold no comparison");
      const items = await decodeAll(container, lens);
      if (turn !== latest || life.signal.aborted) return;
      stop();
      store.open(lens);
      shown = createShown(root, lens, items, store, everywhere);
      shown.arrange();
      matchScheme(root);
    } catch (error) {
      if (turn !== latest) return;
      stop();
      store.close();
      const { message } = /** @type {Error} */ (error);
      root.replaceChildren(element("p", { class: "nlv-error", role: "alert", text: say("This comparison cannot be shown: {message}.", { message }) }));
      throw error;
    } finally {
      if (turn === latest) {
        loading = false;
        root.removeAttribute("aria-busy");
        // Pictures of another size free the lens; where it is to be has been said before they came.
        if (latestMessage && shown) move(latestMessage);
      }
    }
  }

  function stop() {
    shown?.stop();
    shown = null;
    cancelAnimationFrame(frame);
    frame = 0;
    telling.now();
    clearTimeout(saying);
  }

  function changed(change) {
    if (change.layout) shown?.arrange();
    else frame ||= requestAnimationFrame(refresh);
    if (change.pin || change.step) {
      clearTimeout(saying);
      saying = setTimeout(() => shown?.speak(), SAID_AFTER);
    }
    if (change.pin) telling.acted(TOLD_AFTER);
  }

  function refresh() {
    frame = 0;
    shown?.refresh();
  }

  /**
   * Pin (or free, with null) from outside, without reporting it back. What was said without knowing
   * the reader's latest act is older than that act, and passes; that act is told again.
   */
  function move(message) {
    const known = store.state.acts <= (message.seen ?? Infinity);
    telling.heard(known);
    if (!known) return;
    ({ of } = message);
    store.apply(message);
    shown?.refresh();
  }

  /** Messages may come several times, each serial counts once; or while a payload is on its way. */
  function receive(message) {
    if (message.serial !== undefined && message.serial === serial) return;
    ({ serial } = message);
    latestMessage = message;
    if (!loading && shown) move(message);
  }

  function destroy() {
    life.abort();
    telling.stop(); // of no page any more
    stop();
    root.replaceChildren();
  }

  return { show, receive, destroy };
}
