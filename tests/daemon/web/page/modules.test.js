// What needs no browser: `node --test`.
import assert from "node:assert/strict";
import { test } from "node:test";

const page = new URL("../../../../daemon/beatgan_daemon/web/page/", import.meta.url);
const { decodeRecords, millivolt } = await import(new URL("records.js", page));
const { Ring } = await import(new URL("ring.js", page));
const { MonitorFilter } = await import(new URL("display_filter.js", page));
const text = await import(new URL("text.js", page));
const words = await import(new URL("health_words.js", page));
const { Signal, Ward } = await import(new URL("ward.js", page));

function record(index, lead, kind, first, fs, units) {
  const view = new DataView(new ArrayBuffer(24 + 2 * units.length));
  [index, lead, kind === 1 ? units.length / 2 : units.length, kind].forEach((value, k) => view.setUint16(2 * k, value, true));
  view.setFloat64(8, first, true);
  view.setFloat32(16, fs, true);
  units.forEach((unit, k) => view.setInt16(24 + 2 * k, unit, true));
  return new Uint8Array(view.buffer);
}

test("records one after another, of both kinds", () => {
  const both = new Uint8Array([...record(3, 1, 0, 2 ** 40, 250, [1, -2, -32768]), ...record(4, 0, 1, 12, 125, [-5, 5])]);
  const [every, pairs] = decodeRecords(both.buffer);
  assert.deepEqual([every.index, every.lead, every.kind, every.first, every.fs], [3, 1, 0, 2 ** 40, 250]);
  assert.deepEqual([...every.units], [1, -2, -32768]);
  assert.deepEqual([pairs.index, pairs.kind, ...pairs.units], [4, 1, -5, 5]);
});

test("a record cut short is an error, not a trace", () => {
  assert.throws(() => decodeRecords(record(0, 0, 0, 0, 250, [1, 2, 3]).slice(0, 28).buffer), RangeError);
});

test("units are five microvolt, and the lowest is lost", () => {
  assert.equal(millivolt(200), 1);
  assert.ok(Number.isNaN(millivolt(-32768)));
});

test("what is missing between runs is lost, what is too old is forgotten", () => {
  const ring = new Ring(10);
  ring.put(100, 1, 1);
  ring.put(103, 2, 2);
  assert.deepEqual([ring.lowAt(100), ring.lowAt(103)], [1, 2]);
  assert.ok(Number.isNaN(ring.lowAt(101)));
  for (let k = 0; k < 10; k++) ring.put(104 + k, k, k);
  assert.equal(ring.start, 104);
  assert.ok(Number.isNaN(ring.lowAt(103)));
});

test("what comes late, or again, takes its place and moves nothing", () => {
  const signal = new Signal(250, 250, 0);
  const run = (first, ...units) => signal.add({ index: 0, lead: 0, kind: 0, first, fs: 250, units });
  run(100, 1, 2, 3);
  run(103, -32768, -32768);
  run(105, 6);
  run(103, 4, 5); // late
  run(100, 1, 2); // again
  assert.deepEqual([signal.raw.start, signal.raw.end, signal.mended], [100, 106, 2]);
  for (let k = 0; k < 6; k++) assert.equal(Math.round(signal.raw.lowAt(100 + k) / 0.005), k + 1);
});

test("a source, or a person, that is another has nothing of the one before", () => {
  const before = { i: 0, stream: "s", epoch: "7", leads: ["II", "V5"], fs: 250, state: "ok" };
  const later = [{ epoch: "8" }, { fs: 125 }, { leads: ["V5", "II"] }];
  for (const change of later) {
    const ward = new Ward();
    ward.setStreams([before]);
    ward.addSamples({ index: 0, lead: 0, kind: 0, first: 1000, fs: 250, units: [0, 0] });
    ward.byName.get("s").addBeats([{ sample: 1000, score: 1, rr_ms: 800, threshold: 5, quality: "good", anomalous: false, lead: "II" }]);
    ward.byName.get("s").rate = 75;
    ward.setStreams([{ ...before, state: "silent" }]);
    assert.equal(ward.byName.get("s").beats.length, 1);
    ward.setStreams([{ ...before, ...change }]);
    const bed = ward.byName.get("s");
    assert.deepEqual([bed.signals.size, bed.beats.length, bed.trend.length, bed.rate], [0, 0, 0, null]);
  }
  const ward = new Ward();
  ward.setStreams([before]);
  ward.byName.get("s").rate = 75;
  ward.setStreams([{ ...before, state: "ended" }]);
  assert.equal(ward.byName.get("s").rate, 75);
  ward.setStreams([before]); // somebody else in the same bed
  assert.equal(ward.byName.get("s").rate, null);
});

test("a number that was another stream's brings nothing of it", () => {
  const ward = new Ward();
  ward.setStreams([{ i: 0, stream: "a", leads: ["II"], fs: 250, state: "ok" }, { i: 1, stream: "b", leads: ["II"], fs: 250, state: "ok" }]);
  ward.setStreams([{ i: 0, stream: "b", leads: ["II"], fs: 250, state: "ok" }]);
  const samples = (index) => ward.addSamples({ index, lead: 0, kind: 0, first: 0, fs: 250, units: [1] });
  samples(1); // nobody's now
  assert.equal(ward.byName.get("b").signals.size, 0);
  samples(0);
  assert.equal(ward.byName.get("b").signals.size, 1);
});

test("a stream that is silent grows older without another word", async () => {
  const ward = new Ward();
  ward.setStreams([{ i: 0, stream: "a", leads: ["II"], fs: 250, state: "silent", age_s: 10 }]);
  const { age } = ward.byName.get("a");
  assert.ok(age >= 10);
  await new Promise((done) => setTimeout(done, 20));
  assert.ok(ward.byName.get("a").age > age);
});

test("the monitor filter takes the baseline and leaves the QRS", () => {
  const fs = 250;
  const filter = new MonitorFilter(fs);
  let drift = 0;
  let peak = 0;
  for (let k = 0; k < 20 * fs; k++) {
    const y = filter.sample(2 + Math.exp(-0.5 * (((k % fs) - 125) / 4) ** 2));
    if (k > 10 * fs) {
      peak = Math.max(peak, y);
      if (k % fs === 0) drift = Math.max(drift, Math.abs(y));
    }
  }
  assert.ok(drift < 0.1, `baseline ${drift}`);
  assert.ok(peak > 0.8 && peak < 1.1, `peak ${peak}`);
});

test("lost samples stay lost, and the filter settles anew", () => {
  const filter = new MonitorFilter(250);
  filter.sample(3);
  assert.ok(Number.isNaN(filter.sample(NaN)));
  assert.ok(Math.abs(filter.sample(-4)) < 0.1);
});

test("pairs that begin between whole numbers make no gap", () => {
  const signal = new Signal(100, 360, 1);
  for (let first = 0; first < 3600; first += 36) signal.add({ index: 0, lead: 0, kind: 1, first: first + 0.4, fs: 100, units: new Int16Array(20) });
  assert.equal(signal.raw.end - signal.raw.start, 1000);
  for (let k = signal.raw.start; k < signal.raw.end; k++) assert.equal(signal.raw.lowAt(k), 0);
});

test("rates: a number, with ? where poor, -- where none", () => {
  assert.deepEqual([text.heartRateText(71.6, false), text.heartRateText(71.6, true), text.heartRateText(null, true)], ["72", "72?", "--"]);
});

test("bed-2 comes before bed-10", () => {
  assert.deepEqual(["bed-10", "bed-2", "a"].sort(text.naturalOrder), ["a", "bed-2", "bed-10"]);
});

test("64-bit times, ages, countdowns", () => {
  assert.equal(text.msOfNs("1796000000123456789"), 1796000000123);
  assert.deepEqual([text.ageText(8.9), text.ageText(180), text.ageText(7500)], ["8 s", "3 min", "2 h 05 min"]);
  assert.deepEqual([text.countdownText(119.2), text.countdownText(9)], ["2:00", "0:09"]);
});

test("the worst alarm is one that nobody acknowledged", () => {
  const ward = new Ward();
  const alarm = (id, n, priority, more = {}) => ({ id, n, priority, stream: id, phase: "start", acknowledged: false, ...more });
  ward.setAlarms([alarm("a", 1, "low"), alarm("b", 2, "high", { acknowledged: true }), alarm("c", 3, "medium")]);
  assert.deepEqual(ward.alarmsInOrder().map((one) => one.id), ["c", "a", "b"]);
  ward.addAlarm(alarm("c", 2, "high")); // an older message than the one known
  assert.equal(ward.alarms.get("c").n, 3);
  ward.addAlarm(alarm("c", 4, "medium", { phase: "end" }));
  assert.equal(ward.alarms.size, 2);
});

test("a revised beat replaces the first", () => {
  const ward = new Ward();
  ward.setStreams([{ i: 0, stream: "s", leads: ["II"], fs: 250, state: "ok" }]);
  const beat = (sample, score) => ({ sample, score, rr_ms: 800, threshold: 5, quality: "good", anomalous: false, lead: "II" });
  const bed = ward.byName.get("s");
  bed.addBeats([beat(100, 1), beat(300, 1)]);
  bed.addBeats([beat(100, 7)]);
  assert.deepEqual(bed.beats.map((one) => one.score), [7, 1]);
});

const HEALTHY = {
  ready: true,
  reason: "",
  daemon: { streams: 2, streams_shed: 0, over_the_last_s: 290, beats_per_s: 2.5, samples_lost_share: 0.00021, latency_p99_ms: 58.3, journal_backlog: 0, journal_mb: 1.5 },
  model: { digest: "0123456789abcdef" },
  server: { version: "1.2", up_s: 7500, pages_open: 1, unreadable_frames: 0, unreadable_messages: 0 },
  connections: { outlet: { connected: true, age_s: 0.2 }, tap: null, control: { age_s: 0.4 } },
  journal: { oldest_alert: 5, next_alert: 1205 },
  strips: {},
  streams: [],
};

/** @param {string} stream */
function told(stream, more = {}) {
  return { stream, state: "ok", age_s: 0.1, fs: 360, leads: ["II"], quality: null, clock_behind_s: 0.2, sender: null, received: null, lost: null, ...more };
}

test("health is told in words with units", () => {
  assert.deepEqual(words.troubles(HEALTHY), []);
  const lines = Object.fromEntries(words.sections(HEALTHY).flatMap((section) => section.lines));
  assert.equal(lines["Beats and alarms"], "connected");
  assert.equal(lines["Signal"], "not used: started without --tap");
  assert.equal(lines["Samples lost"], "0.021 %");
  assert.equal(lines["Alarm delay, 99 % within"], "58.3 ms");
  assert.equal(lines["Running for"], "2 h 05 min");
  assert.equal(lines["Messages kept"], "1,200: numbers 5 to 1,204");
  assert.deepEqual([0, 0.5, 0.000001, null].map(words.percentText), ["0 %", "50 %", "under 0.01 %", "--"]);
});

test("health tells what is wrong first", () => {
  const streams = [told("bed-10"), told("bed-2"), told("bed-9", { state: "silent", age_s: 90 }), told("bed-8", { clock_behind_s: -30 }), told("bed-1", { state: "ended" })];
  assert.deepEqual(words.streamRows(streams).map((row) => row.stream), ["bed-9", "bed-8", "bed-2", "bed-10", "bed-1"]);
  const [silent, off] = words.streamRows(streams);
  assert.deepEqual([silent.cells[1], off.cells[7], off.trouble], ["90 s ago", "30.0 s ahead", true]);
  const ill = { ...HEALTHY, ready: false, reason: "overloaded", streams, connections: { ...HEALTHY.connections, outlet: { connected: false, age_s: null } } };
  const found = words.troubles(ill);
  assert.equal(found[0], "The daemon is not ready: overloaded.");
  assert.match(found[1], /no alarms come/);
  assert.match(found.join(" "), /1 stream is silent/);
});
