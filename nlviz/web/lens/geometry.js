// Where the lens, its pixels and the divider lie, in CSS pixels and in pixels of the picture.

const SHARE = 0.52; // of the picture's shorter side that the lens covers
const RIM = 4; // CSS pixels of its rim

/** Number of columns for `count` pictures in `width` CSS pixels. */
export function columnsFor(count, width) {
  if (width < 340) return 1;
  if (width < 700) return Math.min(2, count);
  if (count <= 3 || width < 960) return Math.min(3, count);
  const rows = Math.ceil(count / (width < 1500 ? 4 : 5));
  return Math.ceil(count / rows);
}

/** Side of the lens in CSS pixels for a picture of this size on the screen. */
export function glassSide(width, height) {
  const least = Math.min(width, height);
  return Math.round(Math.min(least, Math.max(88, Math.min(260, SHARE * least))));
}

/** Corner of the lens: around its pixel, but inside its picture. */
export function glassCorner({ y, x }, size, { width, height, side }) {
  const inside = (at, room) => Math.max(Math.min(Math.max(at - side / 2, RIM), room - side - RIM), 0);
  return { left: inside(((x + 0.5) / size.width) * width, width), top: inside(((y + 0.5) / size.height) * height, height) };
}

/**
 * The part of a picture that the lens shows, and where: whole pixels of the picture as squares of
 * `cell` pixels of the lens, the chosen one in the middle.
 * @param {Point} point
 * @param {{width: number, height: number}} size of the picture
 * @param {number} wide pixels of the lens
 * @param {number} cell
 */
export function glassCut({ y, x }, size, wide, cell) {
  const reach = Math.ceil(wide / cell / 2) + 1;
  const corner = Math.round(wide / 2 - cell / 2) - reach * cell;
  const left = Math.max(0, x - reach);
  const top = Math.max(0, y - reach);
  return {
    left, top, width: Math.min(size.width, x + reach + 1) - left, height: Math.min(size.height, y + reach + 1) - top,
    toX: corner + (left - x + reach) * cell, toY: corner + (top - y + reach) * cell, middle: corner + reach * cell,
  };
}

/** Pixel of a picture below a point of the window; `box` is where the picture is shown. */
export function pixelBelow({ left, top, width, height }, size, clientX, clientY) {
  return {
    y: Math.floor(((clientY - top) / height) * size.height),
    x: Math.floor(((clientX - left) / width) * size.width),
  };
}

/** Pixel under a click in the pinned lens, whose cells are `cell` CSS pixels wide. */
export function pixelInGlass(pinned, { left, top, width, height }, cell, clientX, clientY) {
  return {
    y: pinned.y + Math.round((clientY - top - height / 2) / cell),
    x: pinned.x + Math.round((clientX - left - width / 2) / cell),
  };
}

const DIVIDER_KEYS = {
  ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -100, End: 100,
};

/** Where a key moves the divider, in whole percent of the width; null for other keys. */
export function dividerAfter(split, key, shift) {
  const step = DIVIDER_KEYS[key];
  if (!step) return null;
  return bounded(Math.round(100 * split + step * (shift ? 10 : 1)) / 100);
}

/** Where the pointer moves the divider. */
export const dividerAt = ({ left, width }, clientX) => bounded((clientX - left) / width);

const bounded = (split) => Math.min(1, Math.max(0, split));
