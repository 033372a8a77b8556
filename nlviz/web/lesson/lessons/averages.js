// Entry of the lesson on averages.

import { lessonEntry } from "../entry.js";
import { createLiveFigure } from "../figures/live.js";
import { createBlurFigure } from "./averages/blur_figure.js";
import { createMeanFigure } from "./averages/mean_figure.js";
import { createPaintFigure } from "./averages/paint_figure.js";
import { judgeBlur, judgeCount, judgePainted, judgePattern, judgeRare, judgeStrength } from "./averages/pure/judges.js";
import { createStrengthFigure } from "./averages/strength_figure.js";

export const averagesLesson = {
  figures: { live: createLiveFigure, means: createMeanFigure, blur: createBlurFigure, paint: createPaintFigure, strength: createStrengthFigure },
  judges: { pattern: judgePattern, count: judgeCount, blur: judgeBlur, painted: judgePainted, strength: judgeStrength, rare: judgeRare },
};

export default lessonEntry(averagesLesson);
