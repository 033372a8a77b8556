// MUSE's layers with branches that can be switched off: what is then still right, and how much each branch adds.

import { element } from "../../../shared/dom.js";
import { createSegments } from "../../figures/field.js";
import { attnMeter, attnSwitch, attnWords, attnWriting } from "./attn_parts.js";
import { attnNet, attnTests } from "./pure/attn_judges.js";
import { seqRight, seqWritten } from "./pure/seq_net.js";

const ATTN_BRANCHES = ["attention", "convolutions", "feed"];

export function createAttnBranchesFigure(root, spec, data, { say, changed, state }) {
  const words = attnWords(spec, say);
  const ids = Object.keys(spec.nets);
  let id = ids.includes(state?.task) ? state.task : spec.task;
  const off = new Set((Array.isArray(state?.off) ? state.off : []).filter((name) => ATTN_BRANCHES.includes(name)));

  const choice = createSegments({
    name: "task", label: words("task"), value: id, choices: ids.map((of) => ({ value: of, text: words(of) })),
    moved: (value) => act(() => { id = value; }),
  });
  const switches = ATTN_BRANCHES.map((name) => attnSwitch({
    name: "branch", value: name, label: words(name), on: () => !off.has(name), changed: (on) => act(() => {
      if (on) off.delete(name);
      else off.add(name);
    }),
  }));
  const meter = attnMeter(words("right"), "large");
  const said = element("p", { class: "nlesson-said" });
  const writing = attnWriting(words);
  const lengths = element("div", { class: "nlesson-attention-lengths" });
  root.append(choice.element,
    element("div", { class: "nlesson-controls", role: "group", "aria-label": words("branches") }, element("span", { text: words("branches") }), ...switches.map(({ node }) => node)),
    meter.node, element("h3", { text: words("lengths") }), lengths, said, writing.node);

  function act(change) {
    change();
    draw();
    changed();
  }

  function draw() {
    const net = attnNet(data, spec.nets[id]);
    const texts = attnTests(net, data.head);
    const right = seqRight(net, texts, off);
    meter.show(right, words("share", { right }));
    said.textContent = words("of_texts", { texts: texts.length });
    const [shown] = texts;
    const pass = net.run(shown, off);
    writing.show(net.spec, shown, seqWritten(pass));
    const most = Math.max(...Object.values(net.run(shown).norms).flatMap((norms) => Object.values(norms)));
    lengths.replaceChildren(...Object.entries(pass.norms).map(([layer, norms]) => element("section", {},
      element("h4", { text: words(layer) }),
      ...Object.entries(norms).map(([name, norm]) => {
        const bar = attnMeter(words(name));
        bar.show(Math.min(1, norm / most), norm ? norm.toFixed(1) : words("off"));
        return bar.node;
      }))));
  }

  draw();
  const told = () => ({ task: id, off: [...off] });
  return { state: told, reading: told, destroy: () => root.replaceChildren() };
}
