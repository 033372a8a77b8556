// Entry of an invisible Streamlit component: says once that the view of a channel has been drawn.

const LOOK = 40; // milliseconds

export default function ({ data, parentElement, setStateValue }) {
  const { channel } = data ?? {};
  if (!channel || parentElement.dataset.drawn) return;
  let timer = 0;
  const look = () => {
    if (window.__nlvizChannels?.get(channel)?.timings?.length) {
      parentElement.dataset.drawn = "true";
      // What was drawn is on the screen a frame later.
      requestAnimationFrame(() => requestAnimationFrame(() => setStateValue("drawn", true)));
    } else timer = setTimeout(look, LOOK);
  };
  look();
  return () => clearTimeout(timer);
}
