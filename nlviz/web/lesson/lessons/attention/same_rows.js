// One row both ways: as the non-local block makes it, at a scale that the learner moves, and as self-attention.

import { element } from "../../../shared/dom.js";
import { createSlider } from "../../figures/field.js";
import { attnBars, attnSymbols, attnTextField, attnTextOf, attnWords } from "./attn_parts.js";
import { attnBothWays, attnNet } from "./pure/attn_judges.js";
import { attnApart, attnEffective, attnGathered } from "./pure/attn_rows.js";

export function createAttnSameRowsFigure(root, spec, data, { say, changed, state }) {
  const words = attnWords(spec, say);
  const { spec: task } = attnNet(data, spec.net);
  let text = attnTextOf(state?.text, task, spec) ?? spec.text;
  let query = Number.isInteger(state?.query) && state.query >= 0 && state.query < text.length ? state.query : Math.min(spec.query, text.length - 1);
  let scale = typeof state?.scale === "number" && state.scale >= 0 && state.scale <= spec.most_scale ? state.scale : spec.scale;

  const slider = createSlider({
    name: "scale", label: words("scale"), least: 0, most: spec.most_scale, step: spec.step, value: scale, write: (value) => value.toFixed(2),
    moved: (value) => act(() => { scale = value; }),
  });
  const field = attnTextField({
    words, spec, task: () => task, text: () => text, changed: (value) => act(() => {
      text = value;
      query = Math.min(query, text.length - 1);
    }),
  });
  const queries = attnSymbols({ name: "query", label: words("query"), changed: (i) => act(() => { query = i; }) });
  const ofBlock = attnBars(words("block"));
  const ofSelf = attnBars(words("attention"), "second");
  const told = element("p", { class: "nlesson-attention-sum", role: "status" });
  root.append(slider.element, ofBlock.node, ofSelf.node, told, queries.node, field.node);

  const reading = () => ({ net: spec.net, head: spec.head, text, query, scale });
  function act(change) {
    change();
    draw();
    changed();
  }

  function draw() {
    const { made, head, ofBlock: one, ofSelf: other } = attnBothWays(data, reading());
    const symbols = [...text];
    queries.show(symbols, query);
    const strongest = (row) => {
      const best = row.indexOf(Math.max(...row));
      return words("keys", { keys: attnEffective(row), key: symbols[best], weight: row[best] });
    };
    ofBlock.show(symbols, one, strongest(one), query);
    ofSelf.show(symbols, other, strongest(other), query);
    const gathered = attnApart(attnGathered(made, head, one), attnGathered(made, head, other));
    told.textContent = words("apart", { row: attnApart(one, other), y: gathered });
  }

  draw();
  return { state: () => ({ text, query, scale }), reading, destroy: () => root.replaceChildren() };
}
