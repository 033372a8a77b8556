// What every Streamlit component of nlviz does: one view for each place it is mounted in, found by
// its channel, shown again only where its bytes changed.

import { langAttribute, languageIn } from "./language.js";
import { headOf } from "./unpack.js";

/** Mounted views by channel, where the control component finds them; survives script reloads. */
const channels = () => {
  window.__nlvizChannels ??= new Map();
  return window.__nlvizChannels;
};

/** The latest message to each channel: a view that comes after it, or in another's place, is told. */
const messages = () => {
  window.__nlvizMessages ??= new Map();
  return window.__nlvizMessages;
};

function sameBytes(a, b) {
  if (!a || a.byteLength !== b.byteLength) return false;
  for (let i = 0; i < b.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Let the page's own style see, outside of the shadow root, that a view has its height. */
function markDrawn(root) {
  const { host } = root.getRootNode();
  if (host) host.dataset.nlvizDrawn = "";
}

function release({ channel, handle }) {
  if (channels().get(channel) === handle) channels().delete(channel);
}

/**
 * Make what Streamlit calls on mount and whenever the data changed, with the same parentElement.
 * @param {(root: HTMLElement, tell: (name: string, value: any) => void) => Handle} mountIn mounts an
 *   empty view; its second argument sets a state of the component
 */
export function mounting(mountIn) {
  /** @type {WeakMap<HTMLElement, any>} */
  const mounts = new WeakMap();

  function createMount(parentElement) {
    const root = document.createElement("div");
    parentElement.append(root);
    /** @type {{root: HTMLElement, bytes: ?Uint8Array, channel: ?string, tell: function, handle: Handle, stop: AbortController}} */
    const entry = {
      root, bytes: null, channel: null, tell: () => {},
      handle: mountIn(root, (name, value) => entry.tell(name, value)),
      stop: new AbortController(),
    };
    // The page took up another language: what is shown is shown again in it.
    window.addEventListener("nlviz-language", () => {
      const wanted = entry.bytes && langAttribute(languageIn(undefined, headOf(entry.bytes).language));
      if (entry.bytes && wanted !== root.lang) entry.handle.show(entry.bytes).catch((error) => console.error(error));
    }, { signal: entry.stop.signal });
    return entry;
  }

  return ({ data, parentElement, setStateValue }) => {
    let entry = mounts.get(parentElement);
    if (!entry) {
      entry = createMount(parentElement);
      mounts.set(parentElement, entry);
    }
    entry.tell = setStateValue;
    if (data?.byteLength && !sameBytes(entry.bytes, data)) {
      entry.bytes = data;
      const channel = headOf(data).channel ?? null;
      if (entry.channel !== channel) release(entry);
      entry.channel = channel;
      entry.handle.show(data).catch((error) => console.error(error)).finally(() => markDrawn(entry.root));
      if (channel) {
        channels().set(channel, entry.handle);
        const message = messages().get(channel);
        if (message) entry.handle.receive(message);
      }
    }
    return () => {
      entry.stop.abort();
      entry.handle.destroy();
      entry.root.remove();
      release(entry);
      mounts.delete(parentElement);
    };
  };
}
