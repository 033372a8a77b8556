// Pointer, wheel, touch and keys: what moves, pins, frees and magnifies the lens.

import { pixelInGlass } from "./geometry.js";

const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
const DRAG = 4; // CSS pixels until a press on the pinned lens is a drag and no click

/** Whether keys belong to what has the focus: a field, or a control with arrows of its own. */
function taken(event) {
  const [target] = event.composedPath();
  return target instanceof Element && target.closest("input, select, textarea, [contenteditable], [role=slider]") !== null;
}

function pressing(event) {
  const [target] = event.composedPath();
  return target instanceof Element && target.closest("button, a, summary") !== null;
}

/**
 * Listen in the grid.
 * @param {HTMLElement} root
 * @param {HTMLElement} grid
 * @param {any[]} tiles
 * @param {Handlers} on hover(point), leave(), pin(point), free(), zoom(step), step(dy, dx),
 *   pinned(): point or null, active(): whether the grid is what is shown
 * @param {{everywhere: boolean, signal: AbortSignal, size: {width: number}}} options
 */
export function attachPointing(root, grid, tiles, on, { everywhere, signal, size }) {
  let inside = false;
  let armed = false;
  root.addEventListener("pointerenter", () => { inside = true; }, { signal });
  root.addEventListener("pointerleave", () => { inside = false; }, { signal });

  for (const tile of tiles) {
    tile.picture.addEventListener("pointermove", (event) => {
      if (event.pointerType === "touch") return;
      armed = true;
      on.hover(tile.below(event.clientX, event.clientY));
    }, { signal });
    tile.picture.addEventListener("pointerleave", () => on.leave(), { signal });
    // A click comes in whole CSS pixels, which may be the neighbour of the pixel that was pressed.
    /** @type {Point|null} */
    let pressed = null;
    tile.picture.addEventListener("pointerdown", (event) => {
      pressed = tile.below(event.clientX, event.clientY);
    }, { signal });
    tile.picture.addEventListener("click", (event) => {
      if (event.target !== tile.glass && pressed) on.pin(pressed);
      pressed = null;
    }, { signal });
    attachDragging(tile);
  }

  /** The pinned lens can be dragged, with a finger too; a click in it pins the pixel it shows. */
  function attachDragging({ glass, picture }) {
    /** @type {{x: number, y: number, pinned: Point}|null} */
    let from = null;
    let dragged = false;
    glass.addEventListener("pointerdown", (event) => {
      const pinned = on.pinned();
      if (!pinned || event.button !== 0) return;
      glass.setPointerCapture(event.pointerId);
      from = { x: event.clientX, y: event.clientY, pinned };
      dragged = false;
    }, { signal });
    glass.addEventListener("pointermove", (event) => {
      if (!from) return;
      const [dx, dy] = [event.clientX - from.x, event.clientY - from.y];
      dragged ||= Math.hypot(dx, dy) > DRAG;
      const scale = size.width / picture.clientWidth;
      if (dragged) on.pin({ y: Math.round(from.pinned.y + dy * scale), x: Math.round(from.pinned.x + dx * scale) });
    }, { signal });
    glass.addEventListener("pointerup", (event) => {
      if (from && !dragged) {
        const cell = Number(root.dataset.zoom);
        on.pin(pixelInGlass(from.pinned, glass.getBoundingClientRect(), cell, event.clientX, event.clientY));
      }
      from = null;
    }, { signal });
    glass.addEventListener("pointercancel", () => { from = null; }, { signal });
  }

  // A page that scrolls under the pointer goes on scrolling: the wheel magnifies only after the
  // pointer itself was moved over a picture. At both ends of the scale the page scrolls again.
  document.addEventListener("wheel", (event) => {
    if (!event.composedPath().includes(grid)) armed = false;
  }, { signal, capture: true, passive: true });
  grid.addEventListener("wheel", (event) => {
    const over = event.composedPath().some((node) => node instanceof Element && node.classList.contains("nlens-picture"));
    if (!armed || !over || event.ctrlKey || event.deltaY === 0) return;
    if (on.zoom(event.deltaY < 0 ? 1 : -1)) event.preventDefault();
    else armed = false;
  }, { signal, passive: false });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !on.active()) return;
    const [target] = event.composedPath();
    const nowhere = target === document.body || target === document.documentElement;
    if (!event.composedPath().includes(root) && !(nowhere && (inside || everywhere))) return;
    if (taken(event)) return;
    if (act(event)) event.preventDefault();
  }, { signal });

  function act(event) {
    if (MOVES[event.key]) {
      const [dy, dx] = MOVES[event.key].map((by) => by * (event.shiftKey ? 10 : 1));
      on.step(dy, dx);
    } else if (event.key === "+" || event.key === "=") on.zoom(1);
    else if (event.key === "-" || event.key === "_") on.zoom(-1);
    else if (event.key === "Escape") on.free();
    else if (event.key === "Enter" && !pressing(event)) on.pin();
    else return false;
    return true;
  }
}
