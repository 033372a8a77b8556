// What is right in "From patches to features", computed from the clip's truth and the learner's query.

import { FEATURE_LIGHTS, featureRows } from "./rows.js";

const FEATURES_ALIKE = 0.02; // shares that differ by less are called alike
const FEATURE_KEYS = ["nl_means", "features", "learned"];

const asPlace = ([frame, y, x]) => ({ frame, y, x });

/** The shares on the same object of the three affinities at one query. */
function sharesAt(data, light, query) {
  const rows = featureRows(data);
  return Object.fromEntries(FEATURE_KEYS.map((key) => [key, rows.row(light, key, query).same]));
}

/** Find a query on an object whose row of patches goes elsewhere for the larger part. */
export function judgeStrayPatches({ state, data }) {
  const found = featureRows(data).row(state.light, "nl_means", asPlace(state.query));
  const values = { same: found.same, twin: found.twin, elsewhere: Math.max(0, 1 - found.same - found.twin) };
  if (!found.object) return { right: false, say: "background", values };
  const right = found.same < 0.5;
  return { right, say: right ? "right" : "same", values };
}

/** What the shares of patches and features lose where the light changes, at the learner's query. */
export function judgeDarkerLight({ given, state, data }) {
  const { object } = featureRows(data).cellAt(asPlace(state.query));
  const [filmed, darker] = FEATURE_LIGHTS.map((light) => sharesAt(data, light, asPlace(state.query)));
  const lost = { patches: filmed.nl_means - darker.nl_means, features: filmed.features - darker.features };
  const values = {
    patches_before: filmed.nl_means, patches_after: darker.nl_means,
    features_before: filmed.features, features_after: darker.features,
    patches_lost: lost.patches, features_lost: lost.features,
  };
  if (!object) return { right: false, say: "background", values };
  if (Math.abs(lost.patches - lost.features) < FEATURES_ALIKE) return { right: false, say: "alike", values };
  const right = given === (lost.patches > lost.features ? "patches" : "features");
  return { right, say: right ? "right" : "wrong", values };
}

/** The mean over some cells of a measure: 0 the same object, 1 its twin, 2 the largest weight's place. */
function meanFeatureShare(data, light, key, measure, of) {
  const { data: shares, shape } = data.array("shares");
  const cells = data.array("labels.cells").data;
  const start = ((FEATURE_LIGHTS.indexOf(light) * shape[1] + FEATURE_KEYS.indexOf(key)) * shape[2] + measure) * shape[3];
  let sum = 0;
  let count = 0;
  for (let n = 0; n < shape[3]; n++) {
    if (!of(cells[n], n)) continue;
    sum += shares[start + n];
    count += 1;
  }
  return { mean: sum / count, count };
}

/** How often the largest weight of a query on a cup lies on that cup and not on its twin. */
export function judgeTwinCups({ given, data }) {
  const cups = (object) => data.head.twins[object] > 0;
  const patches = meanFeatureShare(data, "filmed", "nl_means", 2, cups);
  const raw = meanFeatureShare(data, "filmed", "features", 2, cups);
  const values = { patches: patches.mean, features: raw.mean, cups: raw.count };
  const truth = raw.mean > 0.98 ? "always" : raw.mean > patches.mean + 0.1 ? "more" : "same";
  return { right: given === truth, say: given === truth ? "right" : given === "always" ? "too-much" : "too-little", values };
}

/** On how many cells of objects the learned affinity gives more to the same object than raw features. */
export function learnedWins(data) {
  const { data: shares, shape } = data.array("shares");
  const cells = data.array("labels.cells").data;
  const each = shape[2] * shape[3];
  let wins = 0;
  let count = 0;
  for (let n = 0; n < shape[3]; n++) {
    if (!cells[n]) continue;
    count += 1;
    if (shares[2 * each + n] > shares[each + n]) wins += 1;
  }
  return { wins, count };
}

/** How often learning won: nearly always, more often than not, or seldom. */
export function judgeLearnedWins({ given, state, data }) {
  const { wins, count } = learnedWins(data);
  const share = wins / count;
  const truth = share > 0.9 ? "always" : share > 0.5 ? "more" : "seldom";
  const tries = state.tried.length;
  const own = state.tried.filter((cell) => cellWins(data, cell)).length;
  const values = { wins, count, share, tries, own };
  if (tries < 3) return { right: false, say: "few", values };
  return { right: given === truth, say: given === truth ? "right" : "wrong", values };
}

/** Whether the learned affinity gives more to the same object than raw features, at one cell. */
export function cellWins(data, cell) {
  const { data: shares, shape } = data.array("shares");
  const each = shape[2] * shape[3];
  return shares[2 * each + cell] > shares[each + cell];
}

/** Find a query on an object where one of the three is right and another wrong. */
export function judgeDisagreement({ state, data, spec }) {
  const { object } = featureRows(data).cellAt(asPlace(state.query));
  const shares = sharesAt(data, state.light, asPlace(state.query));
  const values = { patches: shares.nl_means, features: shares.features, learned: shares.learned };
  if (!object) return { right: false, say: "background", values };
  const all = Object.values(shares);
  const right = Math.max(...all) >= spec.figure.high && Math.min(...all) <= spec.figure.low;
  if (!right) return { right, say: Math.max(...all) < spec.figure.high ? "none-high" : "none-low", values };
  return { right, say: "right", values };
}

/** In which frames learning theta and phi adds more than features added to patches. */
export function judgeLearnedGain({ given, data }) {
  const top = data.head.benchmark.top1;
  const gain = (frames, from, to) => top[frames][to][0] - top[frames][from][0];
  const more = ["clean", "noisy"].filter((frames) => gain(frames, "features", "learned") > gain(frames, "nl_means", "features"));
  const truth = more.length === 2 ? "both" : more[0] ?? "neither";
  const values = {
    clean_features: 100 * gain("clean", "nl_means", "features"), clean_learned: 100 * gain("clean", "features", "learned"),
    noisy_features: 100 * gain("noisy", "nl_means", "features"), noisy_learned: 100 * gain("noisy", "features", "learned"),
  };
  return { right: given === truth, say: given === truth ? "right" : "wrong", values };
}
