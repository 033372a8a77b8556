// Entry of a second, invisible Streamlit component: hands a query and a view to a mounted live
// view, so that Python can move it without sending its bytes again.
// data: {channel, query, view, serial}; a serial that was already handled is ignored.

const handled = new Map();

export default function ({ data }) {
  const { channel, serial } = data ?? {};
  if (!channel || handled.get(channel) === serial) return;
  handled.set(channel, serial);
  const message = { query: data.query, view: data.view };
  const handle = window.__nlvizChannels?.get(channel);
  if (handle) {
    handle.apply(message);
  } else {
    window.__nlvizWaiting ??= new Map();
    window.__nlvizWaiting.set(channel, message);
  }
}
