// The atlas: one query in every layer and head, on one colour scale. A click opens a head.

import { say, speakIn } from "../shared/language.js";
import { attachTips, contextOf, element, matchScheme, setText } from "../shared/dom.js";
import { unpack } from "../shared/unpack.js";
import { neighbour, SPACE, tilesAcross } from "./pure/layout.js";
import { fillLevels, wordsOfLevels } from "./pure/levels.js";
import { createHeadTile } from "./tile.js";

const STRENGTH = 0.95;
const LOOK = 250; // milliseconds between two looks for the live view to follow
const LOOKS = 40;

/** What decides which tiles there are and where. */
const formOf = ({ layers, order }) => JSON.stringify([order, layers.map(({ block, name, heads, named, apart }) => [block, name, heads, named, apart])]);

/**
 * Mount an empty atlas.
 * @param {HTMLElement} root
 * @param {{onPicked?: ?function, theme?: string, language?: string}} options onPicked gets {n, block, head} where a head was clicked
 * @returns {Handle}
 */
export function mount(root, { onPicked = null, theme, language } = {}) {
  root.classList.add("nlv", "nlv-atlas");
  if (theme) root.dataset.theme = theme;
  const life = new AbortController();
  const { signal } = life;
  const about = element("p", { class: "nlv-atlas-about" });
  const ramp = element("canvas", { width: 256, height: 1 });
  const [low, high] = [element("span"), element("span")];
  const scale = element("div", { class: "nlv-atlas-scale" }, low, ramp, high);
  const grid = element("div", { class: "nlv-atlas-grid", role: "group", "aria-label": "" });
  root.replaceChildren(element("div", { class: "nlv-atlas-line" }, about, scale), grid);
  attachTips(root, signal);
  /** @type {any} */
  let shown = null;
  /** @type {ReturnType<typeof createHeadTile>[]} */
  let tiles = [];
  let columns = 1;
  let form = "";
  let width = 0;
  let turn = 0;
  let picks = 0;
  /** @type {Handle|null} */
  let followed = null;
  let unwatch = () => {};
  let looking = 0;

  /** @type {number[]} milliseconds from bytes to pictures */
  const timings = [];
  const watcher = new ResizeObserver(() => resize());
  watcher.observe(grid);
  root.addEventListener("pointerenter", () => matchScheme(root), { signal });

  grid.addEventListener("click", (event) => {
    const tile = tileOf(event.target);
    if (!tile) return;
    const { block } = shown.about.layers[tile.number];
    onPicked?.({ n: Math.max(picks + 1, Date.now()), block, head: tile.head });
    picks += 1;
  }, { signal });

  grid.addEventListener("keydown", (event) => {
    const at = tiles.findIndex(({ node }) => node === event.target);
    const next = at < 0 ? -1 : neighbour(at, event.key, columns, tiles.length);
    if (next < 0) return;
    event.preventDefault();
    event.stopPropagation();
    focusOn(next);
  }, { signal });

  /** The tile of an element inside it. */
  function tileOf(target) {
    const node = target instanceof Element ? target.closest("button") : null;
    return tiles.find((tile) => tile.node === node) ?? null;
  }

  /** One tile takes part in the order of tabs; arrows lead to the others. */
  function focusOn(at, really = true) {
    tiles.forEach(({ node }, n) => {
      node.tabIndex = n === at ? 0 : -1;
    });
    if (really) tiles[at].node.focus();
  }

  async function show(bytes) {
    const now = ++turn;
    const start = performance.now();
    const { head, array } = unpack(bytes);
    speakIn(root, language, head.language);
    const ground = await createImageBitmap(new Blob([array("ground").data], { type: "image/jpeg" }));
    if (now !== turn || signal.aborted) return;
    const { atlas } = /** @type {any} */ (head);
    atlas.layers.forEach((layer, n) => {
      layer.tokens = layer.apart ? array(`apart${n}`).shape[1] : 0;
    });
    shown = { about: atlas, array, ground, words: wordsOfLevels(array("table").data, STRENGTH) };
    const next = formOf(atlas);
    if (next !== form) build();
    form = next;
    sayAll();
    width = 0;
    resize();
    follow();
    matchScheme(root);
    timings.push(performance.now() - start);
  }

  /** Make the tiles anew. */
  function build() {
    const { layers, order } = shown.about;
    tiles = [];
    const made = (number, head) => {
      const layer = layers[number];
      const alone = layer.heads === 1;
      const name = order || alone ? `${layer.name}${alone ? "" : ` · ${head + 1}`}` : String(head + 1);
      const tile = createHeadTile(layer, number, head, name);
      tiles.push(tile);
      return tile.node;
    };
    const flow = order ?? (layers.every(({ heads }) => heads === 1) ? layers.map((_, n) => [n, 0]) : null);
    if (flow) {
      grid.replaceChildren(element("div", { class: "nlv-atlas-row" }, ...flow.map(([n, head]) => made(n, head))));
    } else {
      grid.replaceChildren(...layers.map((layer, n) => element("section", { class: "nlv-atlas-layer", "aria-label": layer.name },
        element("h4", { text: layer.name, title: layer.block }),
        element("div", { class: "nlv-atlas-row" }, ...Array.from({ length: layer.heads }, (_, head) => made(n, head))))));
    }
    focusOn(0, false);
  }

  function sayAll() {
    const { layers, scale: of, figure, frames, shown: open } = shown.about;
    tiles.forEach((tile) => {
      const { values, lengths, tips, block } = layers[tile.number];
      const { head } = tile;
      tile.tell({ text: values[head], length: lengths.length ? lengths[head] ?? 0 : undefined, tip: tips[head], pressed: open.block === block && open.head === head });
    });
    const laid = frames > 1 ? say(", {frames} frames row by row", { frames }) : "";
    const what = figure ? say("Sorted by {figure}", { figure: say(figure).toLowerCase() }) : say("Every layer and head");
    setText(about, say("{what}{laid}. A click opens a head.", { what, laid }));
    grid.setAttribute("aria-label", say("Every layer and head"));
    const [least, most] = of.ends;
    setText(low, least);
    setText(high, `${most} ${of.text.replace("× ", "")}`);
    const context = contextOf(ramp);
    const image = context.createImageData(256, 1);
    new Uint32Array(image.data.buffer).set(shown.words.map((word, level) => (level ? word : shown.words[1])));
    context.putImageData(image, 0, 0);
  }

  function resize() {
    const now = grid.clientWidth;
    if (!shown || !now || now === width) return;
    width = now;
    const { layers, tile: size } = shown.about;
    const beside = grid.firstElementChild?.matches(".nlv-atlas-layer") ?? false;
    const many = beside ? Math.max(...layers.map(({ heads }) => heads)) : tiles.length;
    const laid = tilesAcross(width, many, { words: layers.every(({ named }) => named), layers: beside ? layers.length : 0 });
    ({ columns } = laid);
    grid.style.gridTemplateColumns = `repeat(${laid.abreast}, minmax(0, max-content))`;
    root.classList.toggle("nlv-atlas-beside", laid.beside);
    for (const row of /** @type {NodeListOf<HTMLElement>} */ (grid.querySelectorAll(".nlv-atlas-row"))) {
      row.style.gridTemplateColumns = `repeat(${columns}, ${laid.side}px)`;
      row.style.gap = `${SPACE}px`;
    }
    for (const tile of tiles) tile.resize(laid.side, (laid.side * size.height) / size.width);
    drawPinned();
  }

  /** Draw the row of the pinned query in every tile, or in those of one layer. */
  function drawPinned(layer = -1) {
    const { array, about: { layers } } = shown;
    for (const tile of tiles) {
      if (layer >= 0 && tile.number !== layer) continue;
      const levels = array(`levels${tile.number}`);
      const size = levels.shape[1] * levels.shape[2];
      drawIn(tile, levels.data.subarray(tile.head * size, (tile.head + 1) * size));
      if (!layers[tile.number].apart) continue;
      const { data, shape: [, n] } = array(`apart${tile.number}`);
      tile.drawStrip(data.subarray(tile.head * n, (tile.head + 1) * n), shown.words);
    }
  }

  function drawIn(tile, levels) {
    const [, height, wide] = shown.array(`levels${tile.number}`).shape;
    tile.draw(levels, { height, width: wide, ground: shown.ground, words: shown.words, empty: shown.about.tile.empty });
  }

  /** Follow the pointer of a live view in the tiles of its block; it may be mounted later. */
  function follow(patience = LOOKS) {
    clearTimeout(looking);
    const { follows } = shown.about;
    const handle = follows ? window.__nlvizChannels?.get(follows) : null;
    if (handle === followed) return;
    if (follows && !handle?.watch) {
      if (patience > 0) looking = setTimeout(() => follow(patience - 1), LOOK);
      return;
    }
    unwatch();
    followed = handle ?? null;
    unwatch = handle?.watch?.(hovered) ?? (() => {});
  }

  let hovering = -1;

  /** @param {{block: string, rows: () => (any[]|null)}|null} said what is under the pointer; null: nothing */
  function hovered(said) {
    if (!shown) return;
    const number = said ? shown.about.layers.findIndex(({ block }) => block === said.block) : -1;
    const rows = number >= 0 && shown.about.layers[number].follows ? said?.rows() : null;
    if (!rows || rows.length !== shown.about.layers[number].heads) {
      if (hovering >= 0) drawPinned(hovering);
      hovering = -1;
      root.classList.remove("nlv-atlas-hovering");
      return;
    }
    hovering = number;
    root.classList.add("nlv-atlas-hovering");
    const keyOf = shown.array(`keys${number}`).data;
    const { own } = shown.about.layers[number];
    shown.about.layers[number].own = null;
    for (const tile of tiles) {
      if (tile.number !== number || rows[tile.head].values.length !== shown.about.layers[number].keys) continue;
      const levels = new Uint8Array(keyOf.length);
      fillLevels(levels, keyOf, rows[tile.head], shown.about.scale);
      drawIn(tile, levels);
      tile.drawStrip(null, shown.words);
    }
    shown.about.layers[number].own = own;
  }

  function destroy() {
    life.abort();
    watcher.disconnect();
    clearTimeout(looking);
    unwatch();
    root.replaceChildren();
  }

  return { show, receive: () => {}, destroy, timings };
}
