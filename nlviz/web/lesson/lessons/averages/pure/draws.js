// Draws of Gaussian noise that are the same in every browser.

/** Numbers in [0, 1) from a seed: Tommy Ettinger's mulberry32, in the public domain. */
function uniforms(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/**
 * Draws of N(0, 1), by Box and Muller (1958).
 * @param {number} seed
 * @param {number} count
 */
export function gaussianDraws(seed, count) {
  const next = uniforms(seed);
  const out = new Float64Array(count);
  for (let n = 0; n < count; n += 2) {
    const size = Math.sqrt(-2 * Math.log(1 - next()));
    const angle = 2 * Math.PI * next();
    out[n] = size * Math.cos(angle);
    if (n + 1 < count) out[n + 1] = size * Math.sin(angle);
  }
  return out;
}

/**
 * What is left of noise in means of n pixels, measured: the root mean square over many draws.
 * @param {number} sigma
 * @param {number[]} counts ascending numbers of pixels
 * @param {number} draws
 * @param {number} seed
 */
export function noiseOfMeans(sigma, counts, draws, seed) {
  const most = counts[counts.length - 1];
  const noise = gaussianDraws(seed, draws * most);
  const squares = new Float64Array(counts.length);
  for (let d = 0; d < draws; d++) {
    let sum = 0;
    for (let n = 0, k = 0; k < counts.length; n++) {
      if (n === counts[k]) squares[k++] += (sum / n) ** 2;
      if (n < most) sum += noise[d * most + n];
      else break;
    }
  }
  return Array.from(squares, (square) => sigma * Math.sqrt(square / draws));
}

/** The mean of the first n pixels of each draw. */
export function meansOfDraws(sigma, n, draws, seed, most) {
  const noise = gaussianDraws(seed, draws * most);
  return Array.from({ length: draws }, (_, d) => {
    let sum = 0;
    for (let k = 0; k < n; k++) sum += noise[d * most + k];
    return (sigma * sum) / n;
  });
}
