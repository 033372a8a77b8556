// Calls functions of the lessons' pure modules: what to call comes as JSON, what they return goes back so.
// Run by pure.py.
import { readFileSync } from "node:fs";

const home = new URL("../../nlviz/web/", import.meta.url);
const { unpack } = await import(new URL("shared/unpack.js", home));

const { calls, container } = JSON.parse(readFileSync(0, "utf8"));
const { head, array } = unpack(readFileSync(container));
const data = {
  head, array,
  bytes: (name) => {
    const { data: section } = array(name);
    return new Uint8Array(section.buffer, section.byteOffset, section.byteLength);
  },
};

/** Arguments as the browser would have them: the lesson's data in its place. */
function real(value) {
  if (value === "$data") return data;
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
