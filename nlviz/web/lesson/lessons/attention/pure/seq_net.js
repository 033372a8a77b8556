// The networks of nlviz/networks/sequence/transduction.py, run in the browser: encoder and causal decoder
// over symbols, in MUSE's layers (arXiv 1911.09483) or in plain ones (arXiv 1706.03762). A pass takes
// milliseconds at the lengths of a lesson, so that heads and branches can be switched off live.

import { linearRows } from "../../../pure/layers.js";

const SEQ_LONGEST = 256;
const SEQ_FREQUENCIES = 8;

/** y = W x + b at each of n places; W is (out, in). */
function seqLinear(x, n, weight, bias) {
  const [out, width] = weight.shape;
  return linearRows(x.subarray(0, n * width), width, weight.data, bias?.data ?? new Float32Array(out), Float32Array);
}

/** Layer normalisation of n vectors. */
function seqNorm(x, n, { data: gain }, { data: shift }) {
  const width = gain.length;
  const y = new Float32Array(x.length);
  for (let at = 0; at < n * width; at += width) {
    let mean = 0;
    for (let c = 0; c < width; c++) mean += x[at + c] / width;
    let variance = 0;
    for (let c = 0; c < width; c++) variance += (x[at + c] - mean) ** 2 / width;
    const scale = 1 / Math.sqrt(variance + 1e-5);
    for (let c = 0; c < width; c++) y[at + c] = (x[at + c] - mean) * scale * gain[c] + shift[c];
  }
  return y;
}

/** Parts added up, place by place. */
function seqSum(first, ...others) {
  const sum = Float32Array.from(first);
  for (const part of others) for (let i = 0; i < sum.length; i++) sum[i] += part[i];
  return sum;
}

/** Softmax of a stretch of numbers, in place. */
function seqSoftmax(values, from, to) {
  let most = -Infinity;
  for (let j = from; j < to; j++) most = Math.max(most, values[j]);
  let sum = 0;
  for (let j = from; j < to; j++) {
    values[j] = Math.exp(values[j] - most);
    sum += values[j];
  }
  for (let j = from; j < to; j++) values[j] /= sum;
}

/** Sines and cosines of a place, written behind each other. */
function seqPlace(out, at, place) {
  const ratio = Math.log((4 * SEQ_LONGEST) / (2 * Math.PI)) / (SEQ_FREQUENCIES - 1);
  for (let k = 0; k < SEQ_FREQUENCIES; k++) {
    const angle = place * Math.exp(-ratio * k);
    out[at + k] = Math.sin(angle);
    out[at + SEQ_FREQUENCIES + k] = Math.cos(angle);
  }
}

/** Codes of n places: counted from the start, and of a source from its end as well. */
function seqPlaces(n, fromEnd) {
  const code = 2 * SEQ_FREQUENCIES;
  const out = new Float32Array(n * 2 * code);
  for (let i = 0; i < n; i++) {
    seqPlace(out, i * 2 * code, i);
    if (fromEnd) seqPlace(out, i * 2 * code + code, n - 1 - i);
  }
  return out;
}

/** Rows softmax(q k^T / sqrt(d)) of each head, (heads, n, m), a causal one over keys up to the query. */
export function seqRows({ theta, phi, n, m, heads, d, causal }) {
  const rows = new Float32Array(heads * n * m);
  const width = heads * d;
  const scale = d ** -0.5;
  for (let h = 0; h < heads; h++) {
    for (let i = 0; i < n; i++) {
      const at = (h * n + i) * m;
      const reached = causal ? i + 1 : m;
      for (let j = 0; j < reached; j++) {
        let dot = 0;
        for (let c = 0, a = i * width + h * d, b = j * width + h * d; c < d; c++) dot += theta[a + c] * phi[b + c];
        rows[at + j] = dot * scale;
      }
      seqSoftmax(rows, at, at + reached);
    }
  }
  return rows;
}

/**
 * @param {{symbols: string, kind: string, heads: number, encoder: number, decoder: number, kernels: number[]}} spec
 * @param {(name: string) => {data: any, shape: number[]}} weight tensors of the network by their names
 * @returns run(posed, off): what a pass gives. `off` holds what is switched off: "encoder.1.global:0"
 *   for a head, "attention", "convolutions" or "feed" for that branch of every layer.
 */
export function createSeqNet(spec, weight) {
  const { heads } = spec;
  const muse = spec.kind === "muse";
  const width = weight("symbols.weight").shape[1];
  const d = width / heads;
  const pairs = new Map();
  /** Weight and bias of a linear map or a norm. */
  function of(name) {
    if (!pairs.has(name)) pairs.set(name, [weight(`${name}.weight`), weight(`${name}.bias`)]);
    return pairs.get(name);
  }

  function embedded(ids, fromEnd) {
    const x = seqLinear(seqPlaces(ids.length, fromEnd), ids.length, weight("places.weight"), null);
    const table = weight("symbols.weight").data;
    ids.forEach((id, i) => {
      for (let c = 0; c < width; c++) x[i * width + c] += table[id * width + c];
    });
    return x;
  }

  /** What each query of an attention gathers; its rows are kept under its name. */
  function attend(name, seen, off, q, k, v, n, m, causal) {
    const made = { theta: q, phi: k, values: v, n, m, heads, d, causal };
    const rows = seqRows(made);
    seen.blocks[name] = { ...made, rows };
    const y = new Float32Array(n * width);
    for (let h = 0; h < heads; h++) {
      if (off.has(`${name}:${h}`)) continue;
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < m; j++) {
          const share = rows[(h * n + i) * m + j];
          if (share) for (let c = h * d; c < (h + 1) * d; c++) y[i * width + c] += share * v[j * width + c];
        }
      }
    }
    return y;
  }

  /** Dynamic convolutions of all kernels, mixed by softmax(alpha). */
  function convolved(layer, v, n, causal) {
    const mix = Float32Array.from(weight(`${layer}.attention.alpha`).data);
    seqSoftmax(mix, 0, mix.length);
    const y = new Float32Array(n * width);
    spec.kernels.forEach((taps, number) => {
      const kernel = seqLinear(v, n, ...of(`${layer}.attention.convolutions.${number}.taps`));
      const before = causal ? taps - 1 : Math.floor(taps / 2);
      for (let i = 0; i < n; i++) {
        for (let h = 0; h < heads; h++) {
          const at = (i * heads + h) * taps;
          seqSoftmax(kernel, at, at + taps);
          for (let tap = 0; tap < taps; tap++) {
            const j = i + tap - before;
            if (j < 0 || j >= n) continue;
            const share = kernel[at + tap] * mix[number];
            for (let c = h * d; c < (h + 1) * d; c++) y[i * width + c] += share * v[j * width + c];
          }
        }
      }
    });
    return y;
  }

  function fed(layer, x, n) {
    const inner = seqLinear(x, n, ...of(`${layer}.feed.0`)).map((value) => Math.max(0, value));
    return seqLinear(inner, n, ...of(`${layer}.feed.2`));
  }

  /** One layer; of a decoder, `memory` is what it sees of the source. */
  function layered(layer, seen, off, x, n, memory, m) {
    const causal = memory !== null;
    const normed = seqNorm(x, n, ...of(`${layer}.norm`));
    const qkv = seqLinear(normed, n, ...of(`${layer}.attention.qkv`));
    const [q, k, v] = [0, 1, 2].map((part) => seqPart(qkv, n, 3 * width, part * width, width));
    const nothing = new Float32Array(n * width);
    const gathered = attend(`${layer}.global`, seen, off, q, k, v, n, n, causal);
    const added = { attention: off.has("attention") ? nothing : seqLinear(gathered, n, ...of(`${layer}.attention.w_1`)) };
    if (muse) {
      added.convolutions = off.has("convolutions") ? nothing : seqLinear(convolved(layer, v, n, causal), n, weight(`${layer}.attention.w_2.weight`), null);
      added.feed = off.has("feed") ? nothing : fed(layer, normed, n);
    }
    seen.norms[layer] = Object.fromEntries(Object.entries(added).map(([name, part]) => [name, seqLength(part, n)]));
    let y = seqSum(x, ...Object.values(added));
    if (memory) {
      const asked = seqLinear(seqNorm(y, n, ...of(`${layer}.cross_norm`)), n, ...of(`${layer}.cross.q`));
      const kv = seqLinear(memory, m, ...of(`${layer}.cross.kv`));
      const [key, value] = [0, 1].map((part) => seqPart(kv, m, 2 * width, part * width, width));
      y = seqSum(y, seqLinear(attend(`${layer}.cross`, seen, off, asked, key, value, n, m, false), n, ...of(`${layer}.cross.out`)));
    }
    if (!muse && !off.has("feed")) y = seqSum(y, fed(layer, seqNorm(y, n, ...of(`${layer}.feed_norm`)), n));
    return y;
  }

  function run({ source, given }, off = new Set()) {
    const seen = /** @type {{blocks: Record<string, any>, norms: Record<string, any>}} */ ({ blocks: {}, norms: {} });
    let x = embedded(source, true);
    for (let i = 0; i < spec.encoder; i++) x = layered(`encoder.${i}`, seen, off, x, source.length, null, 0);
    const memory = seqNorm(x, source.length, ...of("encoder_norm"));
    let y = embedded(given, false);
    for (let i = 0; i < spec.decoder; i++) y = layered(`decoder.${i}`, seen, off, y, given.length, memory, source.length);
    const logits = seqLinear(seqNorm(y, given.length, ...of("decoder_norm")), given.length, ...of("head"));
    return { ...seen, logits, tokens: spec.symbols.length + 1 };
  }

  return { spec, run, heads, d };
}

/** Columns [from, from + count) of (n, width) numbers. */
function seqPart(x, n, width, from, count) {
  const out = new Float32Array(n * count);
  for (let i = 0; i < n; i++) out.set(x.subarray(i * width + from, i * width + from + count), i * count);
  return out;
}

/** Mean length of n vectors. */
function seqLength(x, n) {
  const width = x.length / n;
  let total = 0;
  for (let i = 0; i < n; i++) {
    let square = 0;
    for (let c = i * width; c < (i + 1) * width; c++) square += x[c] * x[c];
    total += Math.sqrt(square);
  }
  return total / n;
}

/** The likeliest symbol at each place of the target. */
export function seqWritten({ logits, tokens }) {
  const written = [];
  for (let at = 0; at < logits.length; at += tokens) {
    let best = 0;
    for (let s = 1; s < tokens; s++) if (logits[at + s] > logits[at + best]) best = s;
    written.push(best);
  }
  return written;
}

/** Share of the symbols that count which a network writes right, over posed texts. */
export function seqRight(net, texts, off) {
  let right = 0;
  let counted = 0;
  for (const posed of texts) {
    const written = seqWritten(net.run(posed, off));
    posed.wanted.forEach((symbol, i) => {
      if (!posed.counts[i]) return;
      counted += 1;
      if (written[i] === symbol) right += 1;
    });
  }
  return right / counted;
}
