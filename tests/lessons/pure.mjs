// Calls functions of the lessons' pure modules: what to call comes as JSON, what they return goes back so.
// Run by pure.py.
import { readFileSync } from "node:fs";

const home = new URL("../../nlviz/web/", import.meta.url);
const { unpack } = await import(new URL("shared/unpack.js", home));

const { createEngine } = await import(new URL("live_view/pure/engine.js", home));

const { calls, container } = JSON.parse(readFileSync(0, "utf8"));
const { head, array } = unpack(readFileSync(container));
const data = {
  head, array,
  bytes: (name) => {
    const { data: section } = array(name);
    return new Uint8Array(section.buffer, section.byteOffset, section.byteLength);
  },
};

/** What a live figure reads: of the view that lies in a section, at a query (frame, y, x). */
function liveReading({ $live: section, query: [frame, y, x], view = {} }) {
  const shown = unpack(data.bytes(section));
  const { defaults } = shown.head.display;
  const display = { ...defaults, source: shown.head.sources[0].key, ...shown.head.view, ...view };
  return { engine: createEngine(shown), head: shown.head, query: { frame, y, x }, view: display };
}

/** Arguments as the browser would have them: the lesson's data in its place, and live readings. */
function real(value) {
  if (value === "$data") return data;
  if (value?.$live) return liveReading(value);
  if (Array.isArray(value)) return value.map(real);
  if (typeof value === "object" && value !== null) return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, real(each)]));
  return value;
}

const found = [];
for (const { module, name, args } of calls) {
  const { [name]: called } = await import(new URL(module, home));
  found.push(called(...args.map(real)));
}
// Typed arrays become plain ones.
process.stdout.write(JSON.stringify(found, (_, value) => (ArrayBuffer.isView(value) ? Array.from(value) : value)));
