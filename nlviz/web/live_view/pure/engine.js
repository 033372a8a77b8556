// From a query and a view to everything that is drawn: the row, its scale, its strongest keys.

import { logitScale, rowScale } from "./colour.js";
import { clipFrame, gridSize, nearestToken, tokenCentre, tokenFrames } from "./grid.js";
import { differenceRows } from "./difference_rows.js";
import { patchRows } from "./patch_rows.js";
import { embeddedRows, leaveOut } from "./rows.js";
import { gridOfBox, supportOf } from "./support.js";
import { topIndices } from "./top_k.js";
import { windowRows } from "./window_rows.js";

const RANK_SHARE = 0.004;
const MOST_LINKS = 512;

/**
 * Computes rows of a container, reusing its arrays from call to call.
 * @param {{head: object, array: function}} container what unpack returned
 */
export function createEngine(container) {
  const { head, array } = container;
  const frames = head.clip.frames;
  const sources = new Map();

  function source(key) {
    const spec = head.sources.find((s) => s.key === key) ?? head.sources[0];
    const known = sources.get(spec.key);
    if (known) return known;
    const made = { spec, support: supportOf(spec), rows: rowsOf(spec), from: null, to: null, room: null };
    made.canColumn = made.rows !== null && made.rows.column !== null;
    if (made.support.local) made.room = roomFor(made.support.most, spec.keys.shape[0]);
    else made.from = sideOf(spec.keys);
    if (made.canColumn) made.to = sideOf(spec.queries);
    sources.set(spec.key, made);
    return made;
  }

  function rowsOf(spec) {
    if (spec.server) return null;
    if (spec.kind === "difference") return differenceRows(spec, source(spec.of).rows, array);
    if (spec.kind === "patch") return patchRows(spec, array);
    return supportOf(spec).local ? windowRows(spec, array) : embeddedRows(spec, array);
  }

  /** Arrays for maps of so many cells in so many planes, allocated once. */
  function roomFor(size, planes) {
    return {
      values: new Float32Array(size),
      sizes: new Float32Array(size),
      planeMass: new Float64Array(planes),
      planeBest: new Int32Array(planes),
      planeMost: new Float64Array(planes),
      mass: new Float64Array(frames),
      best: new Int32Array(frames),
      order: new Int32Array(MOST_LINKS),
      ranked: new Int32Array(32),
      sorted: [],
    };
  }

  /** Everything that depends on the grid a map is laid on, in new arrays or in those of a room. */
  function sideOf(grid, room = roomFor(gridSize(grid), grid.shape[0])) {
    const covers = tokenFrames(grid, frames);
    const shared = new Int32Array(grid.shape[0]);
    for (const a of covers) if (a >= 0) shared[a]++;
    const size = gridSize(grid);
    const fitted = { values: room.values.subarray(0, size), sizes: room.sizes.subarray(0, size) };
    return { ...room, ...fitted, grid, covers, shared };
  }

  /** Row of a server source where the container carries it, else null. */
  function carriedRow(spec, token) {
    if (!spec.row || nearestToken(spec.queries, head.query) !== token) return null;
    return array(spec.row);
  }

  function fill(made, side, token, view, column, box) {
    const { spec, rows } = made;
    if (rows) {
      const compute = column ? rows.column : rows.row;
      return compute(side.values, token, view.head, view.values, box);
    }
    const carried = carriedRow(spec, token);
    if (!carried) return null;
    const size = side.values.length;
    const heads = carried.data.length / size;
    side.values.fill(0);
    for (let n = 0; n < heads; n++) {
      for (let j = 0; j < size; j++) side.values[j] += carried.data[n * size + j] / heads;
    }
    return { from: 0, to: size, logC: NaN, apart: spec.row_apart ?? 0 };
  }

  function compute(query, view) {
    const made = source(view.source);
    const { spec, support } = made;
    const column = view.direction === "to" && made.canColumn;
    const asked = column ? spec.keys : spec.queries;
    const token = nearestToken(asked, query);
    // A window is a grid of its own, so that nothing below passes over the rest.
    const box = support.local ? support.reached(token) : null;
    const side = box ? sideOf(gridOfBox(spec.keys, box), made.room) : column ? made.to : made.from;
    const filled = fill(made, side, token, view, column, box);
    if (!filled) return { waiting: true, spec, token, asked };
    const logits = view.values === "logits" && !spec.server && !spec.difference;
    const own = nearestToken(side.grid, tokenCentre(asked, token));
    const result = {
      waiting: false, spec, token, asked, column, logits, own, box,
      side, grid: side.grid, values: side.values, logC: filled.logC,
      from: filled.from, to: filled.to, skipFrom: 0, skipTo: 0,
      // What goes to keys without a place: class token, registers.
      apart: filled.apart ?? 0,
      leftOut: view.leave_out, excluded: 0, signed: spec.signed, difference: Boolean(spec.difference),
      // Differences of rows that sum to 1 sum to 0: what one key gains another loses.
      balanced: Boolean(spec.balanced) && !column && (view.head !== "max" || spec.heads === 1),
    };
    skipOwn(result, view.leave_out);
    const keysReached = column ? gridSize(spec.keys) : result.to - result.from;
    const skipped = column || result.difference ? 0 : result.skipTo - result.skipFrom;
    result.uniform = 1 / Math.max(1, keysReached - skipped);
    result.count = result.to - result.from - (result.skipTo - result.skipFrom);
    measure(result, view);
    result.scale = scaleOf(result, view);
    return result;
  }

  /** Marks the own cell or frame as left out and, in a row, renormalises the rest. */
  function skipOwn(result, what) {
    if (what === "nothing") return;
    const plane = result.grid.shape[1] * result.grid.shape[2];
    const start = what === "cell" ? result.own : Math.floor(result.own / plane) * plane;
    const end = what === "cell" ? start + 1 : start + plane;
    result.skipFrom = Math.max(start, result.from);
    result.skipTo = Math.max(result.skipFrom, Math.min(end, result.to));
    if (result.logits) return;
    const { values, from, to, skipFrom, skipTo, spec, column } = result;
    if (!column && !result.difference) {
      const left = leaveOut(values, from, to, skipFrom, skipTo, spec.softmax, result.apart);
      result.excluded = left.excluded;
      result.apart *= left.scale;
      // C(x) runs over the keys that are left.
      if (spec.softmax) result.logC += Math.log(Math.max(1 - result.excluded, Number.MIN_VALUE));
      return;
    }
    let out = 0;
    let all = 0;
    for (let j = from; j < to; j++) all += Math.abs(values[j]);
    for (let j = skipFrom; j < skipTo; j++) out += Math.abs(values[j]);
    result.excluded = all > 0 ? out / all : 0;
  }

  /** Mass and strongest key of every frame, extremes, and the strongest keys of all. */
  function measure(result, view) {
    const { side, values, from, to, skipFrom, skipTo, own, grid } = result;
    const plane = grid.shape[1] * grid.shape[2];
    let total = 0;
    let gain = 0;
    let least = Infinity;
    let most = -Infinity;
    for (let a = 0; a < grid.shape[0]; a++) {
      let mass = 0;
      let net = 0;
      let best = -1;
      let high = -Infinity;
      const end = Math.min((a + 1) * plane, to);
      for (let j = Math.max(a * plane, from); j < end; j++) {
        if (j >= skipFrom && j < skipTo) continue;
        const value = values[j];
        mass += value < 0 ? -value : value;
        net += value;
        if (j === own) continue;
        if (value > high) {
          high = value;
          best = j;
        }
        if (value < least) least = value;
      }
      if (high > most) most = high;
      total += mass;
      gain += (mass + net) / 2;
      side.planeMass[a] = result.balanced ? net : mass;
      side.planeBest[a] = best;
      side.planeMost[a] = high;
    }
    total += Math.abs(result.apart);
    result.total = total;
    result.apartShare = total > 0 && !result.logits ? result.apart / (result.balanced ? 1 : total) : 0;
    result.moved = gain + Math.max(result.apart, 0);
    result.least = Number.isFinite(least) ? least : 0;
    result.most = Number.isFinite(most) ? most : 0;
    const ownSkipped = own >= skipFrom && own < skipTo;
    const ownSize = ownSkipped || own < from || own >= to ? 0 : Math.abs(values[own]);
    result.ownShare = total > 0 && !result.logits && !result.difference ? ownSize / total : 0;
    result.mass = side.mass;
    result.best = side.best;
    for (let f = 0; f < frames; f++) {
      const a = side.covers[f];
      side.best[f] = a < 0 ? -1 : side.planeBest[a];
      const whole = result.balanced ? 1 : total;
      const share = a < 0 || total === 0 ? 0 : side.planeMass[a] / whole / side.shared[a];
      side.mass[f] = result.logits ? NaN : share;
    }
    // Gains and losses are small; their bars are shares of all that changes.
    result.barUnit = result.balanced ? side.mass.reduce((sum, share) => sum + Math.abs(share), 0) || 1 : 1;
    const limits = { from, to, skipFrom, skipTo, own };
    result.order = side.order;
    result.found = topIndices(values, Math.max(32, Math.min(view.links, MOST_LINKS)), side.order, limits);
    result.half = frames === 1 && !result.logits ? halfCount(result) : NaN;
  }

  /** How many of the strongest cells carry half of the weight on cells (for pictures only). */
  function halfCount({ side, values, from, to, total, apart, skipFrom, skipTo }) {
    let kept = 0;
    for (let j = from; j < to; j++) {
      if (j < skipFrom || j >= skipTo) side.sizes[kept++] = Math.abs(values[j]);
    }
    const sizes = side.sizes.subarray(0, kept).sort(); // ascending, without a comparison in script
    let sum = 0;
    let n = 0;
    while (n < kept && sum < (total - Math.abs(apart)) / 2) sum += sizes[kept - ++n];
    return n;
  }

  function scaleOf(result, view) {
    if (result.logits) return logitScale(result.least, result.most);
    const { side, values, order, found, signed, uniform } = result;
    const rank = Math.min(24, Math.max(4, Math.round(RANK_SHARE * result.count)));
    side.sorted.length = 0;
    if (signed && result.least < 0) {
      for (let j = 0; j < values.length; j++) side.sizes[j] = Math.abs(values[j]);
      const kept = topIndices(side.sizes, rank + 1, side.ranked, result);
      for (let n = 0; n < kept; n++) side.sorted.push(side.sizes[side.ranked[n]]);
    } else {
      for (let n = 0; n < Math.min(found, rank + 1); n++) side.sorted.push(values[order[n]]);
    }
    return rowScale({
      sorted: side.sorted, rank, least: result.least, most: result.most,
      unit: uniform, signed, fixed: view.scale === "locked" ? view.top : null,
      floor: result.spec.softmax ? 1 : 0,
    });
  }

  /** Frame of the clip in which a token of the map is shown. */
  const frameOf = (result, index) => clipFrame(result.grid, index, frames);

  return { head, array, source, compute, frameOf };
}
