// Ten maps that were not seen before: what does the row follow from, and does the answer need it?

import { element, setText } from "../../../shared/dom.js";
import { createSegments } from "../../figures/field.js";
import { createBoard, createFacts } from "./board.js";
import { effectiveKeys, inCommon } from "./pure/measures.js";
import { QUIZ_KINDS, quizScore, readAnswers, writtenAnswers } from "./pure/quiz_score.js";
import { honestMap, honestShares, honestSharesAt } from "./pure/rows.js";
import { quizVerdict } from "./pure/verdict.js";

const RULES = { uniform: "near_uniform", sink: "sink", same: "same", position: "position" }; // in the order of the rules

/** @type {FigureMaker} */
export function createQuizFigure(root, spec, data, { say, changed, state }) {
  const count = data.head.quiz.length;
  const answers = readAnswers(state?.answers, count);
  let at = Number.isInteger(state?.at) && state.at >= 0 && state.at < count ? state.at : 0;
  /** @type {Map<number, ReturnType<typeof quizVerdict>>} */
  const verdicts = new Map();
  const verdictOf = (n) => {
    const known = verdicts.get(n) ?? quizVerdict(data, n);
    verdicts.set(n, known);
    return known;
  };
  let map = honestMap(data, `quiz.${at}`);
  let query = map.query;
  let input = 0; // 0: this one; n: the n-th other one
  let cut = false;
  let given = { kind: "", needs: "" };

  const title = element("h3", { class: "nlesson-honest-title" });
  const stage = element("div", { class: "nlesson-honest-stage" });
  const facts = createFacts();
  const tools = element("div", { class: "nlesson-controls" });
  const asked = element("div", { class: "nlesson-honest-asked" });
  const told = element("div", { "aria-live": "polite" });
  const ways = element("div", { class: "nlesson-controls" });
  root.append(title, stage, facts.element, tools, asked, told, ways);

  /** In the teacher's view nothing says what is right until somebody opens it. */
  const teaching = () => root.closest(".nlesson-large") !== null;

  const button = (value, text, act) => {
    const made = element("button", { type: "button", class: "nlesson-honest-button", "data-control": "do", "data-value": value, text });
    made.addEventListener("click", act);
    return made;
  };
  function go(n) {
    at = n;
    map = honestMap(data, `quiz.${at}`);
    query = map.query;
    input = 0;
    cut = false;
    given = { kind: "", needs: "" };
    mount();
    changed();
  }

  /** @type {() => void} */
  let draw = () => {};
  function mount() {
    const key = `quiz.${at}`;
    const { data: other, shape: [inputs, keys] } = data.array(`${key}.other`);
    const board = createBoard(data, {
      map, label: say(spec.row), name: "quiz", seen: `${key}.seen`, seenLabel: say(spec.seen), legend: (top) => say(spec.colours, { top }), frameName: (n) => say(spec.frame, { n }),
      pointed: (cell) => { if (input === 0) { query = cell; draw(); changed(); } },
    });
    stage.replaceChildren(board.element);
    const inputsTool = createSegments({
      name: "input", label: say(spec.input), value: "0", choices: [0, 1, 2, 3].filter((n) => n <= inputs).map((n) => ({ value: String(n), text: n ? say(spec.other, { n }) : say(spec.this) })),
      moved: (value) => { input = Number(value); query = map.query; draw(); changed(); },
    });
    tools.replaceChildren(inputsTool.element,
      button("start", say(spec.start), () => { query = map.query; input = 0; inputsTool.set("0"); draw(); changed(); }),
      button("cut", say(spec.cut), () => { cut = true; draw(); changed(); }));
    const opening = honestSharesAt(map, map.query);
    draw = () => {
      const there = input > 0;
      const shares = there ? honestShares(other.subarray((input - 1) * keys, input * keys)) : honestSharesAt(map, query);
      board.draw({ shares, at: there ? map.query : query, marks: [map.query], ...(there ? { pictures: `${key}.others`, picture: input - 1 } : {}) });
      const same = !there && query === map.query;
      const { strong, chance } = data.head.quiz[at];
      facts.say([
        say(spec.keys, { effective: effectiveKeys(shares), keys: map.keys }),
        ...(same ? [] : [say(there ? spec.thereCommon : spec.common, { common: inCommon(opening, shares) })]),
        ...(cut ? [say(spec.odds, { strong: Math.exp(strong), chance: Math.exp(-chance) })] : []),
      ]);
    };
    drawTitle();
    draw();
    drawAsked();
  }

  function drawTitle() {
    const { right, given: told } = score();
    setText(title, say(told && !teaching() ? spec.titleThen : spec.title, { n: at + 1, all: count, right, given: told }));
  }

  function drawAsked() {
    const answer = answers[at];
    const steps = [
      at > 0 ? button("back", say(spec.back), () => go(at - 1)) : "",
      at < count - 1 ? button("next", say(spec.next), () => go(at + 1)) : "",
    ];
    if (answer) {
      asked.replaceChildren();
      told.replaceChildren(saidOf(answer, verdictOf(at)));
      ways.replaceChildren(...steps, button("retry", say(spec.retry), () => { answers[at] = null; go(at); }), button("again", say(spec.again), () => { answers.fill(null); go(0); }));
      return;
    }
    told.replaceChildren();
    const hint = element("p", { class: "nlesson-said nlesson-honest-hint" });
    const choice = (name, label, choices) => createSegments({
      name, label, value: "", choices,
      moved: (value) => {
        given[name] = value;
        ready.disabled = !given.kind || !given.needs;
        if (name === "kind") setText(hint, say(spec.tips[value]));
      },
    }).element;
    const ready = button("answer", say(spec.answer), () => {
      answers[at] = { ...given };
      drawTitle();
      drawAsked();
      changed();
    });
    ready.disabled = true;
    asked.replaceChildren(
      choice("kind", say(spec.follows), [...Object.keys(RULES), "content"].map((value) => ({ value, text: say(spec.kinds[value]), tip: say(spec.tips[value]) }))), hint,
      choice("needs", say(spec.needs), ["yes", "no"].map((value) => ({ value, text: say(spec[value]) }))), ready);
    ways.replaceChildren(...steps);
  }

  /** The figures that decide, the one that did in bold; closed where a teacher shows the lesson. */
  function saidOf(answer, { source, matters, origin }) {
    const right = answer.kind === source && answer.needs === matters;
    const figures = { uniform: origin.uniform, sink: origin.sink, same: origin.shared, position: origin.beyond };
    const decides = source === "content" ? "position" : source;
    const lines = Object.entries(RULES).map(([kind, rule]) => {
      const text = say(spec.figures[kind], { figure: Math.max(0, figures[kind]), rule: data.head.rules[rule] });
      return element("li", {}, kind === decides ? element("b", { text }) : text);
    });
    const { strong, chance, draws, links } = data.head.quiz[at];
    lines.push(element("li", {}, say(spec.figures.needs, { strong: Math.exp(strong), chance: Math.exp(-chance), draws, links })));
    const verdict = say(spec.verdict, { kind: say(spec.kinds[source]), needs: say(spec[matters]) });
    const yours = say(spec.yours, { kind: say(spec.kinds[answer.kind]), needs: say(spec[answer.needs]) });
    const first = Object.keys(RULES).indexOf(source); // rules after the first that holds do not count
    const later = first >= 0 && Object.entries(RULES).some(([kind, rule], n) => n > first && kind !== "position" && figures[kind] >= data.head.rules[rule]);
    const narrower = later ? element("p", { text: say(spec.first, { kind: say(spec.kinds[source]) }) }) : "";
    return element("details", { class: "nlesson-honest-told", open: !teaching(), "data-right": String(right) },
      element("summary", { text: say(spec.figuresSay) }),
      element("p", {}, element("b", { text: `${say(right ? spec.right : spec.wrong)} ` }), `${verdict} ${right ? "" : yours}`),
      element("ul", {}, ...lines), narrower, element("p", { text: say(spec.built[at]) }));
  }

  const score = () => quizScore(answers, answers.map((answer, n) => (answer ? verdictOf(n) : { source: "", matters: "" })));
  mount();
  return {
    state: () => ({ at, answers: writtenAnswers(answers) }),
    reading: () => ({
      answers, verdicts: answers.map((_, n) => verdictOf(n)),
      names: Object.fromEntries([...QUIZ_KINDS.map((kind) => [kind, say(spec.kinds[kind])]), ...QUIZ_KINDS.map((kind) => [`figure_${kind}`, say(spec.figureNames[kind])])]),
    }),
    destroy: () => {},
  };
}
