// What a non-local block and a 3-D convolution cost, counted: parameters and multiply-adds.
// With N cells, K keys, C channels and d inner ones: theta, phi, g and W_z are 1 x 1 convolutions,
// pairs are the N x K products theta . phi and the N x K weights that sum g, d multiply-adds each.

/**
 * @param {{channels: number, inner: number, grid: number[], pool?: number, first?: boolean}} about
 *   grid: frames, rows, columns; pool: side of the max-pooling of keys in space; first: it pools the
 *   features, before phi and g
 */
export function blockCosts({ channels, inner, grid: [t, h, w], pool = 1, first = true }) {
  const cells = t * h * w;
  const keys = t * Math.floor(h / pool) * Math.floor(w / pool);
  const projected = first ? keys : cells;
  const one = channels * inner;
  const parts = [
    { name: "theta", parameters: one + inner, multiplyAdds: cells * one },
    { name: "phi", parameters: one + inner, multiplyAdds: projected * one },
    { name: "g", parameters: one + inner, multiplyAdds: projected * one },
    { name: "products", parameters: 0, multiplyAdds: cells * keys * inner },
    { name: "sums", parameters: 0, multiplyAdds: cells * keys * inner },
    { name: "out", parameters: one + channels, multiplyAdds: cells * one },
  ];
  const total = (key) => parts.reduce((sum, part) => sum + part[key], 0);
  const pairs = 2 * cells * keys * inner;
  return { cells, keys, pairCount: cells * keys, parts, parameters: total("parameters"), multiplyAdds: total("multiplyAdds"), pairs, convolutions: total("multiplyAdds") - pairs };
}

/**
 * A k x k x k convolution of C to C channels on the same grid, padded so that it stays as large.
 * @param {{channels: number, grid: number[], kernel?: number}} about
 */
export function convolutionCosts({ channels, grid: [t, h, w], kernel = 3 }) {
  const weights = kernel ** 3 * channels * channels;
  return { cells: t * h * w, parameters: weights + channels, multiplyAdds: t * h * w * weights, reach: kernel ** 3 };
}

/** Millions or thousands, so that a count can be read. */
export function countText(count) {
  for (const [unit, name] of /** @type {[number, string][]} */ ([[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]])) {
    if (count >= unit) return `${Number((count / unit).toPrecision(3))} ${name}`;
  }
  return String(Math.round(count));
}
