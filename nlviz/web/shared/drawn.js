// Entry of an invisible Streamlit component: says once that the view of a channel has been drawn.

import { told } from "./told.js";

const LOOK = 40; // milliseconds
const said = new WeakSet();

export default function ({ data, parentElement, setStateValue }) {
  const { channel } = told(data) ?? {};
  if (!channel || said.has(parentElement)) return;
  let timer = 0;
  const look = () => {
    if (window.__nlvizChannels?.get(channel)?.timings?.length) {
      said.add(parentElement);
      // What was drawn is on the screen a frame later.
      requestAnimationFrame(() => requestAnimationFrame(() => setStateValue("drawn", true)));
    } else timer = setTimeout(look, LOOK);
  };
  look();
  return () => clearTimeout(timer);
}
