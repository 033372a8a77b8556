// A row of one text beside the mean row of its position over other texts: what the place alone decides.

import { createSegments } from "../../figures/field.js";
import { attnBars, attnMeter, attnSymbols, attnTextField, attnTextOf, attnWords } from "./attn_parts.js";
import { attnByPosition, attnNet, attnPosed } from "./pure/attn_judges.js";
import { seqTokens } from "./pure/seq_tasks.js";

export function createAttnPositionFigure(root, spec, data, { say, changed, state }) {
  const words = attnWords(spec, say);
  const ids = Object.keys(spec.heads);
  let id = ids.includes(state?.head) ? state.head : spec.head;
  const task = (of) => attnNet(data, spec.heads[of].net).spec;
  const texts = Object.fromEntries(ids.map((of) => [of, attnTextOf(state?.texts?.[of], task(of), spec) ?? spec.heads[of].text]));
  const queries = Object.fromEntries(ids.map((of) => [of, asked(of).includes(state?.queries?.[of]) ? state.queries[of] : asked(of)[1]]));

  /** Places of the target whose rows are looked at: those that are for the network to write. */
  function asked(of) {
    const posed = attnPosed(attnNet(data, spec.heads[of].net), texts[of]);
    return posed.counts.flatMap((counts, i) => (counts && i < posed.wanted.length - 1 ? [i] : []));
  }

  const choice = createSegments({
    name: "head", label: words("heads"), value: id, choices: ids.map((of) => ({ value: of, text: say(spec.heads[of].name) })),
    moved: (value) => act(() => {
      id = value;
      field.show();
    }),
  });
  const field = attnTextField({
    words, spec, task: () => task(id), text: () => texts[id], changed: (value) => act(() => {
      texts[id] = value;
      if (!asked(id).includes(queries[id])) queries[id] = asked(id)[0];
    }),
  });
  const symbols = attnSymbols({ name: "query", label: words("query"), changed: (i) => act(() => { queries[id] = i; }) });
  const own = attnBars(words("own"));
  const mean = attnBars(words("mean", data.head.numbers), "second");
  const meter = attnMeter(words("common"));
  root.append(choice.element, field.node, symbols.node, own.node, mean.node, meter.node);

  function act(change) {
    change();
    draw();
    changed();
  }

  function draw() {
    const { posed, row, mean: place, common } = attnByPosition(data, spec.heads[id], texts[id], queries[id]);
    const tokens = seqTokens(task(id));
    symbols.show(posed.wanted.map((symbol) => tokens[symbol]), queries[id], (i) => posed.counts[i] && i < posed.wanted.length - 1);
    const source = posed.source.map((symbol) => tokens[symbol]);
    const best = row.indexOf(Math.max(...row));
    own.show(source, row, words("strongest", { symbol: source[best], place: best + 1, weight: row[best] }), posed.partner[queries[id]]);
    mean.show(source.map((_, i) => String(i + 1)), place, "");
    meter.show(common, words("share", { common }));
  }

  draw();
  const told = () => ({ head: id, texts: { ...texts }, queries: { ...queries } });
  return { state: told, reading: told, destroy: () => root.replaceChildren() };
}
