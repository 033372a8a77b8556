// What is marked in a text: **bold**, *stressed*, `code`, and $formulas$ of a small kind.

const MARKED = /\*\*(.+?)\*\*|\*(.+?)\*|`(.+?)`|\$(.+?)\$/g;
const SIGNS = { sum: "Σ", theta: "θ", phi: "φ", sigma: "σ", tau: "τ", alpha: "α", beta: "β", cdot: "·", times: "×", sqrt: "√", exp: "exp", in: "∈", le: "≤", ge: "≥", infty: "∞" };

/**
 * Split a text into pieces.
 * @param {string} text
 * @returns {{kind: "text"|"bold"|"stressed"|"code"|"formula", text: string}[]}
 */
export function piecesOf(text) {
  /** @type {{kind: any, text: string}[]} */
  const pieces = [];
  let at = 0;
  for (const match of text.matchAll(MARKED)) {
    if (match.index > at) pieces.push({ kind: "text", text: text.slice(at, match.index) });
    const [whole, bold, stressed, code, formula] = match;
    if (bold !== undefined) pieces.push({ kind: "bold", text: bold });
    else if (stressed !== undefined) pieces.push({ kind: "stressed", text: stressed });
    else if (code !== undefined) pieces.push({ kind: "code", text: code });
    else pieces.push({ kind: "formula", text: formula });
    at = match.index + whole.length;
  }
  if (at < text.length) pieces.push({ kind: "text", text: text.slice(at) });
  return pieces;
}

/**
 * Split a formula into signs: variables in italics, numbers and words upright, what stands low or high.
 * @param {string} formula subscripts `_x` or `_{xy}`, superscripts `^x`, `\name` of a sign
 * @returns {{kind: "variable"|"upright"|"low"|"high", text: string}[]}
 */
export function signsOf(formula) {
  /** @type {{kind: any, text: string}[]} */
  const signs = [];
  let at = 0;
  /** One sign or one group in braces from here on, as text. */
  const group = () => {
    if (formula[at] === "{") {
      const end = formula.indexOf("}", at);
      if (end < 0) throw new Error(`a brace of the formula "${formula}" is not closed`);
      const inside = formula.slice(at + 1, end);
      at = end + 1;
      return named(inside);
    }
    const found = /^\\[a-z]+|^[\s\S]/iu.exec(formula.slice(at))?.[0] ?? "";
    at += found.length;
    return named(found);
  };
  while (at < formula.length) {
    const sign = formula[at];
    if (sign === "_" || sign === "^") {
      at += 1;
      signs.push({ kind: sign === "_" ? "low" : "high", text: group() });
      continue;
    }
    const text = group();
    // Several letters in a row are the name of a function.
    if (/^\p{L}$/u.test(text) && text !== "Σ") {
      const run = /^[a-z]+/i.exec(formula.slice(at))?.[0] ?? "";
      if (/^[a-z]$/i.test(text) && run) {
        at += run.length;
        signs.push({ kind: "upright", text: text + run });
      } else signs.push({ kind: "variable", text });
    } else signs.push({ kind: "upright", text });
  }
  return signs;
}

const named = (text) => text.replace(/\\([a-z]+)/gi, (whole, name) => SIGNS[name] ?? whole);
