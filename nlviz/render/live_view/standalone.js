// Entry of the page that works by itself: the container lies in it as base64.

import { mount } from "./view.js";

function bytesOf(base64) {
  const text = atob(base64.trim());
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

const page = mount(document.getElementById("nlv-root"), { everywhere: true });
window.nlviz = page;
page.show(bytesOf(document.getElementById("nlv-container").textContent));
