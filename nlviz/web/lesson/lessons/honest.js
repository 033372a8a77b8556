// The lesson "Read a map honestly": its figures and judges.

import { lessonEntry } from "../entry.js";
import { createKnockFigure } from "./honest/knock.js";
import { createNeededFigure } from "./honest/needed.js";
import { createPairFigure } from "./honest/pair.js";
import { createQuizFigure } from "./honest/quiz.js";
import { createScalingFigure } from "./honest/scaling.js";
import { createSinksFigure } from "./honest/sinks.js";
import { createTwinsFigure } from "./honest/twins.js";
import { judgeCut, judgeNeeded, judgeQuiz, judgeSame, judgeShare, judgeSink, judgeUntrained } from "./honest/pure/judges.js";

export default lessonEntry({
  figures: {
    pair: createPairFigure, sinks: createSinksFigure, twins: createTwinsFigure, scaling: createScalingFigure,
    knock: createKnockFigure, needed: createNeededFigure, quiz: createQuizFigure,
  },
  judges: {
    same: judgeSame, sink: judgeSink, untrained: judgeUntrained, share: judgeShare, cut: judgeCut, needed: judgeNeeded, quiz: judgeQuiz,
  },
});
