// Where the large frame and the strip of small frames go, in CSS pixels.

export const GAP = 10;
export const CAPTION = 40;
const LEAST_TILE = { width: 108, height: 44 };
const SIDE_BY_SIDE = 720;
const LEAST_LARGE = 0.5; // share of its largest size below which the strip goes under the large frame
const SHORT = 300; // no strip takes height from a large frame that is as low as this

/** Width below which nothing is made out in a small frame: wide pictures are low. */
const leastTile = (aspect, width) => Math.min(width, Math.max(LEAST_TILE.width, LEAST_TILE.height * aspect));

function stripBeside({ width, frames, aspect, maxHeight }) {
  /** @type {{columns: number, rows: number, tile: number, large: number, score: number}|null} */
  let best = null;
  for (let columns = 1; columns <= Math.min(frames, 8); columns++) {
    const rows = Math.ceil(frames / columns);
    // Both sides end at the same height: rows (tile/aspect + caption) + gaps = large/aspect + caption.
    const free = (width - columns * GAP) / aspect + CAPTION - rows * CAPTION - (rows - 1) * GAP;
    let tile = (aspect * free) / (rows + columns);
    let large = width - columns * (tile + GAP);
    if (large / aspect > maxHeight) {
      large = maxHeight * aspect;
      const high = (maxHeight + CAPTION - rows * CAPTION - (rows - 1) * GAP) / rows;
      tile = Math.min((width - large) / columns - GAP, high * aspect);
    }
    if (tile < leastTile(aspect, width) || large < LEAST_LARGE * Math.min(width, maxHeight * aspect)) continue;
    const score = large * large + 0.6 * frames * tile * tile;
    if (!best || score > best.score) best = { columns, rows, tile, large, score };
  }
  return best;
}

function placed(columns, frames, tile, aspect, left, top) {
  const height = tile / aspect;
  return Array.from({ length: frames }, (_, n) => ({
    x: left + (n % columns) * (tile + GAP),
    y: top + Math.floor(n / columns) * (height + CAPTION + GAP),
    w: tile,
    h: height,
  }));
}

/**
 * Plan the stage.
 * @param {{width: number, frames: number, aspect: number, maxHeight?: number}} room width: CSS
 *   pixels; aspect: width / height of the clip
 * @returns {Plan} boxes of the pictures, and the part of the width that they take; below each lies a
 *   caption of CAPTION pixels. One frame has no strip.
 */
export function planStage({ width, frames, aspect, maxHeight = 620 }) {
  if (frames === 1) {
    const w = Math.min(width, maxHeight * aspect);
    const large = { x: 0, y: 0, w, h: w / aspect };
    return { width: w, height: large.h + CAPTION, large, tiles: [], beside: false };
  }
  const beside = width >= SIDE_BY_SIDE ? stripBeside({ width, frames, aspect, maxHeight }) : null;
  if (beside) {
    const { columns, tile, large } = beside;
    const box = { x: 0, y: 0, w: large, h: large / aspect };
    const tiles = placed(columns, frames, tile, aspect, large + GAP, 0);
    const right = Math.max(...tiles.map((each) => each.x + each.w));
    return { width: right, height: bottom([box, ...tiles]), large: box, tiles, beside: true };
  }
  const least = leastTile(aspect, width);
  const most = Math.max(least > LEAST_TILE.width ? 1 : 3, Math.floor((width + GAP) / (least + GAP)));
  const rows = Math.ceil(frames / most);
  const columns = Math.ceil(frames / rows);
  const tile = Math.min((width - (columns - 1) * GAP) / columns, Math.max(240, least));
  // A long strip takes some height from the large frame, so that both can be seen together.
  const strip = rows * (tile / aspect + CAPTION + GAP);
  const high = maxHeight < SHORT ? maxHeight : Math.min(maxHeight, Math.max(0.6 * maxHeight, 1.5 * maxHeight - strip));
  const w = Math.max(tile, Math.min(width, high * aspect));
  const box = { x: 0, y: 0, w, h: w / aspect };
  const tiles = placed(columns, frames, tile, aspect, 0, box.h + CAPTION + GAP);
  return { width, height: bottom([box, ...tiles]), large: box, tiles, beside: false };
}

function bottom(boxes) {
  return Math.max(...boxes.map((box) => box.y + box.h)) + CAPTION;
}

/** Which picture a point of the stage lies in: {box, n} with n = -1 for the large one, or null. */
export function pictureAt(plan, px, py) {
  const inside = (box) => px >= box.x && px < box.x + box.w && py >= box.y && py < box.y + box.h;
  if (inside(plan.large)) return { box: plan.large, n: -1 };
  const n = plan.tiles.findIndex(inside);
  return n < 0 ? null : { box: plan.tiles[n], n };
}
