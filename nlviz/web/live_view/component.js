// Entry of the Streamlit component: one live view for each place it is mounted in.

import { mounting } from "../shared/mounting.js";
import { mount } from "./view.js";

export default mounting((root, tell) => mount(root, {
  onPin: (query) => tell("pin", query),
  onView: (view) => tell("view", view),
}));
