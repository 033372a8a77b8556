// Entry of the Streamlit component: one lens for each place it is mounted in.

import { mounting } from "../shared/mounting.js";
import { mount } from "./view.js";

export default mounting((root, tell) => mount(root, { onPoint: (point) => tell("point", point) }));
