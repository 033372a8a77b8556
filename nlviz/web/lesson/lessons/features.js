// The lesson "From patches to features": figures and judges.

import { lessonEntry } from "../entry.js";
import { createFeatureGain } from "./features/gain.js";
import {
  judgeDarkerLight, judgeDisagreement, judgeLearnedGain, judgeLearnedWins, judgeStrayPatches, judgeTwinCups,
} from "./features/pure/judges.js";
import { createFeatureStrips } from "./features/strips.js";

/** @type {LessonCode} */
export const featuresLesson = {
  figures: { strips: createFeatureStrips, gain: createFeatureGain },
  judges: {
    stray: judgeStrayPatches, light: judgeDarkerLight, twins: judgeTwinCups, learned: judgeLearnedWins,
    disagree: judgeDisagreement, gain: judgeLearnedGain,
  },
};
export default lessonEntry(featuresLesson);
