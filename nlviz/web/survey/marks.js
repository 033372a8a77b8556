// Marks of labels, a shape and a colour each, and small drawings in SVG.

const SVG = "http://www.w3.org/2000/svg";
// Okabe and Ito's colours, told apart by most who see few; the shape says the same without any.
const MARKS = {
  matching: ["#0072b2", "M5 1a4 4 0 1 0 0 8 4 4 0 1 0 0-8z"],
  semantic: ["#009e73", "M5 .4 9.6 5 5 9.6 .4 5z"],
  positional: ["#e69f00", "M5 .8 9.6 9.2H.4z"],
  sink: ["#d55e00", "M.4 1.2h9.2L5 9.6z"],
  "same for all": ["#cc79a7", "M.5 3.2h9v3.6h-9z"],
  uniform: ["#8b6d3f", "M1.2 1.2h7.6v7.6H1.2z"],
  itself: ["#56b4e9", "M3.4 .8h3.2v2.6h2.6v3.2H6.6v2.6H3.4V6.6H.8V3.4h2.6z"],
  dead: ["#4b5563", "M2.3 .7 5 3.4 7.7 .7 9.3 2.3 6.6 5 9.3 7.7 7.7 9.3 5 6.6 2.3 9.3 .7 7.7 3.4 5 .7 2.3z"],
  silent: ["#94a3b8", "M5 1a4 4 0 1 0 0 8 4 4 0 1 0 0-8zM5 2.6a2.4 2.4 0 1 1 0 4.8 2.4 2.4 0 1 1 0-4.8z"],
  mixed: ["#9ca3af", "M5 .6 9.4 4 7.7 9.2H2.3L.6 4z"],
};
const OTHER = ["#d1d5db", "M5 3.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 1 0 0-3.6z"];

/** Make an element of a drawing. */
export function drawn(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined) continue;
    if (name === "text") node.textContent = value;
    else node.setAttribute(name, String(value));
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/** The mark of a label; nothing is heard of it. */
export function labelMark(name, size = 11) {
  const [fill, d] = Object.hasOwn(MARKS, name) ? MARKS[name] : OTHER;
  return drawn("svg", { class: "nsv-mark", viewBox: "-1 -1 12 12", width: size, height: size, "aria-hidden": "true" },
    drawn("path", { d, fill, stroke: "#ffffff", "stroke-width": 1.1, "paint-order": "stroke" }));
}
