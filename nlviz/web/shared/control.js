// Entry of a second, invisible Streamlit component: hands a query and a view to a mounted live
// view, so that Python can move it without sending its bytes again.
// data: {channel, query, view, serial}. No query leaves the query alone. A view that has seen this
// serial already ignores it: reruns repeat the last message.

export default function ({ data }) {
  const { channel, serial, query, view } = data ?? {};
  if (!channel) return;
  const message = { serial, query: query ?? undefined, view: view ?? undefined };
  const handle = window.__nlvizChannels?.get(channel);
  if (handle) {
    handle.receive(message);
  } else {
    window.__nlvizWaiting ??= new Map();
    window.__nlvizWaiting.set(channel, message);
  }
}
