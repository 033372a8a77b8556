// A lesson on the screen: its texts, figures and questions, one screen at a time.

import { element, matchScheme, setText } from "../shared/dom.js";
import { chosenLanguage, LANGUAGES, langAttribute, say, speak } from "../shared/language.js";
import { createTelling } from "../shared/telling.js";
import { unpack } from "../shared/unpack.js";
import { filled, inLanguage } from "./pure/filled.js";
import { fieldsOf, progressOf } from "./pure/progress.js";
import { createQuestion } from "./question.js";
import { richLine, richText } from "./rich.js";

const LESSON_NARROW = 820; // CSS pixels
const RESTS = 300; // milliseconds at rest before progress is told

/**
 * What figures and judges read: the header's "data", and the sections of the container.
 * @param {Container} container
 * @returns {LessonData}
 */
export function lessonData({ head, array }) {
  const bytes = (name) => {
    const { data } = array(name);
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  };
  return { head: /** @type {any} */ (head).data, array, bytes };
}

/**
 * Mount an empty lesson.
 * @param {HTMLElement} root
 * @param {LessonCode} code figures and judges of the lesson, by name
 * @param {{onSaid?: ?function, fields?: Record<string, string|null|undefined>, keep?: ?function, page?: boolean}} options
 *   onSaid gets {n, again, fields} once the learner's acts have come to rest; fields are those of an address:
 *   to begin with, and as keep gets them at once; page: the lesson is all that is on the page
 * @returns {Handle}
 */
export function mountLesson(root, code, { onSaid = null, fields = {}, keep = null, page = false } = {}) {
  root.classList.add("nlv", "nlesson");
  const life = new AbortController();
  const { signal } = life;
  /** @type {any} */
  let lesson = null;
  /** @type {LessonData|null} */
  let data = null;
  /** @type {string[]} */
  let ids = [];
  let progress = progressOf({}, [""]);
  let language = speak(chosenLanguage(fields.lang));
  /** @type {LessonFigure|null} */
  let figure = null;
  /** @type {ReturnType<typeof createQuestion>|null} */
  let question = null;
  /** @type {Map<string, any>} states of figures, and the latest verdicts, by screen */
  const states = new Map();
  const verdicts = new Map();
  let acts = 0;
  let width = 0;
  /** @type {number|string|undefined} */
  let serial;
  const telling = createTelling(root, onSaid && ((again) => onSaid({ n: acts, again, fields: { ...address(), lang: language } })));

  const title = element("h1", { class: "nlesson-title" });
  const dots = element("ol", { class: "nlesson-dots" });
  const nav = element("nav", {}, dots);
  const languages = element("select", { class: "nlesson-language" },
    ...Object.entries(LANGUAGES).map(([value, text]) => element("option", { value, lang: langAttribute(value), text })));
  const teach = element("button", { type: "button", class: "nlesson-teach", "aria-pressed": "false" });
  const heading = element("h2", { tabindex: "-1", class: "nlesson-heading" });
  const text = element("div", { class: "nlesson-text" });
  const move = element("p", { class: "nlesson-move" });
  const stage = element("section", { class: "nlesson-figure" });
  const asked = element("div", { class: "nlesson-asks" });
  const back = element("button", { type: "button", class: "nlesson-back" });
  const next = element("button", { type: "button", class: "nlesson-next" });
  const reset = element("button", { type: "button", class: "nlesson-reset" });
  const open = element("a", { class: "nlesson-open", target: "_blank", rel: "noopener" });
  const keys = element("span", { class: "nlesson-keys" });
  const end = element("p", { class: "nlesson-end", role: "status" });
  const body = element("div", { class: "nlesson-body" },
    element("div", { class: "nlesson-told" }, heading, text, move), stage,
    element("div", { class: "nlesson-below" }, asked, element("div", { class: "nlesson-ways" }, back, next), end));
  root.replaceChildren(
    element("header", { class: "nlesson-head" }, title, nav, element("div", { class: "nlesson-tools" }, languages, teach)),
    body,
    element("footer", { class: "nlesson-foot" }, reset, onSaid ? open : "", keys));

  const tell = (textByLanguage, ...values) => filled(inLanguage(textByLanguage, language), ...values, data?.head.numbers);
  const number = () => ids.indexOf(progress.screen);
  const screen = () => lesson.screens[number()];
  const address = () => fieldsOf({ ...progress, at: touched ? states.get(progress.screen) ?? null : null }, ids);
  let touched = false; // whether the learner moved something on this screen, in this visit or an earlier one

  root.addEventListener("pointerenter", () => matchScheme(root), { signal });
  const watcher = new ResizeObserver(() => resize());
  watcher.observe(root);

  async function show(bytes) {
    root.setAttribute("aria-busy", "true");
    try {
      const container = unpack(bytes);
      data = lessonData(container);
      ({ lesson } = /** @type {any} */ (container.head));
      ids = lesson.screens.map(({ id }) => id);
      begin(fields);
    } catch (error) {
      const { message } = /** @type {Error} */ (error);
      root.replaceChildren(element("p", { class: "nlv-error", role: "alert", text: say("This lesson cannot be shown: {why}.", { why: message }) }));
      throw error;
    } finally {
      root.removeAttribute("aria-busy");
    }
  }

  /** Begin where an address says. */
  function begin(from) {
    progress = progressOf(from, ids);
    touched = progress.at !== null;
    if (progress.at) states.set(progress.screen, progress.at);
    drawHead();
    drawScreen(false);
  }

  /** Language, title, dots: what does not belong to one screen. */
  function drawHead() {
    speak(language);
    root.lang = langAttribute(language);
    if (page) document.documentElement.lang = langAttribute(language);
    languages.value = language;
    languages.setAttribute("aria-label", say("Language"));
    setText(teach, say("Teacher's view"));
    teach.title = say("Large type, for a projector. Nothing is said about right and wrong until R is pressed. Keys: Page Up and Page Down change the screen, 1 to 9 choose, Enter checks, T leaves.");
    teach.setAttribute("aria-pressed", String(progress.teacher));
    root.classList.toggle("nlesson-large", progress.teacher);
    setText(title, tell(lesson.title));
    if (page) document.title = tell(lesson.title);
    nav.setAttribute("aria-label", say("Screens of this lesson"));
    setText(back, say("Back"));
    setText(reset, say("Reset this screen"));
    setText(open, say("Open this view in the app"));
    setText(keys, progress.teacher ? say("Page Up, Page Down: screens · 1 to 9: choose · Enter: check · R: show or hide what it gives · T: leave") : "");
    drawDots();
  }

  function drawDots() {
    dots.replaceChildren(...lesson.screens.map((each, n) => {
      const solved = progress.solved.includes(each.id) && !progress.teacher;
      const name = say("Screen {n} of {all}: {title}", { n: n + 1, all: ids.length, title: tell(each.title) });
      const dot = element("button", {
        type: "button", "aria-label": solved ? `${name} (${say("answered")})` : name, title: tell(each.title),
        "aria-current": n === number() ? "step" : null, class: solved ? "nlesson-solved" : "", text: solved ? "✓" : String(n + 1),
      });
      dot.addEventListener("click", () => go(n));
      return element("li", {}, dot);
    }));
  }

  /** @param {boolean} moved whether the learner came here from another screen */
  function drawScreen(moved) {
    const now = screen();
    figure?.destroy();
    heading.replaceChildren(...richLine(tell(now.title)));
    text.replaceChildren(...richText(tell(now.text)));
    move.hidden = !now.move;
    if (now.move) move.replaceChildren(element("b", { class: "nlesson-word", text: say("Try") }), " ", ...richLine(tell(now.move)));
    stage.replaceChildren();
    const box = element("div", { class: `nlesson-drawn nlesson-of-${now.figure.kind}` });
    stage.append(box);
    stage.setAttribute("aria-label", tell(now.title));
    const make = code.figures[now.figure.kind];
    if (!make) throw new Error(`the lesson has no figure "${now.figure.kind}"`);
    figure = make(box, now.figure, /** @type {LessonData} */ (data), {
      say: tell, changed, signal, language, state: states.get(now.id) ?? null,
    });
    question = createQuestion(now.question, { tell, judge, heard, teacher: () => progress.teacher }, verdicts.get(now.id) ?? null);
    asked.replaceChildren(question.element);
    open.hidden = !now.figure.open;
    open.href = `./${now.figure.open ?? ""}`;
    drawWays();
    width = 0;
    resize();
    if (moved) {
      heading.focus({ preventScroll: true });
      root.scrollIntoView({ block: "start" });
    }
  }

  function drawWays() {
    const last = number() === ids.length - 1;
    back.disabled = number() === 0;
    next.hidden = last;
    setText(next, say("Next"));
    next.classList.toggle("nlesson-forth", progress.solved.includes(progress.screen) && !progress.teacher);
    const shown = last && progress.solved.includes(progress.screen) && !progress.teacher;
    setText(end, shown ? say("That was the lesson: {solved} of {all} questions answered.", { solved: progress.solved.length, all: ids.length }) : "");
  }

  function judge(given) {
    const { judge: name } = screen().question;
    const found = code.judges[name];
    if (!found || !figure || !data) throw new Error(`the lesson has no judge "${name}"`);
    return found({ given, state: figure.state(), reading: figure.reading(), data, spec: screen() });
  }

  function heard(right) {
    verdicts.set(progress.screen, question?.verdict() ?? null);
    // What a class found out is not what one learner did.
    if (right && !progress.teacher && !progress.solved.includes(progress.screen)) progress.solved.push(progress.screen);
    keepState();
    drawDots();
    drawWays();
    acted();
  }

  /** The learner moved something in the figure. */
  function changed() {
    touched = true;
    verdicts.delete(progress.screen);
    question?.stale();
    keepState();
    acted();
  }

  function keepState() {
    if (figure) states.set(progress.screen, figure.state());
  }

  function acted() {
    acts = Math.max(acts + 1, Date.now());
    keep?.({ ...address(), lang: language });
    telling.acted(RESTS);
  }

  function go(n) {
    if (n < 0 || n >= ids.length || n === number()) return;
    keepState();
    progress.screen = ids[n];
    touched = states.has(ids[n]);
    drawDots();
    drawScreen(true);
    acted();
  }

  function setTeacher(on) {
    progress.teacher = on;
    drawHead();
    question?.redraw();
    drawWays();
    width = 0;
    resize();
    acted();
  }

  function setLanguage(tag) {
    language = tag;
    keepState();
    drawHead();
    drawScreen(false);
    acted();
  }

  function resize() {
    const now = root.clientWidth;
    if (!now || now === width) return;
    width = now;
    const size = Number.parseFloat(getComputedStyle(root).fontSize) / 15;
    root.classList.toggle("nlesson-narrow", now < LESSON_NARROW * Math.min(size, 1.5));
    figure?.resize?.(stage.clientWidth);
  }

  languages.addEventListener("change", () => setLanguage(languages.value), { signal });
  teach.addEventListener("click", () => setTeacher(!progress.teacher), { signal });
  back.addEventListener("click", () => go(number() - 1), { signal });
  next.addEventListener("click", () => go(number() + 1), { signal });
  reset.addEventListener("click", () => {
    states.delete(progress.screen);
    verdicts.delete(progress.screen);
    touched = false;
    drawScreen(false);
    acted();
  }, { signal });
  /** Keys of the whole lesson; a field or a figure that takes a key keeps it. */
  function keyed(event) {
    if (!lesson || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const { key } = event;
    const target = event.composedPath()[0];
    const writes = target instanceof Element && target.matches("input[type=text], input[type=number], select, textarea");
    const inFigure = target instanceof Node && stage.contains(target);
    if (key === "PageDown" || key === "PageUp") go(number() + (key === "PageDown" ? 1 : -1));
    else if (writes) return;
    else if (/^t$/i.test(key) && !inFigure) setTeacher(!progress.teacher);
    else if (/^r$/i.test(key) && progress.teacher && !inFigure) question?.reveal();
    else if (/^[1-9]$/.test(key) && !inFigure && question?.choose(Number(key) - 1)) { /* chosen */ }
    else if (key === "Enter" && progress.teacher && !inFigure && !(target instanceof HTMLButtonElement)) question?.judged();
    else return;
    event.preventDefault();
  }
  (page ? document : root).addEventListener("keydown", keyed, { signal });

  /** Take over where a page says that the learner is. */
  function receive(message) {
    if (message.serial !== undefined && message.serial === serial) return;
    ({ serial } = message);
    const { view: wanted, seen } = message;
    const known = acts <= (seen ?? Infinity);
    telling.heard(known);
    if (!known || !wanted) return;
    fields = wanted;
    const told = chosenLanguage(wanted.lang);
    if (!lesson) {
      language = told;
      return;
    }
    if (told !== language) {
      language = told;
      begin(wanted);
      return;
    }
    if (JSON.stringify(address()) !== JSON.stringify(fieldsOf(progressOf(wanted, ids), ids))) begin(wanted);
  }

  function destroy() {
    life.abort();
    telling.stop();
    watcher.disconnect();
    figure?.destroy();
    root.replaceChildren();
  }

  return { show, receive, destroy };
}
