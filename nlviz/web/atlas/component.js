// Entry of the Streamlit component: one atlas for each place it is mounted in.

import { mounting } from "../shared/mounting.js";
import { mount } from "./view.js";

export default mounting((root, tell) => mount(root, { onPicked: (picked) => tell("picked", picked) }));
