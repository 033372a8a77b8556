// Entry of the lesson on the choice of f.

import { lessonEntry } from "../entry.js";
import { createFiguresTable } from "./pairwise/figures_table.js";
import { createNetworksFigure } from "./pairwise/networks_figure.js";
import { judgeDonor, judgeFlip, judgeNames, judgeOrder, judgePartner, judgeTask } from "./pairwise/pure/judges.js";

export const pairwiseLesson = {
  figures: { networks: createNetworksFigure, table: createFiguresTable },
  judges: { partner: judgePartner, flip: judgeFlip, order: judgeOrder, names: judgeNames, donor: judgeDonor, task: judgeTask },
};

export default lessonEntry(pairwiseLesson);
