// Entry of the page that works by itself: the container lies in it as base64.

import { bytesOf, elementOf } from "../shared/base64.js";
import { mount } from "./view.js";

const page = mount(elementOf("nlv-root"), {});
window.nlviz = page;
page.show(bytesOf(elementOf("nlv-container").textContent));
