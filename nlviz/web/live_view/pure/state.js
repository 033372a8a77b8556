// What the reader chose: the display options, and the query that is hovered, pinned or resting.

export const DEFAULT_VIEW = Object.freeze({
  source: null,
  head: "mean",
  direction: "from",
  show: "both",
  links: 20,
  cells: "cells",
  strength: 0.85,
  values: "rows",
  leave_out: "nothing",
  scale: "query",
  top: null,
  unit: "uniform",
  objects: "shown",
});

const CHOICES = {
  direction: ["from", "to"],
  show: ["map", "links", "both"],
  cells: ["cells", "smooth"],
  values: ["rows", "logits"],
  leave_out: ["nothing", "cell", "frame"],
  scale: ["query", "locked", "frame"],
  unit: ["uniform", "absolute"],
  objects: ["shown", "hidden"],
};

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** Whether a view may hold this value in this field, given the names of the sources. */
function allowed(field, value, sources) {
  if (field in CHOICES) return CHOICES[field].includes(value);
  switch (field) {
    case "source":
      return sources.includes(value);
    case "head":
      return value === "mean" || value === "max" || (Number.isInteger(value) && value >= 0);
    case "links":
      return Number.isInteger(value) && value >= 0 && value <= 500;
    case "strength":
      return isNumber(value) && value >= 0 && value <= 1;
    case "top":
      return value === null || (isNumber(value) && value > 0);
    default:
      return false;
  }
}

/** A view with the valid fields of `change` taken over; unknown fields and values are ignored. */
export function mergedView(view, change, sources) {
  const next = { ...view };
  for (const [field, value] of Object.entries(change ?? {})) {
    if (allowed(field, value, sources)) next[field] = value;
  }
  if (!sources.includes(next.source)) [next.source] = sources;
  return next;
}

/** Query on the screen: hovered, else pinned, else where the reader last was. */
export function activeQuery(state) {
  if (state.reading) return state.pinned ?? state.resting;
  return state.hovered ?? state.pinned ?? state.resting;
}

export function sameQuery(a, b) {
  if (!a || !b) return a === b;
  return a.frame === b.frame && a.y === b.y && a.x === b.x;
}

/** Frame that is drawn large: the one the reader asked for, else the query's. */
export function largeFrame(state) {
  return state.large ?? activeQuery(state).frame;
}

export function newState(view) {
  return {
    view,
    hovered: null,
    cursor: null,
    pinned: null,
    resting: { frame: 0, y: 0, x: 0 },
    large: null,
    lit: null,
    shown: null,
    waiting: false,
    reading: false,
    playing: false,
  };
}

/** What the page, tests and style sheets can read off the element. */
export function describe({ dataset }, query, state, source) {
  dataset.query = `${query.frame},${Math.round(query.y)},${Math.round(query.x)}`;
  dataset.pinned = String(state.pinned !== null);
  dataset.hovering = String(state.hovered !== null);
  dataset.source = source;
  dataset.waiting = String(Boolean(state.waiting));
}
