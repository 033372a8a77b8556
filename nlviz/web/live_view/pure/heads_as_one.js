// One head of rows that came as they are, or the mean or maximum over heads.

/**
 * Fill `out` from rows of all heads; of those of head h the first number stands at h * each + at.
 * @param {Float32Array} out
 * @param {ArrayLike<number>} data
 * @param {{heads: number, each: number, at: number}} where
 * @param {number|"mean"|"max"} head
 */
export function headsAsOne(out, data, { heads, each, at }, head) {
  const size = out.length;
  if (typeof head === "number") {
    const from = Math.min(head, heads - 1) * each + at;
    for (let j = 0; j < size; j++) out[j] = data[from + j];
    return;
  }
  const most = head === "max";
  for (let j = 0; j < size; j++) {
    let found = data[at + j];
    for (let h = 1; h < heads; h++) {
      const value = data[h * each + at + j];
      if (!most) found += value;
      else if (value > found) found = value;
    }
    out[j] = most ? found : found / heads;
  }
}
