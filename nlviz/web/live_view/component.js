// Entry of the Streamlit component: one live view for each place it is mounted in.

import { mounting } from "../shared/mounting.js";
import { mount } from "./view.js";

export default mounting((root, tell) => mount(root, { onSaid: (said) => tell("said", said) }));
