// f of equation (1) as HTML, for every pairwise function and part.

import { say, texts } from "../../shared/language.js";
import { alongText, numberText } from "./words.js";

/** f of each pairwise function, as HTML for the equation's legend. */
export const PAIRWISE = {
  gaussian: { f: "exp(x<sub>i</sub>·x<sub>j</sub>)", name: texts("Gaussian") },
  embedded_gaussian: { f: "exp(θ<sub>i</sub>·φ<sub>j</sub>)", name: texts("embedded Gaussian") },
  dot_product: { f: "θ<sub>i</sub>·φ<sub>j</sub>", name: texts("dot product") },
  cosine: { f: "x<sub>i</sub>·x<sub>j</sub> / |x<sub>i</sub>||x<sub>j</sub>|", name: texts("cosine similarity") },
  concatenation: { f: "ReLU(w·[θ<sub>i</sub>, φ<sub>j</sub>])", name: texts("concatenation") },
  nl_means: { f: "exp(−|P<sub>i</sub>−P<sub>j</sub>|²/h²)", name: texts("non-local means") },
  effective_operator: { f: "A<sub>ij</sub>", name: texts("effective operator"), means: texts(": no likeness, but how much of the value at j the network's layer put into the output at i in this pass") },
  graph_attention: { f: "exp(LeakyReLU(a·[Wh<sub>i</sub>, Wh<sub>j</sub>]))", name: texts("graph attention"), means: texts(", over the edges into i: one ranking of the nodes for all i") },
  graph_attention_v2: { f: "exp(a·LeakyReLU(W[h<sub>i</sub>, h<sub>j</sub>]))", name: texts("graph attention, second form"), means: texts(", over the edges into i: every node ranks its neighbours itself") },
  bilateral: { f: "exp(−|i−j|²/2s²) exp(−|x<sub>i</sub>−x<sub>j</sub>|²/h²)", name: texts("bilateral") },
};

/** f of the parts of the exact split, about the query or shared by all: mu are means over queries and over keys. */
const PARTS_F = {
  query: { gaussian: "exp((x<sub>i</sub>−μ)·(x<sub>j</sub>−μ′))", embedded_gaussian: "exp((θ<sub>i</sub>−μ<sub>θ</sub>)·(φ<sub>j</sub>−μ<sub>φ</sub>))" },
  shared: { gaussian: "exp(μ·x<sub>j</sub>)", embedded_gaussian: "exp(μ<sub>θ</sub>·φ<sub>j</sub>)" },
};

/** {f, name} of a source, for the equation's legend. */
export function formulaOf(spec) {
  if (spec.kind === "patch" && !spec.h) {
    return spec.spatial ? { f: "exp(−|i−j|²/2s²)", name: say("Gaussian of the distance") } : { f: "1", name: say("mean of the window") };
  }
  if (spec.kind === "patch" && spec.noise_bias) {
    return { f: "exp(−max(|P<sub>i</sub>−P<sub>j</sub>|²−2σ², 0)/h²)", name: say("non-local means") };
  }
  // Features play no part there: a Gaussian of the distance, whose width is matched to the block's rows.
  if (spec.key === "position") return { f: "exp(−|i−j|²/2s²)", name: say("Gaussian of the distance in the picture") };
  if (spec.context) return { f: "exp(u(x<sub>j</sub>))", name: say("global context: a number u for each key, whatever the query") };
  if (spec.layers) {
    const share = numberText(spec.residual);
    return { f: `[Π<sub>l</sub> (${share} I + ${numberText(1 - spec.residual)} A<sub>l</sub>)]<sub>ij</sub>`, name: say("rollout of {layers} layers, A<sub>l</sub> the mean over heads", { layers: spec.layers }) };
  }
  if (spec.layer?.kind === "together") return { f: "exp(θ<sub>i</sub>·φ<sub>j</sub>)", name: say("{along}: each with θ, φ and C of its own", { along: alongText(spec) }) };
  if (spec.layer?.kind === "in_turn") return { f: "Σ<sub>k</sub> a<sub>ik</sub> b<sub>kj</sub>", name: alongText(spec) };
  if (spec.term === "position") return { f: "exp(b<sub>ij</sub>)", name: say("position alone") };
  const kind = scaledKind(spec);
  const f = PARTS_F[spec.split]?.[spec.pairwise];
  if (!f && spec.bias && spec.softmax) {
    return { name: kind.name, f: kind.f.replace(/\)$/, " + b<sub>ij</sub>)"), means: say("{means}; b<sub>ij</sub> is what the network adds to the logits, for places or to hide keys", { means: kind.means ?? "" }) };
  }
  return f ? { f, name: say("{label} part", { label: say(spec.label).toLowerCase() }) } : kind;
}

/** f of a pairwise function with the factor of its logits, where that is not 1. */
function scaledKind({ pairwise, scale }) {
  const found = PAIRWISE[pairwise] ?? { f: "f", name: pairwise };
  const kind = { ...found, name: say(found.name), ...(found.means ? { means: say(found.means) } : {}) };
  const means = pairwise === "embedded_gaussian" ? { means: say(", the form of self-attention: θ makes queries and φ keys") } : {};
  const plain = !LINEAR.has(pairwise) || !Number.isFinite(scale) || Math.abs(scale - 1) < 1e-6;
  return { ...kind, ...means, f: plain ? kind.f : kind.f.replace(/^(exp\()?/, `$1${numberText(scale)} `) };
}

const LINEAR = new Set(["gaussian", "embedded_gaussian", "dot_product"]);
