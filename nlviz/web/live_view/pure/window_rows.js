// Sources whose queries reach a window of keys: what they reach is a small grid of its own, so that
// neither rows nor drawing ever pass over all keys of a picture.

import { biasOf } from "./bias.js";
import { softmaxInPlace } from "./normalise.js";
import { supportOf } from "./support.js";

/**
 * Rows of embeddings over a window; `out` is laid on the grid of the box. Softmax only.
 * theta is (heads, queries, d), phi (heads, keys, d), without tokens that have no place.
 */
export function windowRows(spec, array) {
  const theta = array(spec.theta);
  const phi = array(spec.phi);
  const [heads, queries, d] = theta.shape;
  const [, h, w] = spec.keys.shape;
  const scale = spec.scale ?? 1;
  const bias = biasOf(spec, array);
  const one = new Float32Array(supportOf(spec).most);

  function logits(target, token, head, { a0, a1, b0, b1, c0, c1 }) {
    const q = theta.data.subarray((head * queries + token) * d, (head * queries + token + 1) * d);
    let n = 0;
    for (let a = a0; a < a1; a++) {
      for (let b = b0; b < b1; b++) {
        let at = ((head * phi.shape[1]) + (a * h + b) * w + c0) * d;
        for (let c = c0; c < c1; c++) {
          let sum = 0;
          for (let k = 0; k < d; k++) sum += q[k] * phi.data[at++];
          target[n++] = scale * sum + (bias ? bias.at(head, token, (a * h + b) * w + c) : 0);
        }
      }
    }
    return n;
  }

  function row(out, token, head, values, box) {
    out.fill(0);
    const chosen = heads === 1 ? 0 : head;
    if (typeof chosen === "number") {
      const to = logits(out, token, Math.min(chosen, heads - 1), box);
      return { from: 0, to, logC: values === "logits" ? NaN : softmaxInPlace(out, 0, to), apart: 0 };
    }
    let to = 0;
    for (let n = 0; n < heads; n++) {
      to = logits(one, token, n, box);
      if (values !== "logits") softmaxInPlace(one, 0, to);
      for (let j = 0; j < to; j++) {
        if (head !== "max") out[j] += one[j] / heads;
        else if (n === 0 || one[j] > out[j]) out[j] = one[j];
      }
    }
    return { from: 0, to, logC: NaN, apart: 0 };
  }

  // Who looks at a key is known to the rows of all queries around it alone.
  return { row, column: null };
}
