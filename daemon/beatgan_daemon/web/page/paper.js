// A strip of ECG as on paper: drawn in millimetres, 25 a second and 10 a millivolt, so that a
// printer that does not scale prints it true.
import { MonitorFilter } from "./display_filter.js";
import { h, svg } from "./dom.js";

const MM_PER_S = 25;
const MM_PER_MV = 10;
const ROW_S = 10;
const FOOT_MM = 11;
let hatches = 0;

/**
 * @param {import("./api.js").Strip} strip
 * @param {{from: number, to: number | null}} episode in the source's samples
 * @param {boolean} filtered
 */
export function paperStrip(strip, episode, filtered) {
  const leads = strip.leads.map((_, k) => shownSamples(strip, k, filtered));
  const total = leads[0]?.length ?? 0;
  const perRow = Math.round(ROW_S * strip.fs);
  const element = h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "strip" });
  for (let from = 0; from < total; from += perRow)
    element.append(row(strip, leads, from, Math.min(total, from + perRow), episode));
  return element;
}

/**
 * @param {import("./api.js").Strip} strip
 * @param {number} lead
 * @param {boolean} filtered
 */
function shownSamples(strip, lead, filtered) {
  const filter = new MonitorFilter(strip.fs);
  return strip.samples[lead].map((mv) => {
    const x = mv === null ? NaN : mv;
    return filtered ? filter.sample(x) : x;
  });
}

/**
 * @param {import("./api.js").Strip} strip
 * @param {number[][]} leads
 * @param {number} from
 * @param {number} to
 * @param {{from: number, to: number | null}} episode
 */
function row(strip, leads, from, to, episode) {
  const wide = ROW_S * MM_PER_S;
  const heights = leads.map((samples) => heightOf(samples.slice(from, to)));
  const high = heights.reduce((sum, { up, down }) => sum + up + down, FOOT_MM);
  const hatch = `hatch${hatches++ || ""}`;
  const drawing = svg("svg", { class: "paper strip-row", viewBox: `0 0 ${wide} ${high}`, width: `${wide}mm`, height: `${high}mm`, role: "img", "aria-label": `ECG, ${rowText(strip, from, to)}` });
  drawing.append(svg("defs", {}, svg("pattern", { id: hatch, width: 2, height: 2, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, svg("line", { x1: 0, y1: 0, x2: 0, y2: 2, class: "hatch" }))));
  drawing.append(...grid(wide, high - FOOT_MM));
  const mmOf = (/** @type {number} */ k) => ((k - from) / strip.fs) * MM_PER_S;
  const start = Math.max(0, mmOf(episode.from - strip.first));
  const end = Math.min(mmOf(to), episode.to === null ? Infinity : mmOf(episode.to - strip.first));
  if (end > start) drawing.append(svg("rect", { class: "episode", x: start, y: 0, width: end - start, height: high - FOOT_MM }));
  const onset = mmOf(episode.from - strip.first);
  if (onset >= 0 && onset <= wide) drawing.append(svg("line", { class: "onset", x1: onset, y1: 0, x2: onset, y2: high - FOOT_MM }));
  let top = 0;
  leads.forEach((samples, lead) => {
    const { up, down } = heights[lead];
    const middle = top + up;
    drawing.append(svg("path", { class: "trace", d: pathOf(samples, from, to, middle, strip.fs) }));
    for (const [lostFrom, lostTo] of lostStretches(samples, from, to))
      drawing.append(svg("rect", { x: mmOf(lostFrom), y: middle + down - 4, width: mmOf(lostTo) - mmOf(lostFrom), height: 3, fill: `url(#${hatch})` }));
    drawing.append(svg("text", { x: 1.5, y: top + 4 }, strip.leads[lead]));
    drawing.append(svg("path", { class: "mark", d: `M${wide - 6} ${middle}h1.5v-${MM_PER_MV}h2.5v${MM_PER_MV}h1.5` }));
    top += up + down;
  });
  for (const beat of strip.beats ?? []) {
    const x = mmOf(beat.sample - strip.first);
    if (x < 0 || x >= mmOf(to)) continue;
    drawing.append(...beatMark(beat, x, high - FOOT_MM));
  }
  drawing.append(svg("text", { class: "small", x: 1.5, y: high - 0.8 }, rowText(strip, from, to)));
  return drawing;
}

/**
 * A dot for a beat as usual, a bar of score over threshold for another, and its class.
 * @param {import("./ward.js").Beat} beat
 * @param {number} x
 * @param {number} top
 */
function beatMark(beat, x, top) {
  const known = beat.score !== null && beat.threshold;
  const mark = beat.anomalous && known
    ? svg("rect", { class: "anomalous", x: x - 0.6, width: 1.2, height: 3, y: top + 0.6 })
    : svg("circle", { cx: x, cy: top + 2.6, r: 0.45, class: "beat" });
  return [mark, svg("text", { class: beat.anomalous ? "small anomalous" : "small", x, y: top + 6, "text-anchor": "middle" }, known ? (beat.class ?? "") : "?")];
}

/**
 * @param {import("./api.js").Strip} strip
 * @param {number} from
 * @param {number} to
 */
function rowText(strip, from, to) {
  const seconds = (/** @type {number} */ k) => (k / strip.fs).toFixed(0);
  return `${seconds(from)} to ${seconds(to)} s of the strip, ${MM_PER_S} mm/s, ${MM_PER_MV} mm/mV`;
}

/** @param {number[]} samples */
function heightOf(samples) {
  let low = -0.5;
  let high = 1;
  for (const x of samples) {
    if (x < low) low = x;
    if (x > high) high = x;
  }
  const whole = (/** @type {number} */ mv) => Math.min(25, 5 * Math.ceil((Math.abs(mv) * MM_PER_MV + 1) / 5));
  return { up: whole(high), down: whole(low) };
}

/**
 * @param {number} wide
 * @param {number} high
 */
function grid(wide, high) {
  /** @param {number} step */
  const path = (step) => {
    let d = "";
    for (let x = 0; x <= wide; x += step) d += `M${x} 0v${high}`;
    for (let y = 0; y <= high; y += step) d += `M0 ${y}h${wide}`;
    return d;
  };
  return [svg("path", { class: "fine", d: path(1) }), svg("path", { class: "coarse", d: path(5) })];
}

/**
 * @param {number[]} samples
 * @param {number} from
 * @param {number} to
 * @param {number} middle
 * @param {number} fs
 */
function pathOf(samples, from, to, middle, fs) {
  let d = "";
  let pen = false;
  for (let k = from; k < to; k++) {
    if (Number.isNaN(samples[k])) {
      pen = false;
      continue;
    }
    const x = (((k - from) / fs) * MM_PER_S).toFixed(2);
    const y = (middle - Math.max(-2.5, Math.min(2.5, samples[k])) * MM_PER_MV).toFixed(2);
    d += `${pen ? "L" : "M"}${x} ${y}`;
    pen = true;
  }
  return d;
}

/**
 * @param {number[]} samples
 * @param {number} from
 * @param {number} to
 * @returns {[number, number][]}
 */
function lostStretches(samples, from, to) {
  /** @type {[number, number][]} */
  const found = [];
  for (let k = from; k < to; k++) {
    if (!Number.isNaN(samples[k])) continue;
    const last = found.at(-1);
    if (last && last[1] === k) last[1] = k + 1;
    else found.push([k, k + 1]);
  }
  return found;
}
