// Entry of the Streamlit component: one report for each place it is mounted in.

import { mounting } from "../shared/mounting.js";
import { mountSurvey } from "./view.js";

export default mounting((root) => mountSurvey(root, { app: true }));
