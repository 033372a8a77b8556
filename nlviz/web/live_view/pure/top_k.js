// The strongest entries of a row without sorting it.

/**
 * Indices of the k largest values, largest first; ties go to the lower index.
 * Entries outside [from, to) and inside [skipFrom, skipTo) are passed over, and so is `own`.
 * @param {Float32Array} values
 * @param {Int32Array} out at least k long; reused between calls
 * @returns {number} how many were found
 */
export function topIndices(values, k, out, { from = 0, to = values.length, skipFrom = 0, skipTo = 0, own = -1 } = {}) {
  let count = 0;
  let least = -Infinity;
  for (let j = from; j < to; j++) {
    const value = values[j];
    // Most entries stop here: only those above the least of the k kept move anything.
    if (count === k && !(value > least)) continue;
    if ((j >= skipFrom && j < skipTo) || j === own || Number.isNaN(value)) continue;
    if (k === 0) break;
    let at = count < k ? count++ : k - 1;
    while (at > 0 && values[out[at - 1]] < value) {
      out[at] = out[at - 1];
      at--;
    }
    out[at] = j;
    least = values[out[count - 1]];
  }
  return count;
}
