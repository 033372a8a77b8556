// Entry of the Streamlit component of A | B: two views for each place it is mounted in.

import { mounting } from "../shared/mounting.js";
import { mountLinked } from "./view.js";

export default mounting((root, tell) => mountLinked(root, { onSaid: (said) => tell("said", said) }));
