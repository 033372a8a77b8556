// What the browser's modules hand to one another. Types only: nothing of this is shipped to a page.

/** Frames, y, x. */
type Triple = [number, number, number];
/** Where tokens lie in the clip, as nlviz.affinity.grid.TokenGrid says it. */
interface Grid {
  shape: Triple; stride: Triple; origin: Triple; kind?: "grid" | "line" | "boxes" | "nodes"; words?: string[]; spans?: [number, number][];
  special?: number[]; boxes?: number[][]; places?: [number, number][]; names?: string[]; line?: Words | null;
}
/** Words, and the characters [start, end) of their text that each stands for; special ones were not written. */
interface Words { words: string[]; spans?: [number, number][]; special?: number[] }
/** A text and its tokens; spans count characters as Python does. */
interface Told { text: string; tokens: string[]; spans: [number, number][]; special?: number[] }
interface Clip extends Partial<Told> { name: string; frames: number; height: number; width: number; times: number[] }
/**
 * A position of the clip: frame, and pixels. A word beside the pictures is a number in its line; -1: no word.
 * across: where it asks, in another clip than the one that is shown.
 */
interface Query { frame: number; y: number; x: number; word?: number; across?: { frame: number; y: number; x: number } }
/**
 * A place under the pointer; px, py are CSS pixels of the stage. Over a text: its strip, the word of the
 * row there, and whether there is one that can be asked for.
 */
interface Place extends Query { px: number; py: number; large: boolean; strip?: number; key?: number; asks?: boolean }
/** CSS pixels of the stage. */
interface Rect { x: number; y: number; w: number; h: number }
interface Plan { width: number; height: number; large: Rect; tiles: Rect[]; beside: boolean }

/** Cells of a grid: frames a, rows b, columns c; the first one, and the one behind the last. */
interface Box { a0: number; a1: number; b0: number; b1: number; c0: number; c1: number }
interface Section { data: any; shape: number[] }
type ArrayOf = (name: string) => Section;

/** How a view is shown: the fields of nlviz.views.display.Display. */
interface View {
  source: string; head: number | "mean" | "max"; direction: string; show: string; links: number; cells: string;
  strength: number; values: string; leave_out: string; scale: string; top: number | null; unit: string; objects: string; token?: string; heads?: string; residual?: number; painted?: string;
}
interface Display { defaults: View; choices: Record<string, string[]>; most_links: number }

/** A source of the header: how its rows are made, see payloads/sources.py. */
interface Spec {
  key: string; label: string; note: string; kind: string; pairwise: string; signed: boolean; softmax: boolean;
  part: boolean; split: "query" | "shared" | null; reach: string; bias?: { kind: string; values: string } | null; difference: boolean; balanced: boolean; heads: number; queries: Grid; keys: Grid; support: any;
  prefix: number; prefix_name: string; server: boolean; tokens?: Token[]; layer?: Layer; layers?: number; residual?: number;
  pending?: boolean; waits?: string; [more: string]: any;
}
/** A token without a place that a row can be asked for; own where each frame has one. */
interface Token { name: string; own: boolean }
/** How products of one layer are put together, and what each runs along. */
interface Layer { kind: "together" | "in_turn"; along: string[] }
interface Ground { kept: number; veil: number; ink: number[] }
interface Detected {
  frame: number; name: string; score: number; box: number[]; centre: [number, number];
  outlines: number[][][]; keypoints: (number[] | null)[]; limbs: [number, number][];
}
interface Head {
  language?: string;
  clip: Clip; model: any; block: any; sources: Spec[]; query: Query; query_rule: string; pinned?: boolean; view: Partial<View>;
  display: Display; pictures: { kind?: string; sections: string[] }; text?: Told | null; colours: { sequential: string; diverging: string; ground: Ground };
  objects: Detected[]; channel: string | null; pixels?: Pixels; lens?: LensHead; notes?: string[];
}
interface Container { head: Head; array: ArrayOf }
type Pictures = { colour: ImageBitmap; ground: ImageBitmap }[];
/** Colours and opacities, (256, 4) RGBA each. */
interface Lut { sequential: Uint8Array; diverging: Uint8Array; ground: Ground }

/** What one product of a layer gives: to cells, to keys without a place, and to the query's own cell. */
interface Given { along: string; mass: number; apart: number; own: number }
/**
 * What fills a row (or column) in: the reached part, log C(x), what keys without a place get, and
 * where a row shows several products at once what each of them gives.
 */
interface Filled { from: number; to: number; logC: number; apart: number; parts?: Given[]; given?: Float32Array }
type Compute = (out: Float32Array, token: number, head: number | "mean" | "max", values: string, box?: Box | null) => Filled;
interface Rows { row: Compute; column: Compute | null; words?: any; apart?: (here: number[], there: number[]) => number }
interface Scale { lo: number; hi: number; floor: number; diverging: boolean; clipped: boolean; clippedBelow: boolean }
/** What the engine computes for a query, see pure/engine.js and pure/measure.js. */
interface Result {
  waiting: boolean; spec: Spec; token: number; asked: Grid; column: boolean; logits: boolean; own: number; box: Box | null;
  side: any; grid: Grid; values: Float32Array; logC: number; from: number; to: number; skipFrom: number; skipTo: number;
  apart: number; apartShare: number; leftOut: string; excluded: number; signed: boolean; difference: boolean; balanced: boolean;
  uniform: number; count: number; total: number; moved: number; least: number; most: number; ownShare: number;
  mass: Float64Array; best: Int32Array; barUnit: number; order: Int32Array; found: number; half: number; scale: Scale; named?: Token & { word?: number }; parts?: Given[] | null;
  words: Float32Array | null; ownWord: number;
}
interface Engine {
  head: Head; array: ArrayOf; source: (key: string) => any; compute: (query: Query, view: View) => Result;
  frameOf: (result: Result, index: number) => number; hasWord: (view: View) => boolean;
}

/** A part of the equation, a key, or nothing. */
type Lit = string | { key: number } | null;
interface State {
  view: View; hovered: Query | null; cursor: Place | null; pinned: Query | null; resting: Query; rule: string; large: number | null;
  lit: Lit; shown: Query; acts: number; waiting: boolean; reading: boolean; playing: boolean; brush: Brush | null;
}
/** A brush: its side in cells, the cell below it, the last cell of its stroke or -1, and whether the stroke adds. */
interface Brush { size: number; cell: number; from: number; adds: boolean }
/** What a listener of the store hears; nothing set: something to draw moved. */
interface Change { pin?: boolean; step?: boolean; view?: boolean; chosen?: boolean; reading?: boolean }
interface Store {
  head: Head; state: State; spec: () => Spec; grid: () => Grid; subscribe: (listener: (change: Change) => void) => () => void;
  hover: (place: Place | null) => void; pin: (query: Query) => void; pinWord: (word: number) => void; unpin: () => void;
  move: (step: { dy?: number; dx?: number; df?: number; to?: Query }) => void; large: (frame: number | null) => void; advance: () => void;
  light: (what: Lit) => void; read: (on: boolean) => void; peek: (held: boolean) => void; play: (playing: boolean) => void;
  choose: (change: Partial<View>, top?: number | null) => void; apply: (query: Query | null | undefined, view?: Partial<View>, pinned?: boolean) => void;
  canvas: () => Grid; brush: (size: number | null) => void; stroke: (place: Query | null) => void; strokeTo: (place: Query) => void;
  moveBrush: (step: { dy?: number; dx?: number; df?: number }) => void;
  follow: (query: { hovered: Query | null; pinned: Query | null; resting: Query }, view: Partial<View>) => void;
}
/** Another view that is moved with one: what a painter tells it, and asks it. */
interface Beside { rescale: (result: Result, view: View) => void; drawn: () => void }
/** What parts of the page tell the session, by name. */
type Handlers = Record<string, (...told: any[]) => any>;
type Parts = Record<string, any>;
/** From Python, see shared/control.js. */
interface Message { serial?: number | string; query?: any; pinned?: boolean; view?: any; of?: string; seen?: number }
interface Handle { show: (bytes: Uint8Array) => Promise<void>; receive: (message: Message) => void; destroy: () => void; timings?: number[]; watch?: (listener: (said: any) => void) => () => void }

/** A weighted mean as keys are added, see pure/running_mean.js. */
interface Sums { order: Int32Array; means: number[][]; shares: number[]; count: number; noise: number }
/** A row as the close-up shows it. */
interface CloseRow {
  result: Result; query: Query; region: { top: number; left: number; side: number }; pixelwise: boolean;
  best: (Query & { index: number })[]; patch: number; rows: Rows | null;
}
/** The pixels that a denoiser averages, in the header of payloads/denoise_view.py. */
interface Pixels { section: string; clean: string | null; white: number; sigma: number }

/** A pixel of the lens. */
interface Point { y: number; x: number }
interface LensHead {
  height: number; width: number; pictures: any[]; noise_note: string; noise_scale: number | null;
  before: string; after: string; point: Point | null;
}
interface LensItem {
  key: string; label: string; caption: string; best: boolean; picture: HTMLCanvasElement; noise: HTMLCanvasElement | null;
}
interface LensView {
  layout: string; show: string; zoom: number; least: number; most: number; before: string | null; after: string | null; split: number;
}

/** What figures and judges of a lesson read: the recipe's header, with its numbers, and its sections. */
interface LessonData { head: any; array: ArrayOf; bytes: (name: string) => Uint8Array }
/** What a figure is given besides its place: texts in the learner's language, whom to tell of an act, what was kept. */
interface FigureTools {
  say: (text: any, ...values: (Record<string, any> | null | undefined)[]) => string; changed: () => void; signal: AbortSignal; language: string; state: any;
}
interface LessonFigure { state: () => any; reading: () => any; resize?: (width: number) => void; destroy: () => void }
type FigureMaker = (root: HTMLElement, spec: any, data: LessonData, tools: FigureTools) => LessonFigure;
/** What the learner gave, and the figure as it stands. */
interface Answered { given: any; state: any; reading: any; data: LessonData; spec: any }
interface Verdict { right: boolean; say: string; values: Record<string, any> }
interface LessonCode { figures: Record<string, FigureMaker>; judges: Record<string, (answered: Answered) => Verdict> }

interface Window {
  nlviz: any;
  __nlvizChannels?: Map<string, Handle>;
  __nlvizSaved?: Set<string>;
  __nlvizLanguage?: string | null;
  __nlvizMessages?: Map<string, Message>;
}
