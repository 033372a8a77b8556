// The reader of the container that container.py writes: header, then typed arrays by section name.

const VIEWS = { "<f2": Uint16Array, "<f4": Float32Array, "|u1": Uint8Array, "<i4": Int32Array };
let halfTable = null;

/** Value of every float16 bit pattern: 65536 entries, so that decoding is one look-up a number. */
function halves() {
  if (halfTable) return halfTable;
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    let value;
    if (exponent === 31) value = fraction ? NaN : Infinity;
    else if (exponent === 0) value = fraction * 2 ** -24;
    else value = (1 + fraction / 1024) * 2 ** (exponent - 15);
    table[bits] = bits & 32768 ? -value : value;
  }
  halfTable = table;
  return table;
}

export function decodeHalf(bits) {
  const table = halves();
  const out = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = table[bits[i]];
  return out;
}

/**
 * Read a container.
 * @param {Uint8Array} bytes at any offset of any buffer
 * @returns {{head: object, array: function(string): {data: object, shape: number[]}}}
 *   array(name) decodes a section on first use (float16 becomes Float32Array) and keeps it.
 */
export function unpack(bytes) {
  if (bytes.byteLength < 4) throw new Error("the live view is empty");
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  if (head.format !== "nlviz.live_view") throw new Error("these bytes are not a live view of nlviz");
  if (head.version !== 1) {
    throw new Error(`this page reads live views of version 1, this one has ${head.version}`);
  }
  const sections = new Map(head.sections.map((section) => [section.name, section]));
  const decoded = new Map();
  const start = 4 + length;

  function array(name) {
    const known = decoded.get(name);
    if (known) return known;
    const section = sections.get(name);
    if (!section) throw new Error(`the live view has no section "${name}"`);
    const from = start + section.at;
    // The copy starts at offset 0, where any typed array is aligned.
    const own = bytes.slice(from, from + section.bytes);
    if (own.byteLength !== section.bytes) throw new Error(`section "${name}" was cut short`);
    const raw = new VIEWS[section.dtype](own.buffer);
    const data = section.dtype === "<f2" ? decodeHalf(raw) : raw;
    const entry = { data, shape: section.shape };
    decoded.set(name, entry);
    return entry;
  }

  return { head, array };
}
