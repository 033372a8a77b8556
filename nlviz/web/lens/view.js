// The lens as one handle: mount it, show a comparison in it, move it from outside.

import { element, matchScheme, setText } from "../shared/dom.js";
import { unpack } from "../shared/unpack.js";
import { createDivider } from "./divider.js";
import { attachPointing } from "./pointing.js";
import { decodeAll } from "./pixels.js";
import { createTile } from "./tile.js";
import { createToolbar } from "./toolbar.js";

export const LEAST = 2;
export const MOST = 16;
const TOLD_AFTER = 150; // ms at rest before a pin is told: keys that repeat would flood Python
const SAID_AFTER = 400;
const HIGHEST = 560; // CSS pixels of a picture in the grid

/** Columns of the grid for so many pictures in so much room. */
export function columnsFor(count, width) {
  if (width < 340) return 1;
  if (width < 700) return Math.min(2, count);
  if (count <= 3 || width < 960) return Math.min(3, count);
  const rows = Math.ceil(count / (width < 1500 ? 4 : 5));
  return Math.ceil(count / rows);
}

const samePoint = (a, b) => a === b || (a !== null && b !== null && a.y === b.y && a.x === b.x);

/**
 * Mount an empty lens.
 * @param {HTMLElement} root
 * @param {{onPoint?: function, everywhere?: boolean}} options onPoint gets {y, x} or null;
 *   everywhere: keys count wherever the focus is
 */
export function mount(root, { onPoint = null, everywhere = false } = {}) {
  root.classList.add("nlv", "nlens");
  const life = new AbortController();
  const view = { layout: "grid", show: "picture", zoom: 6, least: LEAST, most: MOST, before: null, after: null, split: 0.5 };
  let shown = null; // what one payload gave: lens, tiles, divider, toolbar, an AbortController
  let hovered = null;
  let pinned = null;
  let frame = 0;
  let told = 0;
  let said = 0;
  let latest = 0;
  let loading = false;
  let pending = null;
  let serial;
  root.addEventListener("pointerenter", () => matchScheme(root), { signal: life.signal });

  async function show(bytes) {
    const turn = ++latest;
    loading = true;
    root.setAttribute("aria-busy", "true");
    try {
      const container = unpack(bytes);
      if (!container.head.lens) throw new Error("these bytes hold no comparison");
      const items = await decodeAll(container);
      if (turn !== latest || life.signal.aborted) return;
      build(container.head.lens, items);
    } catch (error) {
      if (turn !== latest) return;
      stop();
      root.replaceChildren(element("p", { class: "nlv-error", role: "alert", text: `This comparison cannot be shown: ${error.message}.` }));
      throw error;
    } finally {
      if (turn === latest) {
        loading = false;
        root.removeAttribute("aria-busy");
        if (pending && shown) move(pending);
        pending = null;
      }
    }
  }

  function build(lens, items) {
    const same = shown && shown.lens.height === lens.height && shown.lens.width === lens.width;
    stop();
    hovered = null;
    pinned = same ? pinned : lens.point;
    const keys = items.map((item) => item.key);
    for (const side of ["before", "after"]) if (!same || !keys.includes(view[side])) view[side] = lens[side];
    if (items.every((item) => item.noise === null)) view.show = "picture";
    const toolbar = createToolbar(lens, {
      layout: (name) => change({ layout: name }), show: (name) => change({ show: name }), zoom, free,
    });
    const tiles = items.map((item) => createTile(item, lens));
    const grid = element("div", {
      class: "nlens-grid", tabindex: "0", role: "group",
      "aria-label": "Pictures with one lens. Arrow keys move it, Enter pins it, Escape frees it, plus and minus magnify.",
    }, ...tiles.map((tile) => tile.node));
    const divider = createDivider(items, lens, view);
    const spoken = element("p", { class: "nlv-spoken", "aria-live": "polite" });
    root.replaceChildren(toolbar.node, grid, divider.node, spoken);
    const end = new AbortController();
    shown = { lens, toolbar, tiles, grid, divider, spoken, end };
    attachPointing(root, grid, tiles, {
      hover, pin, free, zoom, step,
      pinned: () => pinned,
      leave: () => hover(null),
      active: () => view.layout === "grid",
    }, { everywhere, signal: end.signal, size: lens });
    const watch = new ResizeObserver(() => arrange());
    watch.observe(root);
    end.signal.addEventListener("abort", () => watch.disconnect());
    arrange();
    matchScheme(root);
  }

  function stop() {
    shown?.end.abort();
    cancelAnimationFrame(frame);
    clearTimeout(told);
    clearTimeout(said);
    frame = 0;
    shown = null;
  }

  /** Lay out and redraw everything: after a new payload, another width, another kind of picture. */
  function arrange() {
    if (!shown) return;
    const { lens, tiles, grid, divider } = shown;
    const columns = columnsFor(tiles.length, root.clientWidth);
    grid.hidden = view.layout !== "grid";
    divider.node.hidden = view.layout !== "divider";
    grid.style.setProperty("--columns", columns);
    grid.style.maxWidth = `${columns * HIGHEST * (lens.width / lens.height) + (columns - 1) * 14}px`;
    root.dataset.columns = columns;
    if (view.layout === "grid") for (const tile of tiles) tile.draw(view.show);
    else divider.draw(view.show);
    refresh();
  }

  const point = () => pinned ?? hovered;

  function refresh() {
    frame = 0;
    if (!shown) return;
    const { lens, tiles, toolbar, grid, divider } = shown;
    for (const tile of tiles) tile.look(point(), view.zoom);
    const drawn = view.layout === "grid" ? tiles[0].picture : divider.node.querySelector(".nlens-stage");
    toolbar.update(view, point(), pinned !== null, drawn.clientWidth / lens.width);
    grid.classList.toggle("nlens-pinned", pinned !== null);
    const at = point();
    root.dataset.point = at ? `${at.y},${at.x}` : "";
    root.dataset.pinned = String(pinned !== null);
    root.dataset.zoom = view.zoom;
    root.dataset.show = view.show;
    root.dataset.layout = view.layout;
  }

  function later() {
    frame ||= requestAnimationFrame(refresh);
  }

  function change(fields) {
    Object.assign(view, fields);
    arrange();
  }

  const clamped = ({ y, x }) => ({
    y: Math.min(Math.max(Math.floor(y), 0), shown.lens.height - 1),
    x: Math.min(Math.max(Math.floor(x), 0), shown.lens.width - 1),
  });

  function hover(at) {
    const next = at && clamped(at);
    if (samePoint(next, hovered)) return;
    hovered = next;
    if (pinned === null) later();
  }

  /** Pin at a pixel, or where the lens is; tells Python once it rests. */
  function pin(at = point()) {
    if (!at) return;
    const next = clamped(at);
    if (samePoint(next, pinned)) return;
    pinned = next;
    tell();
    later();
  }

  function free() {
    if (pinned === null) return;
    pinned = null;
    tell();
    later();
  }

  /** Move by pixels; the first key shows the lens in the middle. */
  function step(dy, dx) {
    const at = point();
    const next = at ? { y: at.y + dy, x: at.x + dx } : { y: shown.lens.height / 2, x: shown.lens.width / 2 };
    if (pinned !== null) pin(next);
    else hover(next);
    speak();
  }

  function zoom(by) {
    const next = Math.min(MOST, Math.max(LEAST, view.zoom + by));
    if (next === view.zoom) return false;
    view.zoom = next;
    later();
    return true;
  }

  function tell() {
    speak();
    clearTimeout(told);
    told = setTimeout(() => onPoint?.(pinned), TOLD_AFTER);
  }

  function speak() {
    clearTimeout(said);
    said = setTimeout(() => {
      const at = point();
      const values = shown.tiles.map((tile) => tile.text()).join(", ");
      setText(shown.spoken, at ? `Row ${at.y}, column ${at.x}: ${values}` : "The lens is free.");
    }, SAID_AFTER);
  }

  /** Pin (or free, with null) from outside; tells nobody. */
  function move({ query, view: fields } = {}) {
    if (query !== undefined) {
      clearTimeout(told);
      pinned = query && clamped(query);
      hovered = null;
    } else if (fields?.free) {
      pinned = null;
    }
    refresh();
  }

  /** Messages may come several times, each serial counts once; or while a payload is on its way. */
  function receive(message) {
    if (message.serial !== undefined && message.serial === serial) return;
    ({ serial } = message);
    if (loading || !shown) pending = message;
    else move(message);
  }

  function destroy() {
    life.abort();
    stop();
    root.replaceChildren();
  }

  return { show, receive, destroy };
}
