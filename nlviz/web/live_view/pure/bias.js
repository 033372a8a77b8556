// What is added to logits: the twin of nlviz/affinity/bias.py. A number by key, or by the offset
// from a query to a key; keys without a place come first and have no offset.

/**
 * @typedef {object} Bias
 * @property {(head: number, query: number, key: number) => number} at what is added
 * @property {(head: number, key: number) => number} apart what is added for a key without a place
 */

const BIASES = { key: keyBias, offset: offsetBias };

/**
 * The bias of a source of the header, or null.
 * @param {{bias?: {kind: string, values: string} | null, keys: Grid, prefix?: number}} spec
 * @param {ArrayOf} array reader of sections
 * @returns {Bias | null}
 */
export function biasOf({ bias = null, keys, prefix = 0 }, array) {
  if (!bias) return null;
  if (!(bias.kind in BIASES)) throw new Error(`a bias of kind ${bias.kind} is not known here`);
  return BIASES[bias.kind](array(bias.values), keys, prefix);
}

function keyBias({ data, shape: [heads, all] }, _, prefix) {
  const base = (head) => (heads === 1 ? 0 : head * all);
  return {
    at: (head, _query, key) => data[base(head) + prefix + key],
    apart: (head, key) => data[base(head) + key],
  };
}

function offsetBias({ data, shape }, { shape: [t, h, w] }) {
  const [heads, , tall, wide] = shape;
  const plane = tall * wide;
  const each = (2 * t - 1) * plane;
  // The offset is a difference of places, and so is where its number stands in the table.
  const place = (n) => Math.floor(n / (h * w)) * plane + (Math.floor(n / w) % h) * wide + (n % w);
  const itself = (t - 1) * plane + (h - 1) * wide + w - 1;
  return {
    at: (head, query, key) => data[(heads === 1 ? 0 : head * each) + itself + place(key) - place(query)],
    apart: () => 0,
  };
}
