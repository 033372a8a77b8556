// Numbers, times and names in plain words. The numbers are rounded as in nlviz/words/numbers.py.

import { say, spoken, texts } from "../../shared/language.js";

/** A space that does not break, before a unit. */
export const THIN = "\u202f";

export function percentText(share) {
  const percent = 100 * share;
  if (percent > 0 && percent < 0.95) return `<1${THIN}%`;
  return `${fixedText(percent, 0)}${THIN}%`;
}

/** A gain or a loss in percent of a whole row: +5.4 %, −0.3 %. */
export function changeText(share) {
  const percent = 100 * share;
  const size = Math.abs(percent);
  if (size < 0.05) return `0${THIN}%`;
  return `${percent > 0 ? "+" : ""}${fixedText(percent, size >= 9.95 ? 0 : 1)}${THIN}%`;
}

/** A weight's share with one decimal where it is small: 12 %, 4.1 %, 0.03 %. */
export function weightText(share) {
  const percent = 100 * share;
  const size = Math.abs(percent);
  if (size > 0 && size < 0.0005) return `${percent < 0 ? ">−" : "<"}0.001${THIN}%`;
  const digits = size >= 10 ? 0 : size >= 0.995 ? 1 : size >= 0.0995 ? 2 : 3;
  return `${fixedText(percent, digits)}${THIN}%`;
}

/** A multiple of uniform attention: 864×, 5×, 0.25×. */
export function multipleText(multiple) {
  const size = Math.abs(multiple);
  if (size > 0 && size < 0.005) return multiple < 0 ? ">−0.01×" : "<0.01×";
  return `${shortText(multiple, size >= 10 ? 0 : size >= 1 ? 1 : 2)}×`;
}

/** A weight or a logit with the digits that matter. */
export function numberText(value) {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 1e-6) return value < 0 ? ">−0.000001" : "<0.000001";
  if (size < 1e-3) return shortText(value, 1 - Math.floor(Math.log10(size)));
  if (size >= 1e5) {
    const exponent = Math.floor(Math.log10(size));
    return `${fixedText(value / 10 ** exponent, 1)}·10^${exponent}`;
  }
  return fixedText(value, size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

/** A small number as one digit and a power of ten: 5·10⁻⁷, 0.03. */
export function powerText(value) {
  const size = Math.abs(value);
  if (size === 0 || !Number.isFinite(size)) return size === 0 ? "0" : "–";
  let exponent = Math.floor(Math.log10(size));
  let digit = fixedText(value / 10 ** exponent, 0);
  if (digit.endsWith("10")) {
    digit = digit.slice(0, -1);
    exponent += 1;
  }
  if (exponent >= -2) return fixedText(value, Math.max(-exponent, 0));
  return `${digit}·10⁻${[...String(-exponent)].map((n) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[n]).join("")}`;
}

/** Format a number at this many decimals, halves away from zero; zero has no sign. */
function fixedText(value, digits) {
  if (!Number.isFinite(value)) return "–";
  const text = Math.abs(value).toFixed(digits);
  return value < 0 && Number(text) !== 0 ? `−${text}` : text;
}

/** The same without zeros at the end of its decimals. */
function shortText(value, digits) {
  const text = fixedText(value, digits);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

export function secondsText(seconds) {
  return `${fixedText(seconds, 2)}${THIN}s`;
}

/** A time of a clip: 1.60 s, and from a minute on 6:51. */
export function clockText(seconds) {
  const whole = Math.floor(seconds + 0.5);
  if (!(whole >= 60)) return secondsText(seconds);
  const two = (value) => String(value).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  const head = minutes < 60 ? String(minutes) : `${Math.floor(minutes / 60)}:${two(minutes % 60)}`;
  return `${head}:${two(whole % 60)}`;
}

/** Times of a clip as labels: in seconds where two frames would have the same one. */
function timeLabels(times) {
  const labels = Array.from(times, clockText);
  return new Set(labels).size === labels.length ? labels : Array.from(times, secondsText);
}

/** @type {WeakMap<Clip, string[]>} */
const labelsByClip = new WeakMap();

/** The time of a frame as a label. */
export function timeText(frame, clip) {
  const labels = labelsByClip.get(clip) ?? timeLabels(clip.times);
  labelsByClip.set(clip, labels);
  return labels[frame];
}

texts(["{n} keys", "{n} queries", "{n} frames", "{n} words", "{n} cells", "{n} pixels", "{n} boxes", "{n} nodes", "{n} queries without a place", "{n} others"]);

/** Words for a number of things: 1 key, 2 keys. */
export function counted(count, word, words = `${word}s`) {
  const n = count.toLocaleString("en");
  return spoken() === "en" ? `${n} ${count === 1 ? word : words}` : say(`{n} ${words}`, { n });
}

/** Whether weights are said as they are: several rows at once have no common uniform attention. */
export const isAbsolute = ({ spec }, unit) => unit === "absolute" || spec?.layer?.kind === "together";

/** A key's weight as the reader asked for it. */
export function valueText(value, result, unit) {
  if (result.logits) return numberText(value);
  return isAbsolute(result, unit) ? numberText(value) : multipleText(value / result.uniform);
}

/** When and where: "1.60 s" for clips, "this picture" for one frame. */
export function whenText(frame, clip) {
  return clip.frames > 1 ? timeText(frame, clip) : say("this picture");
}

/** Parts of a list: a, b and c. */
export function joined(parts) {
  if (parts.length < 2) return parts.join("");
  return say("{some} and {last}", { some: parts.slice(0, -1).join(say(", ")), last: parts[parts.length - 1] });
}

/** A token without a place by its name; `own` where each frame has one. */
export function tokenText(name, own) {
  const called = name === "cls" ? say("class token (cls)") : say("token {name}", { name });
  return own ? say("Each frame’s own {called}", { called }) : say("The {called}", { called });
}

/** What the products of a layer run along: side by side, or the last one after those before it. */
export function alongText({ layer: { kind, along } }) {
  const names = along.map((one) => say(one));
  if (kind === "together") return names.join(say(" and "));
  const order = names.slice(1).reduce((after, one) => say("{one} after {other}", { one, other: after }), names[0]);
  return say("{order}, without residual path, projections and layers between", { order });
}
