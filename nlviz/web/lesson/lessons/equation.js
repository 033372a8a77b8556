// Entry of the lesson on equation (1).

import { lessonEntry } from "../entry.js";
import { judgeAlike, judgeChanged, judgeDot, judgeSame, judgeSentence, judgeTarget, judgeTemperature, judgeWeight } from "./equation/pure/judges.js";
import { createSumFigure } from "./equation/sum_figure.js";

export const equationLesson = {
  figures: { sum: createSumFigure },
  judges: {
    alike: judgeAlike, weight: judgeWeight, target: judgeTarget, changed: judgeChanged,
    temperature: judgeTemperature, dot: judgeDot, same: judgeSame, sentence: judgeSentence,
  },
};

export default lessonEntry(equationLesson);
