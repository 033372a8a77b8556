// Entry of the Streamlit component: one lens for each place it is mounted in.

import { mount } from "./view.js";

const mounts = new WeakMap();

function sameBytes(a, b) {
  if (!a || a.byteLength !== b.byteLength) return false;
  for (let i = 0; i < b.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function channelOf(bytes) {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  return JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length))).channel ?? null;
}

// The live view's control component finds mounted views here, lenses too.
const register = (name) => (window[name] ??= new Map());

function release({ channel, handle }) {
  const channels = register("__nlvizChannels");
  if (channels.get(channel) === handle) channels.delete(channel);
}

function enlist(entry, channel) {
  release(entry);
  entry.channel = channel;
  if (!channel) return;
  register("__nlvizChannels").set(channel, entry.handle);
  const message = register("__nlvizWaiting").get(channel);
  register("__nlvizWaiting").delete(channel);
  if (message) entry.handle.receive(message);
}

/** Streamlit calls this on mount and whenever the data changed, with the same parentElement. */
export default function ({ data, parentElement, setStateValue }) {
  let entry = mounts.get(parentElement);
  if (!entry) {
    const root = document.createElement("div");
    parentElement.append(root);
    entry = { root, bytes: null, channel: null, point: () => {} };
    const current = entry;
    entry.handle = mount(root, { onPoint: (point) => current.point(point) });
    mounts.set(parentElement, entry);
  }
  entry.point = (point) => setStateValue("point", point);
  if (data?.byteLength && !sameBytes(entry.bytes, data)) {
    entry.bytes = data;
    entry.handle.show(data).catch((error) => console.error(error));
    enlist(entry, channelOf(data));
  }
  return () => {
    entry.handle.destroy();
    entry.root.remove();
    release(entry);
    mounts.delete(parentElement);
  };
}
