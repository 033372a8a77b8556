// Every head of a small network on the learner's text: one to pick, or heads to switch off and what is then written.

import { element } from "../../../shared/dom.js";
import { createTiles } from "../../figures/tiles.js";
import { attnColourBar, attnMeter, attnTextField, attnTextOf, attnWords, attnWriting } from "./attn_parts.js";
import { attnHead, attnNet, attnPosed, attnTests } from "./pure/attn_judges.js";
import { attnSpread } from "./pure/attn_rows.js";
import { seqRight, seqWritten } from "./pure/seq_net.js";

export function createAttnHeadsFigure(root, spec, data, { say, changed, state }) {
  const words = attnWords(spec, say);
  const net = attnNet(data, spec.net);
  const cutting = spec.mode === "cut";
  let text = attnTextOf(state?.text, net.spec, spec) ?? spec.text;
  const keys = Object.keys(net.run(attnPosed(net, text)).blocks).flatMap((name) => Array.from({ length: net.heads }, (_, h) => `${name}:${h}`));
  let selected = keys.includes(state?.selected) ? state.selected : null;
  const off = new Set((Array.isArray(state?.off) ? state.off : []).filter((key) => keys.includes(key)));

  const field = attnTextField({ words, spec, task: () => net.spec, text: () => text, changed: (value) => act(() => { text = value; }) });
  const writing = attnWriting(words);
  const meter = attnMeter(words("right"), "large");
  const tiles = createTiles(data, {
    label: words("maps"), name: cutting ? "off" : "head", side: 150, chosen: (key) => act(() => {
      if (!cutting) selected = key;
      else if (!off.delete(key)) off.add(key);
    }),
  });
  tiles.element.classList.add(cutting ? "nlesson-attention-cut" : "nlesson-attention-pick");
  const colours = attnColourBar(data);
  const legend = element("p", { class: "nlesson-said" }, colours.node, " ", words("axes"));
  root.append(...(cutting ? [meter.node] : []), writing.node, tiles.element, legend, field.node);

  function act(change) {
    change();
    draw();
    changed();
  }

  function draw() {
    const posed = attnPosed(net, text);
    const pass = net.run(posed, off);
    const scale = tiles.draw(keys.map((key) => {
      const { block: name, head } = attnHead(key);
      const block = pass.blocks[name];
      const size = block.n * block.m;
      return {
        id: key, name: words("head", { block: say(spec.words[name]), head: head + 1 }), rows: block.n, columns: block.m,
        values: block.rows.subarray(head * size, (head + 1) * size),
        note: off.has(key) ? words("off") : words("spread", { keys: attnSpread(block, head) }),
      };
    }), { pressed: cutting ? [...off] : selected ?? "" });
    colours.show(scale.hi);
    writing.show(net.spec, posed, seqWritten(pass));
    if (cutting) {
      const right = seqRight(net, attnTests(net, data.head), off);
      meter.show(right, words("share", { right }));
    }
  }

  draw();
  return {
    state: () => ({ text, ...(cutting ? { off: [...off] } : { selected }) }),
    reading: () => ({ net: spec.net, text, selected, off: [...off] }),
    destroy: () => root.replaceChildren(),
  };
}
