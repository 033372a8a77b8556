// Entry of a gallery's page, which works by itself: what it shows lies in it as base64.

import { bytesOf, elementOf } from "../shared/base64.js";
import { addLanguageSwitch } from "../shared/language_switch.js";
import { headOf } from "../shared/unpack.js";
import { showGallery } from "./gallery.js";

const root = elementOf("nlv-root");
const head = headOf(bytesOf(elementOf("nlv-container").textContent));
const show = () => showGallery(root, head);
addLanguageSwitch(root, head.language, show);
show();
