// What the reader chose of a comparison, and every way in which it changes. No DOM.

export const LEAST = 2;
export const MOST = 16;

const samePoint = (a, b) => a === b || (a !== null && b !== null && a.y === b.y && a.x === b.x);

/**
 * Create the store of a mounted lens; comparisons are opened in it one after the other.
 * @param {(change: {pin?: boolean, step?: boolean, layout?: boolean}) => void} changed hears of
 *   every change by the reader; with nothing set, the lens moved or magnifies otherwise
 */
export function createStore(changed) {
  /** @type {LensView} */
  const view = { layout: "grid", show: "picture", zoom: 6, least: LEAST, most: MOST, before: null, after: null, split: 0.5 };
  /** @type {{view: LensView, hovered: Point|null, pinned: Point|null, lens: LensHead|null, acts: number}} */
  const state = { view, hovered: null, pinned: null, lens: null, acts: 0 };

  /** Another comparison; over pictures of the same size the reader's choices stay. */
  function open(lens) {
    const same = state.lens?.height === lens.height && state.lens?.width === lens.width;
    const keys = lens.pictures.map((item) => item.key);
    state.hovered = null;
    if (!same) state.pinned = lens.point;
    for (const side of ["before", "after"]) if (!same || !keys.includes(view[side])) view[side] = lens[side];
    if (lens.pictures.every((item) => item.noise === null)) view.show = "picture";
    state.lens = lens;
  }

  const close = () => { state.lens = null; };
  const point = () => state.pinned ?? state.hovered;
  const within = (value, size) => Math.min(Math.max(Math.floor(value), 0), size - 1);
  const clamped = ({ y, x }) => (state.lens ? { y: within(y, state.lens.height), x: within(x, state.lens.width) } : null);

  /** Follow the pointer to a pixel, or to null where it left. */
  function hover(at) {
    const next = at && clamped(at);
    if (samePoint(next, state.hovered)) return;
    state.hovered = next;
    if (state.pinned === null) changed({});
  }

  /** Pin at a pixel, or where the lens is. */
  function pin(at = point()) {
    const next = at && clamped(at);
    if (!next || samePoint(next, state.pinned)) return;
    place(next);
  }

  function free() {
    if (state.pinned !== null) place(null);
  }

  function place(next) {
    state.pinned = next;
    state.acts = Math.max(state.acts + 1, Date.now());
    changed({ pin: true });
  }

  /** Move by pixels; the first key shows the lens in the middle. */
  function step(dy, dx) {
    if (!state.lens) return;
    const at = point();
    const next = at ? { y: at.y + dy, x: at.x + dx } : { y: state.lens.height / 2, x: state.lens.width / 2 };
    if (state.pinned !== null) pin(next);
    else hover(next);
    changed({ step: true });
  }

  /** Magnify more or less; returns whether there was room. */
  function zoom(by) {
    const next = Math.min(MOST, Math.max(LEAST, view.zoom + by));
    if (next === view.zoom) return false;
    view.zoom = next;
    changed({});
    return true;
  }

  /** Choose the arrangement, or what is shown. */
  function choose(fields) {
    Object.assign(view, fields);
    changed({ layout: true });
  }

  /** Pin (or free, with null) from outside: the caller knows. */
  function apply({ query, view: fields }) {
    if (query !== undefined) {
      state.pinned = query && clamped(query);
      state.hovered = null;
    } else if (fields?.free) {
      state.pinned = null;
    }
  }

  return { state, open, close, point, hover, pin, free, step, zoom, choose, apply };
}
