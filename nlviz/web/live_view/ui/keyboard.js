// Keys of the live view. They work while the focus or the pointer is in it, and in a page of its
// own everywhere; never while the reader types into a field.

const MOVES = {
  Home: { end: -1 }, End: { end: 1 },
  ArrowLeft: { dx: -1 }, ArrowRight: { dx: 1 }, ArrowUp: { dy: -1 }, ArrowDown: { dy: 1 },
  ",": { df: -1 }, ".": { df: 1 }, "[": { df: -1 }, "]": { df: 1 },
};

function typing(event) {
  const [target] = event.composedPath();
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || /^(SELECT|TEXTAREA)$/.test(target.tagName)) return true;
  // A slider takes arrows only, so that number keys still switch after it was used.
  if (target instanceof HTMLInputElement) return target.type !== "range" || event.key.startsWith("Arrow");
  return false;
}

/** Keys that press the button or open the details that has the focus. */
function pressing(event) {
  const [target] = event.composedPath();
  return target instanceof Element && target.closest("button, summary") !== null;
}

/**
 * Listen for keys.
 * @param {HTMLElement} root the live view
 * @param {Handlers} on move({dx|dy|df|end}), pin(), unpin(), close() of an open panel, layDown() of the brush, brush(), painting(key, pressing), source(number), head(step), play(), peek(boolean)
 * @param {boolean} everywhere whether keys count wherever the focus is
 * @param {AbortSignal} signal
 */
export function attachKeys(root, on, everywhere, signal) {
  let inside = false;
  root.addEventListener("pointerenter", () => { inside = true; }, { signal });
  root.addEventListener("pointerleave", () => { inside = false; }, { signal });

  function down(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const within = event.composedPath().includes(root);
    if (!(within || inside || everywhere)) return;
    if (event.key === "Shift") return void on.peek(true);
    if (event.key === "Escape") return void (on.close() || on.layDown() || on.unpin());
    if (typing(event)) return;
    if (act(event)) event.preventDefault();
  }

  function act(event) {
    if (/^b$/i.test(event.key)) return on.brush() !== false;
    if (on.painting(event.key, pressing(event))) return true;
    if (MOVES[event.key]) return on.move(MOVES[event.key]) !== false;
    if (/^[0-9]$/.test(event.key)) on.source((Number(event.key) + 9) % 10);
    else if (/^h$/i.test(event.key)) on.head(event.key === "h" ? 1 : -1);
    else if (event.key === "Enter" && !pressing(event)) on.pin();
    else if (event.key === " " && !pressing(event)) on.play();
    else return false;
    return true;
  }

  document.addEventListener("keydown", down, { signal });
  document.addEventListener("keyup", (event) => {
    if (event.key === "Shift") on.peek(false);
  }, { signal });
}
