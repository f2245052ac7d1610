// A trace that is swept from left to right, as monitors draw it: the new replaces the oldest.
import { h } from "./dom.js";

/** A CSS millimetre. */
export const PX_PER_MM = 96 / 25.4;
const BEHIND_S = 0.3; // behind the newest sample, so that the trace moves evenly
const JUMP_S = 2;
const ERASE_MM = 5;
const FOOT_PX = 38; // bars of beats and their classes, below the trace

/** Colours of the style sheet, read once for each theme. */
/** @type {Record<string, string>} */
let colours = {};
/** @param {string} name */
const colour = (name) => (colours[name] ??= getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim());
/** After another theme was chosen. */
export function forgetColours() {
  colours = {};
}

export class Sweep {
  /**
   * @param {object} options
   * @param {number} options.mmPerS
   * @param {number} options.mmPerMv
   * @param {boolean} options.filtered
   */
  constructor({ mmPerS, mmPerMv, filtered }) {
    this.mmPerS = mmPerS;
    this.mmPerMv = mmPerMv;
    this.filtered = filtered;
    this.grid = h("canvas", { class: "grid", "aria-hidden": "true" });
    this.trace = h("canvas", { class: "trace", role: "img", "aria-label": "ECG" });
    this.element = h("div", { class: "sweep" }, this.grid, this.trace);
    const context = this.trace.getContext("2d");
    if (!context) throw new Error("this browser draws no canvas");
    this.context = context;
    this.width = 0;
    this.height = 0;
    /** @type {import("./ward.js").Bed | null} */
    this.bed = null;
    this.lead = 0;
    /** @type {import("./ward.js").Signal | null} */
    this.signal = null;
    /** position shown, in positions of the signal */
    this.position = NaN;
    this.drawnTo = NaN;
    this.mended = 0;
    this.lastFrame = NaN;
    /** @type {Map<number, import("./ward.js").Beat>} what is drawn of the beats, by sample */
    this.drawnBeats = new Map();
    /** @type {Sweep | null} whose clock this one keeps */
    this.leader = null;
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.element);
  }

  stop() {
    this.observer.disconnect();
  }

  resize() {
    this.width = this.element.clientWidth;
    this.height = this.element.clientHeight;
    const ratio = window.devicePixelRatio || 1;
    for (const canvas of [this.grid, this.trace]) {
      canvas.width = Math.round(this.width * ratio);
      canvas.height = Math.round(this.height * ratio);
      canvas.getContext("2d")?.setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    this.drawGrid();
    this.redraw();
  }

  /** Everything anew with the next frame: another theme, speed, gain or filter. */
  redraw() {
    this.drawnTo = NaN;
  }

  get middle() {
    return (this.height - FOOT_PX) * 0.58;
  }

  drawGrid() {
    const context = this.grid.getContext("2d");
    if (!context) return;
    context.clearRect(0, 0, this.width, this.height);
    const bottom = this.height - FOOT_PX;
    for (const [step, name] of /** @type {[number, string][]} */ ([[1, "grid-fine"], [5, "grid"]])) {
      context.strokeStyle = colour(name);
      context.lineWidth = 1;
      context.beginPath();
      const px = step * PX_PER_MM;
      for (let x = 0; x < this.width; x += px) line(context, Math.round(x) + 0.5, 0, Math.round(x) + 0.5, bottom);
      const up = Math.floor(this.middle / px);
      for (let y = this.middle - up * px; y < bottom; y += px) line(context, 0, Math.round(y) + 0.5, this.width, Math.round(y) + 0.5);
      context.stroke();
    }
    // The mark: a step as high as one millivolt.
    const high = this.mmPerMv * PX_PER_MM;
    context.strokeStyle = colour("dim-text");
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(3, this.middle);
    context.lineTo(6, this.middle);
    context.lineTo(6, this.middle - high);
    context.lineTo(12, this.middle - high);
    context.lineTo(12, this.middle);
    context.lineTo(15, this.middle);
    context.stroke();
    context.fillStyle = colour("dim-text");
    context.font = "10px system-ui, sans-serif";
    context.fillText("1 mV", 17, this.middle - high + 8);
  }

  /**
   * Another signal to show; the same one changes nothing.
   * @param {import("./ward.js").Bed} bed
   * @param {number} lead
   */
  show(bed, lead) {
    const signal = bed.signals.get(lead) ?? null;
    if (bed === this.bed && lead === this.lead && signal === this.signal) return;
    this.bed = bed;
    this.lead = lead;
    this.signal = signal;
    this.position = NaN;
    this.redraw();
  }

  /**
   * Draw what is new.
   * @param {number} now in milliseconds
   * @param {boolean} still whether to replace whole frames instead of sweeping
   */
  frame(now, still) {
    const { signal } = this;
    if (!signal || !this.width) {
      if (Number.isNaN(this.drawnTo)) this.context.clearRect(0, 0, this.width, this.height);
      return;
    }
    const ring = this.filtered ? signal.shown : signal.raw;
    if (signal.mended !== this.mended) this.redraw();
    this.mended = signal.mended;
    this.advance(now, ring.end, signal.fs);
    let to = Math.floor(this.position);
    if (still) {
      const lap = Math.floor((this.width / this.pxPerS) * signal.fs);
      to = Math.floor(to / lap) * lap;
    }
    const erase = ERASE_MM * PX_PER_MM;
    const oldest = to - ((this.width - erase) / this.pxPerS) * signal.fs;
    if (Number.isNaN(this.drawnTo) || to < this.drawnTo || this.drawnTo < oldest) {
      this.context.clearRect(0, 0, this.width, this.height);
      this.drawnBeats.clear();
      this.drawnTo = Math.max(Math.ceil(oldest), ring.start);
    }
    if (to > this.drawnTo) {
      const x0 = this.xOf(this.drawnTo);
      const wide = ((to - this.drawnTo) * this.pxPerS) / signal.fs + erase;
      this.clear(x0 + 1, wide);
      this.drawTrace(ring, this.drawnTo, to);
      this.drawnTo = to;
    }
    this.drawBeats(oldest, to);
  }

  /**
   * Which share of what the screen shows would lie beyond its edges.
   * @param {number} mmPerMv
   */
  beyond(mmPerMv) {
    const ring = this.signal?.shown;
    if (!ring || !this.signal) return 0;
    const scale = mmPerMv * PX_PER_MM;
    const from = Math.max(ring.start, ring.end - Math.round((this.width / this.pxPerS) * this.signal.fs));
    let out = 0;
    for (let k = from; k < ring.end; k++)
      if (ring.highAt(k) * scale > this.middle || -ring.lowAt(k) * scale > this.height - FOOT_PX - this.middle) out++;
    return out / Math.max(1, ring.end - from);
  }

  get pxPerS() {
    return this.mmPerS * PX_PER_MM;
  }

  /**
   * Move the clock, which counts samples: faster or slower by little, so that it stays behind the
   * newest one.
   * @param {number} now
   * @param {number} end
   * @param {number} fs
   */
  advance(now, end, fs) {
    const passed = Math.min(0.5, Math.max(0, (now - this.lastFrame) / 1000)) || 0;
    this.lastFrame = now;
    if (this.leader?.signal && this.leader.signal.fs === fs && !Number.isNaN(this.leader.position)) {
      this.position = Math.min(this.leader.position, end);
      return;
    }
    const target = end - BEHIND_S * fs;
    const behind = (target - this.position) / fs;
    if (Number.isNaN(this.position) || behind > JUMP_S || behind < -1) {
      this.position = target;
      return;
    }
    const pace = 1 + Math.max(-0.3, Math.min(0.3, behind));
    this.position = Math.min(end, this.position + passed * fs * pace);
  }

  /** @param {number} position */
  xOf(position) {
    const fs = this.signal ? this.signal.fs : 1;
    const x = (position * this.pxPerS) / fs;
    return x - Math.floor(x / this.width) * this.width;
  }

  /**
   * @param {number} x
   * @param {number} wide
   */
  clear(x, wide) {
    this.context.clearRect(x, 0, wide, this.height);
    if (x + wide > this.width) this.context.clearRect(0, 0, x + wide - this.width, this.height);
  }

  /**
   * @param {import("./ring.js").Ring} ring
   * @param {number} from
   * @param {number} to
   */
  drawTrace(ring, from, to) {
    const { context } = this;
    const scale = this.mmPerMv * PX_PER_MM;
    const floor = this.height - FOOT_PX - 1;
    const yOf = (/** @type {number} */ mv) => Math.max(1, Math.min(floor, this.middle - mv * scale));
    context.strokeStyle = colour("trace");
    context.lineWidth = 1.5;
    context.lineJoin = "round";
    context.beginPath();
    let pen = false;
    let last = -1;
    let y = this.middle;
    const lost = [];
    for (let k = from - 1; k < to; k++) {
      const low = ring.lowAt(k);
      const x = this.xOf(k);
      if (Number.isNaN(low)) {
        if (k >= from) lost.push(x);
        pen = false;
        continue;
      }
      if (x < last) pen = false; // the next lap
      last = x;
      let near = yOf(ring.highAt(k));
      let far = yOf(low);
      if (far - near < 2) near = far = (near + far) / 2; // a pair as flat as this is a point
      else if (Math.abs(far - y) < Math.abs(near - y)) [near, far] = [far, near];
      if (pen) context.lineTo(x, near);
      else context.moveTo(x, near);
      if (far !== near) context.lineTo(x, far);
      y = far;
      pen = true;
    }
    context.stroke();
    this.hatch(lost);
  }

  /**
   * A gap: nothing, with a hatched foot.
   * @param {number[]} xs where samples are lost
   */
  hatch(xs) {
    const { context } = this;
    const bottom = this.height - FOOT_PX;
    context.strokeStyle = colour("gap");
    context.lineWidth = 1.5;
    context.beginPath();
    let last = -1;
    for (const x of xs) {
      const stripe = Math.floor(x / 5);
      if (stripe !== last) line(context, stripe * 5, bottom, stripe * 5 + 5, bottom - 10);
      last = stripe;
    }
    context.stroke();
  }

  /**
   * Bars of score and threshold below the beats between two positions.
   * @param {number} from
   * @param {number} to
   */
  drawBeats(from, to) {
    const { bed, signal } = this;
    if (!bed || !signal) return;
    const factor = signal.fs / signal.sourceFs;
    for (const beat of bed.beats) {
      const position = beat.sample * factor;
      if (position <= from || position > to || this.drawnBeats.get(beat.sample) === beat) continue;
      this.drawBeat(beat, this.xOf(position));
      this.drawnBeats.set(beat.sample, beat);
    }
    for (const sample of this.drawnBeats.keys()) {
      if (sample * factor >= from) break;
      this.drawnBeats.delete(sample);
    }
  }

  /**
   * @param {import("./ward.js").Beat} beat
   * @param {number} x
   */
  drawBeat(beat, x) {
    const { context } = this;
    const top = this.height - FOOT_PX + 2;
    const high = FOOT_PX - 15;
    context.clearRect(x - 7, top - 1, 14, FOOT_PX);
    const judged = beat.score !== null && beat.threshold !== null && beat.threshold > 0;
    const share = judged ? Math.max(0.08, Math.min(1, Number(beat.score) / Number(beat.threshold) / 2)) : 0;
    context.fillStyle = colour(beat.anomalous ? "anomalous" : "bar");
    context.fillRect(x - 3, top + high * (1 - share), 6, high * share);
    context.strokeStyle = colour("dim-text"); // the threshold
    context.lineWidth = 1;
    context.beginPath();
    line(context, x - 5, Math.round(top + high / 2) + 0.5, x + 5, Math.round(top + high / 2) + 0.5);
    context.stroke();
    context.fillStyle = colour(beat.anomalous ? "anomalous" : "dim-text");
    context.font = `${beat.anomalous ? "bold " : ""}11px system-ui, sans-serif`;
    context.textAlign = "center";
    context.fillText(judged ? (beat.class ?? "·") : "?", x, this.height - 2);
    context.textAlign = "start";
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} x0
 * @param {number} y0
 * @param {number} x1
 * @param {number} y1
 */
function line(context, x0, y0, x1, y1) {
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
}
