// Rows that say how alike two are, f itself with C = 1: cosines of features. Nothing is shared out.

import { say } from "../../shared/language.js";

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
  let found = -1;
  for (let f = 0; f < best.length; f++) {
    if (f !== own && best[f] >= 0 && (found < 0 || values[best[f]] > values[best[found]])) found = f;
  }
  const span = { least: text(least), most: text(most) };
  if (found < 0) return say("Features of the other cells are like this point’s by a cosine from {least} to {most}, where 1 is the same.", span);
  return say("Features of the other cells are like this point’s by a cosine from {least} to {most}, where 1 is the same; in another frame up to {top}, at {time}.", { ...span, top: text(values[best[found]]), time: time(found) });
}
