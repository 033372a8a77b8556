// The lesson "The block": figures and judges.

import { lessonEntry } from "../entry.js";
import { createBlockCosts } from "./block/costs.js";
import { createDescendingBlock } from "./block/descending.js";
import { createInsertedBlock } from "./block/inserted.js";
import {
  judgeBlockCostsMore, judgeFirstGradient, judgeInserted, judgePairsLead, judgeQuarter, judgeRowsAtZero,
} from "./block/pure/judges.js";
import { createScaledBlock } from "./block/scaled.js";

/** @type {LessonCode} */
export const blockLesson = {
  figures: { costs: createBlockCosts, scaled: createScaledBlock, inserted: createInsertedBlock, descending: createDescendingBlock },
  judges: {
    pairs: judgePairsLead, rows: judgeRowsAtZero, inserted: judgeInserted, gradient: judgeFirstGradient,
    quarter: judgeQuarter, convolution: judgeBlockCostsMore,
  },
};
export default lessonEntry(blockLesson);
