// The report of a survey: what it is, its atlas, and one head of it.

import { attachTips, element, matchScheme } from "../shared/dom.js";
import { say, speakIn } from "../shared/language.js";
import { headOf, unpack } from "../shared/unpack.js";
import { createAtlasGrid } from "./atlas_grid.js";
import { createDistribution, createGroups } from "./clip_charts.js";
import { createExamples } from "./clip_examples.js";
import { createFigureRows } from "./figure_rows.js";
import { createLabelLegend } from "./label_legend.js";
import { labelMark } from "./marks.js";
import { cellSize, shortNames } from "./pure/cell_size.js";
import { figureScale } from "./pure/figure_scale.js";
import { serverOf } from "./pure/head_address.js";
import { surveyReport } from "./pure/survey_report.js";
import { createScaleBar } from "./scale_bar.js";
import { createDefinitions, createFailures, createSurveyHead } from "./survey_tables.js";

const NAMES = 132; // CSS pixels of the column of layers, at most
const BESIDE = 340; // of the legend, where it stands beside the atlas

/** The report in a container; the browser undoes gzip. */
async function reportIn(bytes) {
  const { array } = unpack(bytes);
  const small = new Blob([array("report").data]).stream().pipeThrough(new DecompressionStream("gzip"));
  return { whole: await new Response(small).json(), tables: { sequential: array("lut_seq").data, diverging: array("lut_div").data } };
}

/**
 * Mount an empty report.
 * @param {HTMLElement} root
 * @param {{app?: boolean, language?: string}} options app: whether the page is one of the app's own, whose links need no server
 * @returns {Handle}
 */
export function mountSurvey(root, { app = false, language } = {}) {
  root.classList.add("nlv", "nsv");
  const life = new AbortController();
  const { signal } = life;
  /** @type {number[]} milliseconds from bytes to the whole page */
  const timings = [];
  /** @type {any} */
  let report = null;
  /** @type {any} */
  let tables = null;
  const state = { figure: "", layer: 0, head: 0, survey: 0, server: "", kept: new Set() };
  /** @type {any} */
  let parts = null;
  let width = 0;
  let turn = 0;
  const watcher = new ResizeObserver(() => resize());
  watcher.observe(root);

  async function show(bytes) {
    const now = ++turn;
    const start = performance.now();
    const found = await reportIn(bytes);
    if (now !== turn || signal.aborted) return;
    report = surveyReport(found.whole);
    ({ tables } = found);
    speakIn(root, language, headOf(bytes).language);
    state.server ||= report.server ?? "";
    if (!report.figure(state.figure)) state.figure = report.figures[0]?.name ?? "";
    if (!report.layers[state.layer] || state.head >= report.layers[state.layer].heads) Object.assign(state, { layer: 0, head: 0 });
    build();
    timings.push(performance.now() - start);
  }

  function build() {
    const choice = element("select", { name: "figure" }, ...report.figures.map(({ name, label }) => element("option", { value: name, text: say(label) })));
    choice.addEventListener("change", () => chooseFigure(choice.value));
    const grids = report.surveys.map((survey, number) => createAtlasGrid(report, {
      survey: number, title: report.compared ? `${"AB"[number]} · ${survey.name}` : say("Every layer and head"), onChosen: (layer, head) => chooseHead(layer, head, number),
    }));
    const change = report.compared ? createAtlasGrid(report, { survey: null, title: say("B − A; ◆ where it is more than noise"), onChosen: (layer, head) => chooseHead(layer, head) }) : null;
    parts = {
      choice, grids, change, definition: element("p", { class: "nsv-dim nsv-chosen" }), scale: element("div", { class: "nsv-scales" }),
      head: element("section", { class: "nsv-one", "aria-live": "polite", "aria-label": say("The chosen head") }),
      atlases: element("div", { class: "nsv-atlases" }, ...grids.map(({ node }) => node), change?.node ?? null),
    };
    const atlas = element("section", { class: "nsv-main" }, element("h2", { text: say("Atlas") }),
      element("div", { class: "nsv-tools" }, element("label", { class: "nlv-field" }, element("span", { text: say("Figure") }), choice), parts.scale),
      parts.definition, element("div", { class: "nsv-beside" }, parts.atlases, report.labels.length ? createLabelLegend(report, state.kept, paint) : null),
      element("p", { class: "nsv-dim nsv-hint", text: say("A cell is one head: hover for its interval, press it for all that is known of it. Arrow keys walk the atlas.") }));
    const rest = [createFailures(report), createDefinitions(report)].filter((one) => one !== null);
    root.replaceChildren(createSurveyHead(report), ...(report.heads.length && report.figures.length ? [atlas, parts.head]
      : [element("p", { class: "nsv-empty", text: say("No clip was looked at, so there is nothing to show of any head.") })]), ...rest);
    attachTips(root, signal);
    width = 0;
    resize();
    matchScheme(root);
    drawHead();
  }

  function resize() {
    const { paddingLeft, paddingRight } = getComputedStyle(root);
    const now = root.clientWidth - Number.parseFloat(paddingLeft) - Number.parseFloat(paddingRight);
    if (!report || now <= 0 || now === width || !report.heads.length) return;
    width = now;
    paint();
  }

  /** Colour the atlas, as wide as the page is. */
  function paint() {
    const figure = report.figure(state.figure);
    if (!figure) return;
    parts.choice.value = figure.name;
    parts.definition.textContent = say(figure.definition);
    const { across } = parts.grids[0];
    const abreast = report.compared && across <= 16 && width > 1000 ? 3 : 1;
    const letters = Math.max(6, ...shortNames(report.layers.map(({ block }) => block)).names.map((name) => name.length));
    const names = Math.min(NAMES, 7 * letters + 12, Math.max(64, 0.24 * width));
    const full = (width - 28 * (abreast - 1)) / abreast - names - 8;
    // Beside small cells there is room for the legend; large atlases have it below.
    const room = abreast === 1 && !report.compared && width > 900 && across <= 24 ? full - BESIDE : full;
    root.classList.toggle("nsv-wide", room !== full);
    const size = cellSize(room, across);
    root.style.setProperty("--names", `${names}px`);
    const scale = figureScale(report.numbers(figure.name), figure.unit);
    const common = { figure, size, kept: state.kept, chosen: [state.layer, state.head] };
    const colours = scale.diverging ? tables.diverging : tables.sequential;
    for (const grid of parts.grids) grid.paint({ ...common, scale, table: colours });
    const bars = [createScaleBar(scale, colours, { unit: figure.unit, signed: false })];
    if (parts.change) {
      const changed = figureScale(report.changes(figure.name), figure.unit, true);
      parts.change.paint({ ...common, scale: changed, table: tables.diverging });
      bars.push(createScaleBar(changed, tables.diverging, { unit: figure.unit, signed: true }));
    }
    parts.scale.replaceChildren(...bars);
  }

  function chooseFigure(name) {
    state.figure = name;
    paint();
    const focused = /** @type {any} */ (root.getRootNode()).activeElement;
    const kept = focused instanceof HTMLElement && focused.classList.contains("nsv-figure") ? focused.dataset.figure : null;
    drawHead();
    if (kept) /** @type {HTMLElement|null} */ (root.querySelector(`.nsv-figure[data-figure="${CSS.escape(kept)}"]`))?.focus();
  }

  function chooseHead(layer, head, survey = state.survey) {
    Object.assign(state, { layer, head, survey });
    paint();
    drawHead();
  }

  /** The address of parameters, on this server or on the one that the reader named. */
  const leadsTo = (parameters) => {
    if (app) return `./?${parameters}`;
    const server = serverOf(state.server);
    return server === null ? null : `${server}?${parameters}`;
  };

  function drawHead() {
    const { layer, head } = state;
    const at = report.layers[layer];
    const figure = report.figure(state.figure);
    if (!at || !figure) return;
    const title = at.heads > 1 ? say("{block}, head {head} of {heads}", { block: at.block, head: head + 1, heads: at.heads }) : at.block;
    const labels = report.surveys.map((_, survey) => report.label(survey, layer, head));
    const named = labels.map((found, survey) => (found ? element("div", { class: "nsv-label" },
      report.compared ? element("span", { class: `nsv-letter nsv-survey${survey}`, text: "AB"[survey] }) : null,
      labelMark(found.label, 14), element("b", { text: say(found.label) }),
      element("span", { text: say(found.why ?? "") }),
      found.certain === false ? element("span", { class: "nsv-unsure", text: found.other ? say("not certain: {other} in other draws of the clips", { other: say(found.other) }) : say("not certain") }) : null,
      typeof found.share === "number" ? element("span", { class: "nsv-dim", text: say("{percent} % of the clips alone would have this label", { percent: Math.round(100 * found.share) }) }) : null) : null));
    const groups = createGroups(report, figure, layer, head);
    const name = say(figure.label);
    parts.examples = element("div", {});
    parts.head.replaceChildren(element("h2", { text: title }), ...named.filter((one) => one !== null),
      element("div", { class: "nsv-columns" },
        element("div", {}, element("h3", { text: say("Figures") }), element("p", { class: "nsv-dim", text: say("Mean over clips with its 95 % interval; thin ticks are the other heads. Press a name to colour the atlas by it.") }),
          createFigureRows(report, layer, head, { chosen: figure.name, onChosen: chooseFigure })),
        element("div", { class: "nsv-side" }, element("h3", { text: say("{name} over the clips", { name }) }), createDistribution(report, figure, layer, head),
          ...(groups ? [element("h3", { text: say("{name} by label of the clips", { name }) }), groups] : []))),
      element("h3", { text: say("Clips to look at") }), surveySwitch(), serverField(), parts.examples);
    drawExamples();
  }

  function drawExamples() {
    parts.examples.replaceChildren(createExamples(report, state.survey, state.layer, state.head, leadsTo));
  }

  /** Of which survey clips are shown. */
  function surveySwitch() {
    if (!report.compared) return "";
    const node = element("div", { class: "nlv-segments", role: "radiogroup", "aria-label": say("Survey") });
    const sync = () => node.replaceChildren(...report.surveys.map((survey, number) => {
      const button = element("button", { type: "button", role: "radio", "aria-checked": String(number === state.survey), text: `${"AB"[number]} · ${survey.name}` });
      button.addEventListener("click", () => {
        state.survey = number;
        sync();
        drawExamples();
        /** @type {HTMLElement} */ (node.children[number]).focus();
      });
      return button;
    }));
    sync();
    return node;
  }

  /** Where links lead, on a page that is a file. */
  function serverField() {
    if (app) return element("p", { class: "nsv-dim", text: say("Each clip opens the live view at its query.") });
    const field = element("input", { type: "url", name: "server", value: state.server, size: 26, spellcheck: "false", "aria-label": say("Address of the app") });
    const command = `nlviz app ${report.surveys.map(({ name }) => name).join(" ")}`;
    field.addEventListener("input", () => {
      state.server = field.value;
      field.setAttribute("aria-invalid", String(serverOf(field.value) === null));
      drawExamples();
    });
    return element("p", { class: "nsv-dim nsv-server" }, say("Each clip opens the live view at its query, in the app at"), " ", field, " ",
      say("Start it where the survey lies:"), " ", element("code", { text: command }));
  }

  return {
    show, timings, receive: () => {},
    destroy: () => {
      life.abort();
      watcher.disconnect();
    },
  };
}
