// Numbers about rows: both ways to one, how many keys it spreads over, what lies where it should.

/** Dot products of a query of one head with every key that it reaches. */
function attnDots({ theta, phi, n, m, heads, d, causal }, head, query) {
  const width = heads * d;
  const reached = causal ? query + 1 : m;
  const dots = new Float64Array(reached);
  for (let j = 0; j < reached; j++) {
    for (let c = head * d; c < (head + 1) * d; c++) dots[j] += theta[query * width + c] * phi[j * width + c];
  }
  return n ? dots : new Float64Array(0);
}

/** Equation (1): f = exp(scale theta . phi) of each key, divided by C, the sum of all f. */
export function attnBlockRow(block, head, query, scale) {
  const f = attnDots(block, head, query).map((dot) => Math.exp(scale * dot));
  const C = f.reduce((sum, value) => sum + value, 0);
  return f.map((value) => value / C);
}

/** Self-attention: softmax(q k^T / sqrt(d)), with the largest logit taken off before exp. */
export function attnSelfRow(block, head, query) {
  const logits = attnDots(block, head, query).map((dot) => dot / Math.sqrt(block.d));
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const e = logits.map((value) => Math.exp(value - most));
  const sum = e.reduce((a, b) => a + b, 0);
  return e.map((value) => value / sum);
}

/** What a row gathers of the values of its head. */
export function attnGathered(block, head, row) {
  const { values, heads, d } = block;
  const y = new Float64Array(d);
  row.forEach((share, j) => {
    for (let c = 0; c < d; c++) y[c] += share * values[j * heads * d + head * d + c];
  });
  return y;
}

/** Largest difference between two lists of numbers. */
export const attnApart = (a, b) => a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);

/** exp of the entropy: over how many keys a row spreads as if evenly. */
export function attnEffective(row) {
  let entropy = 0;
  for (const share of row) if (share > 0) entropy -= share * Math.log(share);
  return Math.exp(entropy);
}

/** The row of a query of one head, of those a network kept. */
export const attnRow = ({ rows, n, m }, head, query) => rows.subarray((head * n + query) * m, (head * n + query + 1) * m);

/** Mean over queries of how many keys a head's rows spread over. */
export function attnSpread(block, head) {
  let sum = 0;
  for (let i = 0; i < block.n; i++) sum += attnEffective(attnRow(block, head, i));
  return sum / block.n;
}

/** Mean weight that a head puts on the key that `keyOf` names for each query; -1: the query is left out. */
export function attnMassOn(block, head, keyOf) {
  let sum = 0;
  let count = 0;
  for (let i = 0; i < block.n; i++) {
    const j = keyOf(i);
    if (j < 0 || j >= block.m) continue;
    sum += attnRow(block, head, i)[j];
    count += 1;
  }
  return count ? sum / count : 0;
}

/** Mass that two rows have in common. */
export const attnCommon = (a, b) => a.reduce((sum, value, j) => sum + Math.min(value, b[j]), 0);

/** The mean row of each query of a head over several texts of one length: what position alone decides. */
export function attnMeanRows(net, texts, name, head) {
  /** @type {Float64Array|null} */
  let sum = null;
  let n = 0;
  let m = 0;
  for (const posed of texts) {
    const block = net.run(posed).blocks[name];
    ({ n, m } = block);
    sum ??= new Float64Array(n * m);
    const at = head * n * m;
    for (let k = 0; k < n * m; k++) sum[k] += block.rows[at + k] / texts.length;
  }
  const rows = sum ?? new Float64Array(0);
  return { n, m, row: (i) => rows.subarray(i * m, (i + 1) * m) };
}
