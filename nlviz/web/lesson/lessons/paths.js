// Lesson 6: how many steps connect two places, what counts of what is reached, fixed and computed weights.

import { lessonEntry } from "../entry.js";
import { createPathsField } from "./paths/field.js";
import { createPathsLine } from "./paths/line.js";
import { createPathsMaps } from "./paths/maps.js";
import {
  judgePathsBlock, judgePathsGrowth, judgePathsLayers, judgePathsLine, judgePathsMoved, judgePathsWidth,
} from "./paths/pure/judges.js";
import { createPathsRows } from "./paths/rows.js";
import { createPathsSizes } from "./paths/sizes.js";
import { createPathsSteps } from "./paths/steps.js";

export const pathsLesson = {
  figures: {
    steps: createPathsSteps, line: createPathsLine, field: createPathsField, maps: createPathsMaps, rows: createPathsRows, sizes: createPathsSizes,
  },
  judges: {
    layers: judgePathsLayers, line: judgePathsLine, width: judgePathsWidth, block: judgePathsBlock, moved: judgePathsMoved, growth: judgePathsGrowth,
  },
};
export default lessonEntry(pathsLesson);
