// What a page that works by itself is made from: its elements, and the container that lies in it.

/** An element of the page, which is there. */
export function elementOf(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`this page has no element "${id}"`);
  return found;
}

/** Bytes of a text in base64, as a page that works by itself carries its container. */
export function bytesOf(base64) {
  const text = atob(base64.trim());
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
