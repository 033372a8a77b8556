// Where a learner is in a lesson, and how an address keeps it. No DOM.

const LONGEST = 400; // signs of a figure's state in an address

/**
 * @typedef {{screen: string, solved: string[], at: any, teacher: boolean}} Progress
 * screen: id of the screen; solved: ids of screens whose question was answered; at: the figure's state on
 * that screen, or null
 */

/**
 * Progress from the fields of an address; what is not of this lesson is left out.
 * @param {Record<string, string|null|undefined>} fields
 * @param {string[]} screens ids in their order
 * @returns {Progress}
 */
export function progressOf(fields, screens) {
  const screen = screens.includes(fields.screen ?? "") ? /** @type {string} */ (fields.screen) : screens[0];
  const solved = (fields.solved ?? "").split(",").filter((id) => screens.includes(id));
  let at = null;
  try {
    at = fields.at && fields.screen === screen ? JSON.parse(fields.at) : null;
  } catch {
    // An address that was cut: the screen opens as it is.
  }
  return { screen, solved: [...new Set(solved)], at: at !== null && typeof at === "object" ? at : null, teacher: fields.teacher === "1" };
}

/**
 * The fields that an address takes; what is as on a first visit takes none.
 * @param {Progress} progress
 * @param {string[]} screens
 */
export function fieldsOf({ screen, solved, at, teacher }, screens) {
  /** @type {Record<string, string>} */
  const fields = {};
  if (screen !== screens[0]) fields.screen = screen;
  if (solved.length) fields.solved = screens.filter((id) => solved.includes(id)).join(",");
  const kept = at === null ? "" : JSON.stringify(at);
  if (kept && kept !== "{}" && kept.length <= LONGEST) {
    fields.at = kept;
    fields.screen = screen;
  }
  if (teacher) fields.teacher = "1";
  return fields;
}
