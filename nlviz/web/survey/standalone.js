// Entry of the page that works by itself: the container lies in it as base64.

import { bytesOf, elementOf } from "../shared/base64.js";
import { addLanguageSwitch } from "../shared/language_switch.js";
import { headOf } from "../shared/unpack.js";
import { mountSurvey } from "./view.js";

const page = mountSurvey(elementOf("nlv-root"), {});
window.nlviz = page;
const bytes = bytesOf(elementOf("nlv-container").textContent);
const show = () => page.show(bytes);
addLanguageSwitch(elementOf("nlv-root"), headOf(bytes).language, show);
show();
