// What the page knows: streams, their signal and beats, the alarms under way. Views read it.
import { MonitorFilter } from "./display_filter.js";
import { EVERY_SAMPLE, MIN_MAX, millivolt } from "./records.js";
import { Ring } from "./ring.js";
import { PRIORITIES, naturalOrder } from "./text.js";

const KEPT_S = 60;
const TREND_STEP_S = 10;
const TREND_STEPS = (8 * 3600) / TREND_STEP_S;

/** @typedef {import("./text.js").Priority} Priority */
/**
 * @typedef {object} Beat
 * @property {number} sample
 * @property {number | null} rr_ms
 * @property {string} [class]
 * @property {number | null} score
 * @property {number | null} threshold
 * @property {string} quality
 * @property {boolean} anomalous
 * @property {string} lead
 */
/**
 * The latest message of an episode, as the daemon published it; 64-bit numbers are strings.
 * @typedef {object} Alarm
 * @property {string} id
 * @property {number} n in its shard's journal
 * @property {string} [shard] where several daemons share the streams
 * @property {number} [fence] rises when another shard goes on with the episode
 * @property {string} stream
 * @property {string} kind
 * @property {string} code
 * @property {Priority} priority
 * @property {"start" | "update" | "end"} phase
 * @property {string} [text]
 * @property {string | null} lead
 * @property {number} onset_sample
 * @property {number | null} end_sample
 * @property {string} onset_ns
 * @property {string} [raised_ns]
 * @property {boolean} latched
 * @property {boolean} acknowledged
 * @property {boolean} suspended
 * @property {string} [by]
 * @property {string} [acknowledged_ns]
 * @property {number} [heart_rate]
 * @property {number | null} score
 * @property {number | null} threshold
 * @property {string} [class]
 * @property {number[]} [beats]
 * @property {{condition: number, signal: number}} [delay_ms]
 * @property {Record<string, number>} [components]
 * @property {Explanation | null} [explanation]
 */
/**
 * @typedef {object} Explanation
 * @property {number} sample
 * @property {number} fs
 * @property {number[]} window
 * @property {number[]} expected
 * @property {number[]} error
 * @property {number[]} [spread]
 * @property {number[]} [reference]
 */
/** @typedef {{i: number, stream: string, epoch?: string, leads?: string[], fs?: number, state: string, age_s?: number | null, quality?: string | null}} StreamEntry */
/** @typedef {{stream: string, leads: number[], zoom: "full" | "wall"}} Want */

/** The signal of one lead: as it came, and as the monitor filter shows it. */
export class Signal {
  /**
   * @param {number} fs positions a second
   * @param {number} sourceFs samples a second of the source
   * @param {number} kind
   */
  constructor(fs, sourceFs, kind) {
    this.fs = fs;
    this.sourceFs = sourceFs;
    this.kind = kind;
    this.raw = new Ring(Math.ceil(KEPT_S * fs));
    this.shown = new Ring(Math.ceil(KEPT_S * fs));
    this.filter = new MonitorFilter(fs);
    /** how often something came late or again: what is drawn of it is drawn anew */
    this.mended = 0;
  }

  /** @param {import("./records.js").SampleRecord} record */
  add(record) {
    const { end } = this.raw;
    let at = Math.round((record.first * this.fs) / this.sourceFs);
    // Pairs need not begin at whole numbers of pairs: rounding makes no gap, and no overlap.
    if (record.kind === MIN_MAX && !this.raw.empty && Math.abs(at - end) <= 1) at = end;
    const filter = at === end ? this.filter : new MonitorFilter(this.fs);
    if (at < end) this.mended++;
    const step = record.kind === MIN_MAX ? 2 : 1;
    for (let k = 0; k + step <= record.units.length; k += step) {
      const low = millivolt(record.units[k]);
      const high = millivolt(record.units[k + step - 1]);
      const [shownLow, shownHigh] = step === 2 ? filter.pair(low, high) : twice(filter.sample(low));
      this.raw.put(at, low, high);
      this.shown.put(at, shownLow, shownHigh);
      at++;
    }
    if (at >= this.raw.end) this.filter = filter;
  }
}

/**
 * @param {number} x
 * @returns {[number, number]}
 */
function twice(x) {
  return [x, x];
}

/** One stream. */
export class Bed {
  /**
   * @param {number} index
   * @param {string} stream
   */
  constructor(index, stream) {
    this.index = index;
    this.stream = stream;
    /** @type {string[]} */
    this.leads = [];
    this.fs = 0;
    this.state = "ok";
    /** which run of the source its samples are counted in: a 64-bit number as a string */
    this.epoch = "";
    /** when something came last, by performance.now() */
    this.heardAt = 0;
    this.quality = "";
    /** @type {number | null} */
    this.rate = null;
    this.poor = false;
    /** @type {Map<number, Signal>} by lead */
    this.signals = new Map();
    /** @type {Beat[]} of the last minute, in order of sample */
    this.beats = [];
    /** @type {{at: number, rr: number, score: number}[]} one each 10 s, latest last; NaN where there is none */
    this.trend = [];
    /** @type {Explanation | null} of the latest anomalous beat that an alarm told of */
    this.explanation = null;
  }

  /** Seconds since something came. */
  get age() {
    return (performance.now() - this.heardAt) / 1000;
  }

  /**
   * Whether what is known is the listed stream's: of the same source without a break, and so of the
   * same person.
   * @param {StreamEntry} entry
   */
  isOf(entry) {
    const beganAnew = this.state === "ended" && entry.state !== "ended";
    return !beganAnew && this.epoch === (entry.epoch ?? "") && this.fs === (entry.fs ?? 0) && this.leads.join("\n") === (entry.leads ?? []).join("\n");
  }

  /** The lead that the latest beat is of. */
  get leadInUse() {
    const last = this.beats.at(-1);
    return last && this.leads.includes(last.lead) ? this.leads.indexOf(last.lead) : 0;
  }

  /** @param {Beat[]} beats */
  addBeats(beats) {
    for (const beat of beats) {
      let at = this.beats.length;
      while (at > 0 && this.beats[at - 1].sample > beat.sample) at--;
      const revised = at > 0 && this.beats[at - 1].sample === beat.sample;
      if (revised) this.beats[at - 1] = beat;
      else this.beats.splice(at, 0, beat);
      this.addToTrend(beat);
    }
    const newest = this.beats.at(-1)?.sample ?? 0;
    while (this.beats.length && this.beats[0].sample < newest - KEPT_S * this.fs) this.beats.shift();
  }

  /** @param {Beat} beat */
  addToTrend(beat) {
    const at = Math.floor(Date.now() / 1000 / TREND_STEP_S) * TREND_STEP_S;
    let step = this.trend.at(-1);
    if (step?.at !== at) {
      step = { at, rr: NaN, score: NaN };
      this.trend.push(step);
      if (this.trend.length > TREND_STEPS) this.trend.shift();
    }
    if (beat.rr_ms !== null && beat.quality === "good")
      step.rr = Number.isNaN(step.rr) ? beat.rr_ms : 0.8 * step.rr + 0.2 * beat.rr_ms;
    if (beat.score !== null) step.score = Number.isNaN(step.score) ? beat.score : Math.max(step.score, beat.score);
  }
}

/** All beds and all alarms under way. */
export class Ward {
  constructor() {
    /** @type {Map<number, Bed>} */
    this.byIndex = new Map();
    /** @type {Map<string, Bed>} */
    this.byName = new Map();
    /** @type {Map<string, Alarm>} under way, by id */
    this.alarms = new Map();
    /** counts changes of what a view lists: streams, alarms */
    this.version = 0;
  }

  /** Before another connection: its indices, and what it sends, begin anew. */
  forgetSignals() {
    this.byIndex.clear();
    for (const bed of this.byName.values()) {
      bed.signals.clear();
      bed.beats = [];
    }
  }

  /**
   * All streams there are. The server numbers by this list what it sends behind it.
   * @param {StreamEntry[]} streams
   */
  setStreams(streams) {
    const listed = new Set();
    this.byIndex.clear();
    for (const entry of streams) {
      const known = this.byName.get(entry.stream);
      const bed = known?.isOf(entry) ? known : new Bed(entry.i, entry.stream);
      bed.index = entry.i;
      bed.epoch = entry.epoch ?? "";
      bed.leads = entry.leads ?? [];
      bed.fs = entry.fs ?? 0;
      bed.state = entry.state;
      bed.heardAt = performance.now() - 1000 * (entry.age_s ?? 0);
      bed.quality = entry.quality ?? "";
      this.byName.set(entry.stream, bed);
      this.byIndex.set(entry.i, bed);
      listed.add(entry.stream);
    }
    for (const name of this.byName.keys()) if (!listed.has(name)) this.byName.delete(name);
    this.version++;
  }

  /** @param {import("./records.js").SampleRecord} record */
  addSamples(record) {
    const bed = this.byIndex.get(record.index);
    if (!bed || !(record.fs > 0)) return;
    let signal = bed.signals.get(record.lead);
    if (!signal || signal.kind !== record.kind || signal.fs !== record.fs) {
      signal = new Signal(record.fs, record.kind === EVERY_SAMPLE ? record.fs : bed.fs || record.fs, record.kind);
      bed.signals.set(record.lead, signal);
    }
    signal.add(record);
  }

  /** @param {Alarm[]} alarms */
  setAlarms(alarms) {
    this.alarms = new Map(alarms.map((alarm) => [alarm.id, alarm]));
    for (const alarm of alarms) this.keepExplanation(alarm);
    this.version++;
  }

  /** @param {Alarm} alarm */
  addAlarm(alarm) {
    const before = this.alarms.get(alarm.id);
    if (before && isLater(before, alarm)) return;
    this.keepExplanation(alarm);
    if (alarm.phase === "end") this.alarms.delete(alarm.id);
    else this.alarms.set(alarm.id, alarm);
    this.version++;
  }

  /** @param {Alarm} alarm */
  keepExplanation(alarm) {
    const bed = this.byName.get(alarm.stream);
    if (bed && alarm.explanation) bed.explanation = alarm.explanation;
  }

  /**
   * Alarms under way, the most urgent first: not acknowledged before acknowledged, then by
   * priority, then the latest.
   * @param {string} [stream] of this stream alone
   */
  alarmsInOrder(stream) {
    return [...this.alarms.values()]
      .filter((alarm) => stream === undefined || alarm.stream === stream)
      .sort((a, b) => urgency(b) - urgency(a) || latestFirst(a, b));
  }

  /**
   * @param {"name" | "worst"} order
   * @returns {Bed[]}
   */
  beds(order) {
    const beds = [...this.byName.values()].sort((a, b) => naturalOrder(a.stream, b.stream));
    if (order === "name") return beds;
    /** @type {Map<string, number>} */
    const worst = new Map();
    for (const alarm of this.alarms.values())
      worst.set(alarm.stream, Math.max(worst.get(alarm.stream) ?? 0, urgency(alarm)));
    return beds.sort((a, b) => (worst.get(b.stream) ?? 0) - (worst.get(a.stream) ?? 0));
  }
}

/**
 * Whether the first is the later of two messages of one episode: numbers count within a fence.
 * @param {Alarm} one
 * @param {Alarm} other
 */
export function isLater(one, other) {
  const [fence, before] = [one.fence ?? 0, other.fence ?? 0];
  return fence === before ? one.n > other.n : fence > before;
}

/**
 * Of one journal by its numbers, of several by the sources' clocks.
 * @param {Alarm} a
 * @param {Alarm} b
 */
export function latestFirst(a, b) {
  if (a.shard !== b.shard && a.raised_ns && b.raised_ns) return Number(BigInt(b.raised_ns) - BigInt(a.raised_ns));
  return b.n - a.n;
}

/** @param {Alarm} alarm */
function urgency(alarm) {
  return PRIORITIES[alarm.priority].rank + (alarm.acknowledged ? 0 : 10);
}
