// The address of the live view at one query of a survey's clip, as nlviz/views/view.py reads it.

/**
 * Path and parameters that open Explore at a query.
 * @param {{clip: string, digest: string, query: number[]}} example
 * @param {{model: string}} survey
 * @param {{block: string, heads: number}} layer
 * @param {number} head
 */
export function parametersOf(example, survey, layer, head) {
  const asked = new URLSearchParams({
    clip: `survey:${example.digest}:${example.clip}`, model: survey.model, block: layer.block, at: example.query.join(","),
  });
  if (layer.heads > 1) asked.set("head", String(head));
  return asked.toString();
}

/** The address of a server that somebody typed, ending in a slash; null where it is none. */
export function serverOf(text) {
  const typed = text.trim();
  if (!URL.canParse(typed)) return null;
  const { protocol, origin, pathname } = new URL(typed);
  if (protocol !== "http:" && protocol !== "https:") return null;
  return `${origin}${pathname.endsWith("/") ? pathname : `${pathname}/`}`;
}
