// The lesson on self-attention.

import { lessonEntry } from "../entry.js";
import { createAttnBranchesFigure } from "./attention/branches_bars.js";
import { createAttnHeadsFigure } from "./attention/heads_maps.js";
import { createAttnLengthFigure } from "./attention/length_curve.js";
import { createLayoutsFigure } from "./attention/layouts.js";
import { createOperatorsFigure } from "./attention/outlook_focal.js";
import { createAttnPositionFigure } from "./attention/position_rows.js";
import {
  judgeAttnBranches, judgeAttnCut, judgeAttnHeads, judgeAttnLength, judgeAttnPosition, judgeAttnReach, judgeAttnSameRows, judgeAttnSteps,
} from "./attention/pure/attn_judges.js";
import { judgeLayouts } from "./attention/pure/layouts_maths.js";
import { judgeOperators } from "./attention/pure/operators_maths.js";
import { createReachKeysFigure, createReachStepsFigure } from "./attention/reach_cells.js";
import { createAttnSameRowsFigure } from "./attention/same_rows.js";

export const attentionLesson = {
  figures: {
    "same-rows": createAttnSameRowsFigure,
    heads: createAttnHeadsFigure,
    reach: createReachKeysFigure,
    steps: createReachStepsFigure,
    position: createAttnPositionFigure,
    branches: createAttnBranchesFigure,
    length: createAttnLengthFigure,
    layouts: createLayoutsFigure,
    operators: createOperatorsFigure,
  },
  judges: {
    "same-rows": judgeAttnSameRows,
    heads: judgeAttnHeads,
    cut: judgeAttnCut,
    reach: judgeAttnReach,
    steps: judgeAttnSteps,
    position: judgeAttnPosition,
    branches: judgeAttnBranches,
    length: judgeAttnLength,
    layouts: judgeLayouts,
    operators: judgeOperators,
  },
};

export default lessonEntry(attentionLesson);
