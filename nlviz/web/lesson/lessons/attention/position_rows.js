// A row of one text beside the mean row of its position over other texts: what the place alone decides; and a
// row of a picture beside both terms of its logits.

import { element } from "../../../shared/dom.js";
import { createSegments } from "../../figures/field.js";
import { createTiles } from "../../figures/tiles.js";
import { attnBars, attnMeter, attnSymbols, attnTextField, attnTextOf, attnWords } from "./attn_parts.js";
import { attnBiasRows } from "./pure/attn_bias.js";
import { attnByPosition, attnNet, attnPosed } from "./pure/attn_judges.js";
import { attnCommon, attnEffective } from "./pure/attn_rows.js";
import { seqTokens } from "./pure/seq_tasks.js";

export function createAttnPositionFigure(root, spec, data, { say, changed, state }) {
  const words = attnWords(spec, say);
  const ids = Object.keys(spec.heads);
  let id = ids.includes(state?.head) ? state.head : spec.head;
  const ofTexts = ids.filter((of) => spec.heads[of].net);
  const task = (of) => attnNet(data, spec.heads[of].net).spec;
  const texts = Object.fromEntries(ofTexts.map((of) => [of, attnTextOf(state?.texts?.[of], task(of), spec) ?? spec.heads[of].text]));
  const queries = Object.fromEntries(ofTexts.map((of) => [of, asked(of).includes(state?.queries?.[of]) ? state.queries[of] : asked(of)[1]]));

  /** Places of the target whose rows are looked at: those that are for the network to write. */
  function asked(of) {
    const posed = attnPosed(attnNet(data, spec.heads[of].net), texts[of]);
    return posed.counts.flatMap((counts, i) => (counts && i < posed.wanted.length - 1 ? [i] : []));
  }

  const choice = createSegments({
    name: "head", label: words("heads"), value: id, choices: ids.map((of) => ({ value: of, text: say(spec.heads[of].name) })),
    moved: (value) => act(() => { id = value; }),
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
  const ofText = element("div", { class: "nlesson-drawn" }, field.node, symbols.node, own.node, mean.node, meter.node);
  const { rows, columns } = data.head.bias;
  const cells = rows * columns;
  let cell = Number.isInteger(state?.cell) && state.cell >= 0 && state.cell < cells ? state.cell : Math.floor(rows / 2) * columns + Math.floor(columns / 2);
  const maps = createTiles(data, {
    label: words("maps"), name: "cell", side: 150, pointed: (_, row, column) => act(() => { cell = row * columns + column; }),
  });
  const meters = ["content", "position"].map((name) => ({ name, ...attnMeter(words(name)) }));
  const ofPicture = element("div", { class: "nlesson-drawn" }, maps.element, element("h3", { text: words("in_row") }), ...meters.map(({ node }) => node));
  root.append(choice.element, ofText, ofPicture);

  function act(change) {
    change();
    draw();
    changed();
  }

  function draw() {
    ofText.hidden = !spec.heads[id].net;
    ofPicture.hidden = !ofText.hidden;
    if (ofPicture.hidden) drawText();
    else drawPicture();
  }

  function drawText() {
    field.show();
    const { posed, row, mean: place, common } = attnByPosition(data, spec.heads[id], texts[id], queries[id]);
    const tokens = seqTokens(task(id));
    symbols.show(posed.wanted.map((symbol) => tokens[symbol]), queries[id], (i) => posed.counts[i] && i < posed.wanted.length - 1);
    const source = posed.source.map((symbol) => tokens[symbol]);
    const best = row.indexOf(Math.max(...row));
    own.show(source, row, words("strongest", { symbol: source[best], place: best + 1, weight: row[best] }), posed.partner[queries[id]]);
    mean.show(source.map((_, i) => String(i + 1)), place, "");
    meter.show(common, words("share", { common }));
  }

  /** The row of a cell of a picture, and what content and position alone would make of it. */
  function drawPicture() {
    const found = attnBiasRows(data, spec.heads[id].of_bias, cell);
    const ground = data.array("bias.picture").data;
    maps.draw(["both", "content", "position"].map((name) => ({
      id: name, name: words(`${name}_map`), note: words("spread", { keys: attnEffective(found[name]), cells }), rows, columns,
      values: found[name], ground, query: [Math.floor(cell / columns), cell % columns],
    })));
    for (const { name, show } of meters) {
      const common = attnCommon(found.both, found[name]);
      show(common, words("share", { common }));
    }
  }

  draw();
  const told = () => ({ head: id, texts: { ...texts }, queries: { ...queries }, cell });
  return { state: told, reading: told, destroy: () => root.replaceChildren() };
}
