// Entry of the page that works by itself: the container lies in it as base64.

import { mount } from "./view.js";

const text = atob(document.getElementById("nlv-container").textContent.trim());
const page = mount(document.getElementById("nlv-root"), { everywhere: true });
window.nlviz = page;
page.show(Uint8Array.from(text, (letter) => letter.charCodeAt(0)));
