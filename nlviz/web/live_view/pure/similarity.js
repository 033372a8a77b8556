// Rows that say how alike two are, f itself with C = 1: cosines of features. Nothing is shared out.

/** Whether rows of a source are similarities. */
export const isSimilarity = (spec) => spec.pairwise === "cosine" && !spec.difference;

/**
 * How alike the features of the other cells are, and when the most alike one of another frame is.
 * @param {Result} result
 * @param {number} own frame of the query
 * @param {(value: number) => string} text of a number
 * @param {(frame: number) => string} time of a frame
 */
export function similaritySentence(result, own, text, time) {
  const { best, values, least, most } = result;
  const span = `from ${text(least)} to ${text(most)}`;
  const whole = `Features of the other cells are like this point’s by a cosine ${span}, where 1 is the same`;
  let found = -1;
  for (let f = 0; f < best.length; f++) {
    if (f !== own && best[f] >= 0 && (found < 0 || values[best[f]] > values[best[found]])) found = f;
  }
  return found < 0 ? `${whole}.` : `${whole}; in another frame up to ${text(values[best[found]])}, at ${time(found)}.`;
}
