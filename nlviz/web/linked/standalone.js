// Entry of the page of A | B that works by itself: the container lies in it as base64.

import { bytesOf, elementOf } from "../shared/base64.js";
import { mountLinked } from "./view.js";

const page = mountLinked(elementOf("nlv-root"), { everywhere: true });
window.nlviz = page;
page.show(bytesOf(elementOf("nlv-container").textContent));
