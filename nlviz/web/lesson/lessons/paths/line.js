// Places along a line, level above level, and the ways by which what is at B arrives at A.
// spec: {type (of layers), layers, distance, places, least, most, kinds: {name: text}, labels: {board, kind, layers, distance, input, steps, way, none}}
// state: {kind, layers, distance}; reading: the same and places

import { element } from "../../../shared/dom.js";
import { createSlider } from "../../figures/field.js";
import { pathsShape } from "./board.js";
import { pathsCone, pathsReached, pathsStack, pathsStrides, pathsSteps, pathsWays } from "./pure/reach.js";
import { createPathsSelect } from "./select.js";

// CSS pixels where type is 15 px high; they grow with it.
const PATHS_MARGIN = { left: 14, right: 16, top: 20, below: 26 };
const PATHS_RISE = 44; // from level to level
const PATHS_TYPE = 15;
const PATHS_MOST_LAYERS = 5;

/** @type {FigureMaker} */
export function createPathsLine(root, spec, _data, { say, changed, signal: _signal, state }) {
  const within = (value, least, most, otherwise) => (Number.isInteger(value) ? Math.min(most, Math.max(least, value)) : otherwise);
  let kind = Object.hasOwn(spec.kinds, state?.kind ?? "") ? state.kind : spec.type;
  let layers = within(state?.layers, 1, PATHS_MOST_LAYERS, spec.layers);
  let distance = within(state?.distance, spec.least, spec.most, spec.distance);
  let width = 480;
  const svg = pathsShape("svg", { class: "nlesson-paths-line", role: "img" });
  const said = element("p", { class: "nlesson-said", "aria-live": "polite" });
  const act = (set) => (value) => {
    set(value);
    draw();
    changed();
  };
  const kinds = createPathsSelect({
    name: "kind", label: say(spec.labels.kind), value: kind, moved: act((value) => { kind = value; }),
    choices: Object.entries(spec.kinds).map(([value, text]) => ({ value, text: say(text) })),
  });
  const layersSlider = createSlider({ name: "layers", label: say(spec.labels.layers), least: 1, most: PATHS_MOST_LAYERS, step: 1, value: layers, moved: act((value) => { layers = value; }) });
  const distanceSlider = createSlider({ name: "distance", label: say(spec.labels.distance), least: spec.least, most: spec.most, step: 1, value: distance, moved: act((value) => { distance = value; }) });
  root.append(element("div", { class: "nlesson-controls" }, kinds.element, layersSlider.element, distanceSlider.element), svg, said);
  draw();

  /**
   * Connections [level below, place, level above, place], all and those on a way; places are offsets from A.
   * @returns {{levels: number, steps: number[], cone: number[][], ways: number[][]}}
   */
  function connections() {
    const stack = pathsStack(kind, layers);
    if (stack) return { levels: layers, steps: pathsStrides(stack), cone: pathsCone(stack), ways: pathsWays(stack, -distance) };
    const all = Array.from({ length: spec.places }, (_, n) => -n);
    if (kind === "recurrent") {
      const hand = all.slice(1).map((place) => [1, place, 1, place + 1]);
      const ways = [[0, -distance, 1, -distance], ...hand.filter(([, place]) => place >= -distance)];
      return { levels: 1, steps: [1, 1], cone: [...all.map((place) => [0, place, 1, place]), ...hand], ways };
    }
    return { levels: 1, steps: [1, 1], cone: all.map((place) => [0, place, 1, 0]), ways: [[0, -distance, 1, 0]] };
  }

  function draw() {
    const { levels, steps, cone, ways } = connections();
    const size = Number.parseFloat(getComputedStyle(root).fontSize) / PATHS_TYPE || 1;
    const [left, right, top, below, tall] = [PATHS_MARGIN.left, PATHS_MARGIN.right, PATHS_MARGIN.top, PATHS_MARGIN.below, PATHS_RISE].map((each) => Math.round(each * size));
    const height = top + below + tall * Math.max(levels, 2);
    const rise = (height - top - below) / levels;
    const x = (place) => left + ((width - left - right) * (place + spec.places - 1)) / (spec.places - 1);
    const y = (level) => height - below - rise * level;
    const shown = (place) => place <= 0 && place > -spec.places;
    const d = (lines) => lines.filter(([, a, , b]) => shown(a) && shown(b))
      .map(([from, a, to, b]) => `M${x(a).toFixed(1)} ${y(from).toFixed(1)}L${x(b).toFixed(1)} ${y(to).toFixed(1)}`).join("");
    const on = new Set(ways.flatMap(([from, a, to, b]) => [`${from},${a}`, `${to},${b}`]));
    const dots = [];
    for (let level = 0; level <= levels; level++) {
      for (let place = 0; place > -spec.places; place -= steps[level]) {
        dots.push(pathsShape("circle", { cx: x(place), cy: y(level), r: size * (on.has(`${level},${place}`) ? 4 : 2.2), class: on.has(`${level},${place}`) ? "nlesson-paths-on" : "nlesson-paths-dot" }));
      }
    }
    const letter = (place, level, text, dy, mark) => [
      pathsShape("circle", { cx: x(place), cy: y(level), r: 5 * size, class: `nlesson-paths-end nlesson-paths-end-${mark}` }),
      pathsShape("text", { x: x(place), y: y(level) + dy * size, "text-anchor": "middle", class: "nlesson-paths-name" }, text),
    ];
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("height", String(height));
    svg.replaceChildren(
      pathsShape("path", { d: d(cone), class: "nlesson-paths-cone" }), pathsShape("path", { d: d(ways), class: "nlesson-paths-ways" }),
      ...dots, ...letter(0, levels, "A", -9, "a"), ...letter(-distance, 0, "B", 19, "b"),
      pathsShape("text", { x: width - right + 4, y: height - 6, "text-anchor": "end", class: "nlesson-paths-level" }, say(spec.labels.input)),
    );
    const stack = pathsStack(kind, layers);
    const values = { distance, steps: stack ? layers : pathsSteps(kind, distance), reach: stack ? Math.max(...pathsReached(stack)) : spec.places - 1 };
    said.textContent = say(ways.length ? spec.labels.way : spec.labels.none, values);
    svg.setAttribute("aria-label", `${say(spec.labels.board)}. ${said.textContent}`);
    layersSlider.element.hidden = !stack;
  }

  return {
    state: () => ({ kind, layers, distance }),
    reading: () => ({ kind, layers, distance, places: spec.places }),
    resize(now) {
      width = Math.max(280, now);
      draw();
    },
    destroy() {},
  };
}
