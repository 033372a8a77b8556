// A live view as the figure of a lesson: a container that lies in the lesson's data.
//
// spec: payload: name of the section that holds its bytes; query: [frame, y, x] to open at; view: display
// options; parts: what is shown around the picture, of "title", "sources", "sentence", "bar", "query",
// "toolbar", "equation", "about" and "heads" ("sentence" and "bar" when none are named); labels: names of
// sources by their key, in the learner's language, in place of those of the container.
// state: {query: [frame, y, x], view: what differs from the opening}; reading: {query, view, engine, head}:
// judges compute rows by engine.compute(query, view), as the picture does.

import { element } from "../../shared/dom.js";
import { unpack } from "../../shared/unpack.js";
import { decodePictures } from "../../live_view/draw/pictures.js";
import { createEngine } from "../../live_view/pure/engine.js";
import { activeQuery } from "../../live_view/pure/state.js";
import { createSession } from "../../live_view/session.js";
import { createStore } from "../../live_view/store.js";

const LIVE_PARTS = ["bar", "sentence"];
const asQuery = ([frame, y, x]) => ({ frame, y, x });

/** Fields of a view that differ from another. */
function differing(view, opening) {
  return Object.fromEntries(Object.entries(view).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(opening[name])));
}

/** A kept state, if it is one of a live view. */
function keptState(state) {
  const numbers = Array.isArray(state?.query) && state.query.length === 3 && state.query.every(Number.isFinite);
  return numbers ? { query: state.query, view: typeof state.view === "object" && state.view ? state.view : {} } : null;
}

/** @type {FigureMaker} */
export function createLiveFigure(root, spec, data, { say, changed, state }) {
  const container = unpack(data.bytes(spec.payload));
  for (const source of container.head.sources) {
    if (spec.labels?.[source.key]) source.label = say(spec.labels[source.key]);
  }
  const store = createStore(container.head);
  const engine = createEngine(container);
  store.apply(spec.query ? asQuery(spec.query) : undefined, spec.view ?? {});
  const opening = { ...store.state.view };
  const kept = keptState(state);
  if (kept) store.apply(asQuery(kept.query), kept.view);
  const box = element("div", { class: "nlv nlesson-live", "data-parts": (spec.parts ?? LIVE_PARTS).join(" ") });
  root.append(box);
  /** @type {ReturnType<typeof createSession>|null} */
  let session = null;
  let gone = false;
  decodePictures(container).then((pictures) => {
    if (gone) return;
    session = createSession(box, container, pictures, store, { onSaid: null, everywhere: false, timings: [] });
    session.resize();
    root.dataset.drawn = "";
  });
  const unsubscribe = store.subscribe((change) => {
    if (change.pin || change.step || change.chosen) changed();
  });
  const query = () => store.state.pinned ?? activeQuery(store.state);

  return {
    state: () => {
      const { frame, y, x } = query();
      const view = differing(store.state.view, opening);
      return { query: [frame, y, x].map((value) => Number(value.toFixed(2))), ...(Object.keys(view).length ? { view } : {}) };
    },
    reading: () => ({ query: query(), view: store.state.view, engine, head: container.head }),
    resize: () => session?.resize(),
    destroy() {
      gone = true;
      unsubscribe();
      session?.stop(true);
    },
  };
}
