// The reader of the container that container.py writes: a safetensors file, whose header is JSON in
// the metadata and whose tensors are typed arrays by section name.

const FORMAT = "nlviz.live_view";
const VERSION = "2";
const VIEWS = { F16: Uint16Array, F32: Float32Array, U8: Uint8Array, I32: Int32Array };

/** Float16 bit patterns as numbers, natively where the browser knows the type. */
export function decodeHalf(bits) {
  if (typeof Float16Array === "undefined") return decodeByTable(bits);
  return new Float32Array(new Float16Array(bits.buffer, bits.byteOffset, bits.length));
}

/**
 * Value of every float16 bit pattern: 65536 entries, so that decoding is one look-up a number.
 * @type {Float32Array|null}
 */
let halfTable = null;

export function decodeByTable(bits) {
  const table = halfTable ?? Float32Array.from({ length: 65536 }, (_, pattern) => {
    const exponent = (pattern >> 10) & 31;
    const fraction = pattern & 1023;
    const size = exponent === 31 ? (fraction ? NaN : Infinity)
      : exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
    return pattern & 32768 ? -size : size;
  });
  halfTable = table;
  const out = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = table[bits[i]];
  return out;
}

/** Table of sections, metadata and where the data begin, of the bytes of any safetensors file. */
function read(bytes) {
  if (bytes.byteLength < 8) throw new Error("the live view is empty");
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  let table;
  try {
    table = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  } catch {
    table = null;
  }
  const { __metadata__: metadata, ...sections } = table ?? {};
  if (metadata?.format !== FORMAT) throw new Error("these bytes are not a live view of nlviz");
  if (metadata.version !== VERSION) {
    throw new Error(`this page reads live views of version ${VERSION}, this one has ${metadata.version}`);
  }
  return { sections: new Map(Object.entries(sections)), head: JSON.parse(metadata.header), start: 8 + length };
}

/** The header of a container without its arrays. */
export const headOf = (bytes) => read(bytes).head;

/**
 * Read a container.
 * @param {Uint8Array} bytes at any offset of any buffer
 * @returns {Container} array(name) decodes a section on first use (float16 becomes Float32Array)
 *   and keeps it
 */
export function unpack(bytes) {
  const { head, sections, start } = read(bytes);
  const decoded = new Map();

  function array(name) {
    const known = decoded.get(name);
    if (known) return known;
    const section = sections.get(name);
    if (!section) throw new Error(`the live view has no section "${name}"`);
    const { dtype, shape, data_offsets: [from, to] } = section;
    if (start + to > bytes.byteLength) throw new Error(`section "${name}" was cut short`);
    const View = VIEWS[dtype];
    const size = View.BYTES_PER_ELEMENT;
    const at = bytes.byteOffset + start + from;
    // Streamlit hands bytes over at any offset; where a typed array may not begin there, it copies.
    const raw = at % size === 0 ? new View(bytes.buffer, at, (to - from) / size)
      : new View(bytes.slice(start + from, start + to).buffer);
    const entry = { data: dtype === "F16" ? decodeHalf(raw) : raw, shape };
    decoded.set(name, entry);
    return entry;
  }

  return { head, array };
}
