// The lens as one handle: mount it, show pictures in it, move it from outside.

import { element, matchScheme, setText } from "../live_view/dom.js";
import { unpack } from "../live_view/unpack.js";
import { createDivider } from "./divider.js";
import { createFigures } from "./figures.js";
import { lensPictures } from "./pictures.js";
import { attachPointing } from "./pointing.js";
import { createTools } from "./tools.js";

const ZOOMS = [2, 3, 4, 5, 6, 8, 10, 12, 16];
const TOLD_AFTER = 250; // milliseconds of rest after which keys are told to the outside

/**
 * Mount an empty lens.
 * @param {HTMLElement} root
 * @param {{onPoint?: function, theme?: string, everywhere?: boolean, title?: string}} options
 *   onPoint gets {y, x} or null, when it was pinned or freed here; theme is "light", "dark" or absent
 * @returns {{show: function(Uint8Array): Promise, apply: function, receive: function, destroy: function}}
 */
export function mountLens(root, { onPoint = null, theme, everywhere = false, title = "" } = {}) {
  root.classList.add("nlv", "nlz");
  if (theme) root.dataset.theme = theme;
  const life = new AbortController();
  let session = null;
  let state = null;
  let serial;
  let pending = null;
  root.addEventListener("pointerenter", () => matchScheme(root), { signal: life.signal });

  async function show(bytes) {
    try {
      const container = unpack(bytes);
      if (!container.head.lens) throw new Error("these bytes hold no pictures to compare");
      const next = stateFor(container.head.lens, state);
      session?.stop();
      state = next;
      session = createLens(root, container, state, { onPoint, everywhere, title });
      matchScheme(root);
      if (pending) session.apply(pending);
      pending = null;
    } catch (error) {
      session?.stop();
      session = null;
      root.replaceChildren(element("p", { class: "nlv-error", role: "alert", text: `These pictures cannot be shown: ${error.message}.` }));
      throw error;
    }
  }

  /** Pin the lens from outside; tells nobody. */
  function apply({ query } = {}) {
    if (session) session.apply({ query });
    else pending = { query };
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

  return { show, apply, receive, destroy };
}

/** What to open with: what the reader chose before, where the new pictures still allow it. */
function stateFor({ height, width, before, after, pictures }, old) {
  const keys = new Set(pictures.map((one) => one.key));
  const same = old && old.height === height && old.width === width;
  return {
    height, width,
    pinned: same ? old.pinned : null,
    zoom: old?.zoom ?? 6,
    noise: old?.noise ?? false,
    split: old?.split ?? 50,
    before: keys.has(old?.before) ? old.before : before,
    // The best may be another one by now, unless the reader chose it.
    after: keys.has(old?.after) && old.after !== old.opened ? old.after : after,
    opened: after,
  };
}

function createLens(root, { head, array }, state, { onPoint, everywhere, title }) {
  const { height, width } = state;
  const stop = new AbortController();
  const { signal } = stop;
  const pictures = lensPictures({ head, array });
  const hasNoise = pictures.some((one) => one.noise);
  if (!hasNoise) state.noise = false;
  let hover = null; // where the pointer or the keys are, while nothing is held there
  let touch = false;
  let frame = 0;
  let told = 0;

  const grid = element("div", {
    class: "nlz-grid", tabindex: "0", role: "group",
    "aria-label": "Pictures under one lens. Arrow keys move it, plus and minus zoom, Enter holds it, Escape frees it.",
  });
  const figures = createFigures(grid, pictures, state);
  const tools = createTools(head.lens, hasNoise, { flip, zoom, free }, signal);
  const spoken = element("p", { class: "nlv-spoken", role: "status" });
  const parts = [tools.bar, tools.notes, grid, spoken];
  if (title) parts.unshift(element("div", { class: "nlv-title" }, element("h2", { text: title })));
  if (pictures.length > 1) parts.push(createDivider(pictures, state, state, signal));
  root.replaceChildren(...parts);

  const inside = ({ y, x }) => ({
    y: Math.min(height - 1, Math.max(0, Math.round(y))), x: Math.min(width - 1, Math.max(0, Math.round(x))),
  });
  const shown = () => hover ?? state.pinned;
  const redraw = () => { frame ||= requestAnimationFrame(draw); };

  function draw() {
    frame = 0;
    const point = shown();
    const at = ZOOMS.indexOf(state.zoom);
    root.classList.toggle("nlz-shows-noise", state.noise);
    root.classList.toggle("nlz-held", state.pinned !== null && hover === null);
    figures.draw(point, { zoom: state.zoom, noise: state.noise, lift: touch && hover !== null });
    tools.draw({ ...state, point, pinned: state.pinned !== null, canLess: at > 0, canMore: at < ZOOMS.length - 1 });
    Object.assign(root.dataset, {
      y: point?.y ?? "", x: point?.x ?? "", pinned: String(state.pinned !== null), zoom: state.zoom,
      shown: state.noise ? "noise" : "picture",
    });
  }

  function tell() {
    clearTimeout(told);
    told = setTimeout(() => {
      const point = shown();
      setText(spoken, point ? `Row ${point.y}, column ${point.x}: ${figures.spoken(point)}` : "The lens is free");
      onPoint?.(state.pinned);
    }, TOLD_AFTER);
  }

  function pin(point) {
    state.pinned = point ?? shown() ?? inside({ y: height / 2, x: width / 2 });
    hover = null;
    redraw();
    tell();
  }

  function free() {
    if (!state.pinned) return;
    state.pinned = null;
    redraw();
    tell();
  }

  function step(dy, dx) {
    const from = shown() ?? { y: Math.floor(height / 2) - dy, x: Math.floor(width / 2) - dx };
    const to = inside({ y: from.y + dy, x: from.x + dx });
    if (state.pinned && hover === null) {
      state.pinned = to;
      tell();
    } else {
      hover = to;
      setText(spoken, `Row ${to.y}, column ${to.x}: ${figures.spoken(to)}`);
    }
    redraw();
  }

  function zoom(steps) {
    const at = ZOOMS.indexOf(state.zoom) + steps;
    state.zoom = ZOOMS[Math.min(ZOOMS.length - 1, Math.max(0, at))];
    redraw();
  }

  function flip(noise = !state.noise) {
    state.noise = noise && hasNoise;
    redraw();
  }

  attachPointing(root, grid, state, {
    hover: (point, finger) => { hover = point; touch = finger; redraw(); },
    pin, free, step, zoom, flip: () => flip(),
    more: (steps) => ZOOMS[ZOOMS.indexOf(state.zoom) + steps] !== undefined,
    blur: () => { hover = null; redraw(); },
  }, everywhere, signal);

  const sizes = new ResizeObserver(() => { figures.resize(); redraw(); });
  sizes.observe(grid);
  figures.resize();
  draw();

  return {
    apply({ query }) {
      if (query === undefined) return;
      state.pinned = query ? inside(query) : null;
      hover = null;
      redraw();
    },
    stop() {
      stop.abort();
      sizes.disconnect();
      clearTimeout(told);
      cancelAnimationFrame(frame);
    },
  };
}
