// How tiles lie on the page: in rows of a layer, or one after another.

const LEAST = 64; // CSS pixels of a tile of frames
const LEAST_OF_WORDS = 96;
const USUAL = 150;
const SMALL = 120; // where there are many layers
const MANY = 6;
const MOST = 230;
const MOST_ROWS = 12; // of tiles one after another, before they become smaller
export const SPACE = 6;
export const NAMES = 116; // of the names of layers, beside them
export const NARROW = 640; // below it they stand above
export const APART = 28; // between layers that lie beside one another

/**
 * How many tiles lie beside one another, and how wide they are.
 * @param {number} width of the page in CSS pixels
 * @param {number} many heads of a layer, or of all where they lie one after another
 * @param {{words?: boolean, layers?: number}} what words: tiles are strips; layers: their number, where
 *   each has a row; 0 where tiles lie one after another
 * @returns {{columns: number, side: number, beside: boolean, abreast: number}} beside: whether names of
 *   layers lie beside them; abreast: layers beside one another
 */
export function tilesAcross(width, many, { words = false, layers = 0 } = {}) {
  const beside = layers > 0 && width >= NARROW;
  const room = Math.max(width - (beside ? NAMES : 0), LEAST);
  const least = words ? LEAST_OF_WORDS : LEAST;
  const fit = Math.max(1, Math.floor((room + SPACE) / (least + SPACE)));
  let columns = Math.ceil(many / Math.ceil(many / fit));
  if (!layers) columns = Math.min(many, fit, Math.max(2, Math.round(width / USUAL), Math.ceil(many / MOST_ROWS)));
  const most = layers > MANY ? SMALL : layers > 1 ? USUAL : MOST;
  const side = Math.max(1, Math.floor(Math.min(most, (room - (columns - 1) * SPACE) / columns)));
  const layer = (beside ? NAMES : 0) + columns * (side + SPACE) - SPACE;
  const abreast = layers ? Math.max(1, Math.min(layers, Math.floor((width + APART) / (layer + APART)))) : 1;
  return { columns, side, beside, abreast };
}

/** The tile that an arrow key leads to, or -1 for none. */
export function neighbour(at, key, columns, count) {
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
  if (step === undefined) return -1;
  const next = at + step;
  return next >= 0 && next < count ? next : -1;
}
