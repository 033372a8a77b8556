// Detected objects over the frames: boxes, outlines, keypoints, and labels that pin the query.
// Places are (y, x) in pixels of the clip from its corner; a centre counts as a query does.

import { say } from "../../shared/language.js";
import { contextOf, element } from "../../shared/dom.js";
import { fitCanvas } from "./marks.js";

const OBJECT_COLOUR = "#6cf06c";
const OBJECT_HALO = "rgba(4, 18, 4, 0.75)";
const EDGE_REACH = 5;
const LABEL_HEIGHT = 22;

/**
 * Box of an object in CSS pixels of the stage, for a frame that is shown in `box`.
 * @param {Detected} object
 * @param {Rect} box
 * @param {Clip} clip
 * @returns {Rect}
 */
export function objectBox(object, box, clip) {
  const [top, left, bottom, right] = object.box;
  const [sy, sx] = [box.h / clip.height, box.w / clip.width];
  return { x: box.x + left * sx, y: box.y + top * sy, w: (right - left) * sx, h: (bottom - top) * sy };
}

/** How far a point is from the border of a box, along the nearer axis. */
function edgeDistance(box, px, py) {
  const outside = Math.hypot(Math.max(box.x - px, 0, px - box.x - box.w), Math.max(box.y - py, 0, py - box.y - box.h));
  if (outside > 0) return outside;
  return Math.min(px - box.x, box.x + box.w - px, py - box.y, box.y + box.h - py);
}

/** Index of the object of a frame on whose border a point lies, the smallest first, or -1. */
export function objectAt(objects, frame, box, clip, px, py) {
  let best = -1;
  let least = Infinity;
  objects.forEach((object, n) => {
    if (object.frame !== frame) return;
    const shown = objectBox(object, box, clip);
    const area = shown.w * shown.h;
    if (edgeDistance(shown, px, py) <= EDGE_REACH && area < least) [best, least] = [n, area];
  });
  return best;
}

/**
 * Where the labels of a frame go: above their boxes where there is room, below one another where
 * they would cover each other.
 * @param {{box: Rect, width: number}[]} wanted boxes on the stage and widths of the labels
 * @param {Rect} frame
 * @returns {{x: number, y: number}[]} corners in the same order
 */
export function placeLabels(wanted, frame) {
  /** @type {{x: number, y: number, width: number, n: number}[]} */
  const placed = [];
  const order = wanted.map((_, n) => n).sort((a, b) => wanted[a].box.y - wanted[b].box.y);
  for (const n of order) {
    const { box, width } = wanted[n];
    const x = Math.max(frame.x, Math.min(box.x, frame.x + frame.w - width));
    let y = box.y - LABEL_HEIGHT >= frame.y ? box.y - LABEL_HEIGHT : Math.max(box.y, frame.y);
    const covers = (other) => x < other.x + other.width && other.x < x + width
      && y < other.y + LABEL_HEIGHT && other.y < y + LABEL_HEIGHT;
    for (let hit = placed.find(covers); hit; hit = placed.find(covers)) y = hit.y + LABEL_HEIGHT;
    placed.push({ x, y: Math.min(y, frame.y + frame.h - LABEL_HEIGHT), width, n });
  }
  return placed.sort((a, b) => a.n - b.n).map(({ x, y }) => ({ x, y }));
}

function trace(context, points, at, closed) {
  context.beginPath();
  points.forEach(([y, x], n) => {
    const place = at(y, x);
    if (n) context.lineTo(place.x, place.y);
    else context.moveTo(place.x, place.y);
  });
  if (closed) context.closePath();
}

function strokeTwice(context, width) {
  context.lineWidth = width + 1.8;
  context.strokeStyle = OBJECT_HALO;
  context.stroke();
  context.lineWidth = width;
  context.strokeStyle = OBJECT_COLOUR;
  context.stroke();
}

/** @param {Detected} object */
function drawObject(context, object, box, clip, strong) {
  const at = (y, x) => ({ x: box.x + (x / clip.width) * box.w, y: box.y + (y / clip.height) * box.h });
  const slim = (box.w < 260 ? 0.7 : 1) * (strong ? 2 : 1);
  const shown = objectBox(object, box, clip);
  context.lineJoin = "round";
  context.beginPath();
  context.rect(shown.x, shown.y, shown.w, shown.h);
  strokeTwice(context, 1.5 * slim);
  for (const outline of object.outlines) {
    trace(context, outline, at, true);
    strokeTwice(context, slim);
  }
  const { keypoints } = object;
  for (const [a, b] of object.limbs) {
    const ends = [keypoints[a], keypoints[b]];
    if (ends.includes(null)) continue;
    trace(context, ends, at, false);
    strokeTwice(context, slim);
  }
  for (const keypoint of keypoints) {
    if (!keypoint) continue;
    const place = at(keypoint[0], keypoint[1]);
    context.beginPath();
    context.arc(place.x, place.y, box.w < 260 ? 1.6 : 2.6, 0, 2 * Math.PI);
    context.fillStyle = OBJECT_COLOUR;
    strokeTwice(context, 0.8);
    context.fill();
  }
}

/**
 * Build the layer.
 * @param {Clip} clip
 * @param {Detected[]} objects header's objects
 * @param {(query: Query) => void} onPin
 * @param {AbortSignal} signal
 * @returns canvas and labels (`elements`), to lie over the pictures, and what draws them
 */
export function createObjects(clip, objects, onPin, signal) {
  const canvas = element("canvas", { class: "nlv-objects", "aria-hidden": "true" });
  const context = contextOf(canvas);
  const labels = element("div", { class: "nlv-object-labels", role: "group", "aria-label": say("Detected objects") });
  const buttons = objects.map((object, n) => {
    const score = `${Math.round(100 * object.score)} %`;
    const button = element("button", {
      type: "button", class: "nlv-object", hidden: true,
      "data-tip": say("Pin the query at the middle of this object"),
      "aria-label": say("{name}, {score}: pin the query at its middle", { name: object.name, score }),
    }, element("b", { text: object.name }), ` ${score}`);
    const light = (on) => () => { lit = on ? n : lit === n ? -1 : lit; redraw(); };
    button.addEventListener("click", () => pin(n), { signal });
    for (const kind of ["pointerenter", "focus"]) button.addEventListener(kind, light(true), { signal });
    for (const kind of ["pointerleave", "blur"]) button.addEventListener(kind, light(false), { signal });
    labels.append(button);
    return button;
  });
  /** @type {Plan} */
  let plan = { width: 0, height: 0, large: { x: 0, y: 0, w: 0, h: 0 }, tiles: [], beside: false };
  let large = 0;
  let shown = false;
  let lit = -1;
  let drawnFor = "";

  const centreOf = ({ frame, centre: [y, x] }) => ({ frame, y, x });

  function pin(n) {
    onPin(centreOf(objects[n]));
  }

  /** Draw for this plan of the stage and large frame; `pinned` is the query that stays, or null. */
  function draw(now, largeFrame, visible, pinned) {
    plan = now;
    [large, shown] = [largeFrame, visible && objects.length > 0];
    canvas.hidden = labels.hidden = !shown;
    for (const [n, button] of buttons.entries()) {
      const { frame, y, x } = centreOf(objects[n]);
      const on = pinned !== null && pinned.frame === frame && Math.hypot(pinned.y - y, pinned.x - x) < 0.02;
      button.setAttribute("aria-pressed", String(on));
    }
    if (shown) redraw();
  }

  function redraw() {
    const wanted = `${plan.width} ${plan.height} ${large} ${lit}`;
    if (wanted === drawnFor) return;
    drawnFor = wanted;
    fitCanvas(canvas, plan.width, plan.height);
    canvas.style.width = `${plan.width}px`;
    canvas.style.height = `${plan.height}px`;
    const ratio = canvas.width / plan.width;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, plan.width, plan.height);
    drawFrame(large, plan.large);
    for (const [frame, box] of plan.tiles.entries()) drawFrame(frame, box);
    placeButtons();
  }

  function drawFrame(frame, box) {
    context.save();
    context.beginPath();
    context.rect(box.x, box.y, box.w, box.h);
    context.clip();
    for (const [n, object] of objects.entries()) {
      if (object.frame === frame) drawObject(context, object, box, clip, n === lit);
    }
    context.restore();
  }

  function placeButtons() {
    buttons.forEach((button, n) => { button.hidden = objects[n].frame !== large; });
    const here = buttons.map((button, n) => ({ button, n })).filter(({ button }) => !button.hidden);
    const wanted = here.map(({ button, n }) => ({ box: objectBox(objects[n], plan.large, clip), width: button.offsetWidth }));
    for (const [i, { x, y }] of placeLabels(wanted, plan.large).entries()) {
      here[i].button.style.transform = `translate(${x}px, ${y}px)`;
    }
  }

  /** Object on whose border a point of the stage lies, or -1. */
  function at(frame, box, px, py) {
    return shown ? objectAt(objects, frame, box, clip, px, py) : -1;
  }

  return { elements: [canvas, labels], draw, at, pin };
}
