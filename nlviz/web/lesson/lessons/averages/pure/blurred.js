// The Gaussian filter of nlviz.denoise, and what it leaves of noise and takes from the picture:
//   y_i = sum_j w_ij x_j,   w = exp(-|i - j|^2 / (2 s^2)) / C over a window of three s,
//   mean square error = sigma^2 sum_j w_ij^2 (noise) + (sum_j w_ij clean_j - clean_i)^2 (blur)

import { mirrored } from "../../../../live_view/pure/patch_rows.js";

/** Weights along one axis, of sum 1; their outer product is the window's. */
export function gaussianTaps(s) {
  const reach = Math.ceil(3 * s);
  const taps = Float64Array.from({ length: 2 * reach + 1 }, (_, k) => Math.exp(-((k - reach) ** 2) / (2 * s * s)));
  const sum = taps.reduce((all, tap) => all + tap, 0);
  return taps.map((tap) => tap / sum);
}

/** Noise that is left where a whole window lies inside the picture: sigma root(sum w^2). */
export function noiseLeft(sigma, s) {
  return sigma * gaussianTaps(s).reduce((all, tap) => all + tap * tap, 0);
}

/**
 * A picture filtered, mirrored at its borders without repeating the edge pixel.
 * @param {ArrayLike<number>} pixels
 * @param {number} height
 * @param {number} width
 * @param {number} s standard deviation in pixels
 */
export function gaussianFiltered(pixels, height, width, s) {
  const taps = gaussianTaps(s);
  const reach = (taps.length - 1) / 2;
  const across = new Float64Array(height * width);
  const out = new Float64Array(height * width);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let k = -reach; k <= reach; k++) sum += taps[k + reach] * pixels[y * width + mirrored(x + k, width)];
      across[y * width + x] = sum;
    }
  }
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let k = -reach; k <= reach; k++) sum += taps[k + reach] * across[mirrored(y + k, height) * width + x];
      out[y * width + x] = sum;
    }
  }
  return out;
}

/** Root mean square difference of two pictures. */
export function rootMeanSquare(a, b) {
  let sum = 0;
  for (let n = 0; n < a.length; n++) sum += (a[n] - b[n]) ** 2;
  return Math.sqrt(sum / a.length);
}

/**
 * Noise, blur and error of the Gaussian filter over a picture, over all draws of the noise.
 * @param {ArrayLike<number>} clean
 */
export function partsOfError(clean, height, width, sigma, s) {
  const noise = noiseLeft(sigma, s);
  const blur = rootMeanSquare(gaussianFiltered(clean, height, width, s), clean);
  return { noise, blur, error: Math.hypot(noise, blur) };
}
