// What stands around the atlas: what the surveys are, clips that failed, and all definitions.

import { element } from "../shared/dom.js";
import { say } from "../shared/language.js";

const MOST_FAILURES = 200;

/** Facts of one survey, a line each. */
function factsOf(survey) {
  const { done = 0, failed = 0, same = 0 } = survey.clips ?? {};
  const versions = Object.entries(survey.versions ?? {}).map(([name, version]) => `${name} ${version}`).join(", ");
  const sampling = Object.entries(survey.sampling ?? {}).filter(([, value]) => value !== null && value !== 0).map(([name, value]) => `${name} ${value}`).join(", ");
  return [
    [say("Network"), survey.model],
    [say("Weights"), survey.weights ? `sha256 ${String(survey.weights).slice(0, 12)}…` : ""],
    [say("Clips"), [say("{done} looked at", { done: done.toLocaleString("en") }), failed ? say("{failed} failed", { failed }) : "", same ? say("{same} the same as another", { same }) : ""].filter(Boolean).join(", ")],
    [say("Queries"), survey.queries === undefined ? "" : say("{queries} in each clip, seed {seed}", { queries: survey.queries, seed: survey.seed ?? "–" })],
    [say("Frames"), sampling || say("as the network was trained")],
    [say("Ended"), survey.ended ? String(survey.ended).replace("T", " ").slice(0, 16) : say("not yet")],
    [say("Made by"), [survey.engine, versions].filter(Boolean).join(", ")],
  ].filter(([, text]) => text);
}

/** Build the head of the page: name, facts, and notes. */
export function createSurveyHead(report) {
  const name = report.compared ? say("Two surveys side by side") : say("Survey of {model}", { model: report.surveys[0]?.model ?? "" });
  const columns = report.surveys.map((survey, number) => element("section", { class: "nsv-about" },
    report.compared ? element("h2", {}, element("span", { class: `nsv-letter nsv-survey${number}`, text: "AB"[number] }), ` ${survey.name}`) : null,
    element("dl", {}, ...factsOf(survey).map(([term, text]) => element("div", {}, element("dt", { text: term }), element("dd", { text }))))));
  return element("header", { class: "nsv-head" }, element("h1", { text: name }),
    report.compared ? null : element("p", { class: "nsv-dim", text: report.surveys[0]?.name ?? "" }),
    element("div", { class: "nsv-abouts" }, ...columns),
    report.notes.length ? element("ul", { class: "nsv-notes" }, ...report.notes.map((text) => element("li", { text: say(text) }))) : null);
}

/** Build the table of clips that failed; null where none did. */
export function createFailures(report) {
  if (!report.failures.length) return null;
  const left = report.failures.length - MOST_FAILURES;
  return element("section", {}, element("h2", { text: say("Clips that failed") }),
    element("div", { class: "nsv-scroll", tabindex: "0", role: "region", "aria-label": say("Clips that failed") },
      element("table", { class: "nsv-failures" },
        element("thead", {}, element("tr", {}, ...[say("Clip"), say("Fault"), say("Reason")].map((text) => element("th", { scope: "col", text })))),
        element("tbody", {}, ...report.failures.slice(0, MOST_FAILURES).map(({ survey, name, fault, reason }) => element("tr", {},
          element("th", { scope: "row", text: report.compared && survey !== undefined ? `${"AB"[survey]} · ${name}` : name }), element("td", { text: say(fault ?? "") }), element("td", { text: reason ?? "" })))))),
    left > 0 ? element("p", { class: "nsv-dim", text: say("{left} more are in the table of clips.", { left }) }) : null);
}

/** Build the list of what every figure is. */
export function createDefinitions(report) {
  return element("section", { class: "nsv-definitions" }, element("h2", { text: say("What each figure is") }),
    element("p", { class: "nsv-dim", text: say("A figure of a head is the mean over clips of the clip's mean; its interval holds 95 % of the means of clips drawn again (bootstrap over clips, not over queries).") }),
    element("dl", {}, ...report.figures.map((figure) => element("div", {}, element("dt", { text: say(figure.label) }), element("dd", { text: say(figure.definition) })))));
}
