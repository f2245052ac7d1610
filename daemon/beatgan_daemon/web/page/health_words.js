// What /api/health answers, in words with units. No DOM in here.
import { ageText, naturalOrder } from "./text.js";

/** @typedef {Record<string, any>} Answer of /api/health */
/** @typedef {{title: string, lines: [string, string][]}} Section */

const UNKNOWN = "--";
/** Two clocks that differ by as much, or a source that is late by as much, are worth a look. */
const CLOCK_S = 2;

/** @param {unknown} value */
function countText(value) {
  return typeof value === "number" ? value.toLocaleString("en") : UNKNOWN;
}

/**
 * @param {unknown} value
 * @param {string} unit
 */
function withUnit(value, unit) {
  return typeof value === "number" ? `${countText(value)} ${unit}` : UNKNOWN;
}

/**
 * A share as a percentage: "0 %", "0.02 %", "12 %".
 * @param {number | null | undefined} share
 */
export function percentText(share) {
  if (share === null || share === undefined) return UNKNOWN;
  if (share > 0 && share < 0.0001) return "under 0.01 %";
  return `${Number((100 * share).toPrecision(2))} %`;
}

/**
 * How long ago: "now", "12 s ago".
 * @param {number | null | undefined} age_s
 */
export function agoText(age_s) {
  if (age_s === null || age_s === undefined) return UNKNOWN;
  return age_s < 2 ? "now" : `${ageText(age_s)} ago`;
}

/** @param {{connected?: boolean, age_s: number | null} | null} link */
function linkText(link) {
  if (link === null) return "not used: started without --tap";
  const state = link.connected === undefined ? "" : link.connected ? "connected" : "no connection";
  if (link.age_s === null) return `${state || "no answer"}, nothing came yet`;
  const last = link.age_s < 2 ? "" : `last word ${agoText(link.age_s)}`;
  return [state, last].filter(Boolean).join(", ") || "answered";
}

/**
 * What there is to know, section by section; one of which nothing is known is left out.
 * @param {Answer} answer
 * @returns {Section[]}
 */
export function sections(answer) {
  const { daemon, model, server, connections, journal, strips } = answer;
  const known = Object.keys(daemon).length > 0;
  const kept = journal.next_alert - journal.oldest_alert;
  const shards = /** @type {Answer[]} */ (answer.shards ?? []);
  /** @type {Section[]} */
  const found = [
    {
      title: "Connections to the daemon",
      lines: [
        ["Beats and alarms", linkText(connections.outlet)],
        ["Signal", linkText(connections.tap)],
        ["Questions", linkText(connections.control)],
      ],
    },
  ];
  if (shards.length)
    found.push({
      title: "Shards",
      lines: shards.map((shard) => [shard.shard, `${linkText(/** @type {any} */ (shard))}, ${countText(shard.streams)} streams, next alarm message ${countText(shard.next_alert)}`]),
    });
  if (known)
    found.push({
      title: daemon.over_the_last_s ? `Daemon, over the last ${ageText(daemon.over_the_last_s)}` : "Daemon",
      lines: [
        ["Streams", countText(daemon.streams)],
        ["Not served: overload", countText(daemon.streams_shed)],
        ["Beats scored", withUnit(daemon.beats_per_s, "per second")],
        ["Samples lost", percentText(daemon.samples_lost_share)],
        ["Alarm delay, 99 % within", withUnit(daemon.latency_p99_ms, "ms")],
        ["Model", model.digest ? String(model.digest).slice(0, 12) : UNKNOWN],
      ],
    });
  found.push({
    title: "Journal of alarms",
    lines: [
      ["Messages kept", shards.length ? "by each shard" : kept > 0 ? `${countText(kept)}: numbers ${countText(journal.oldest_alert)} to ${countText(journal.next_alert - 1)}` : "none"],
      ...(known ? /** @type {[string, string][]} */ ([["On disk", withUnit(daemon.journal_mb, "MiB")], ["Waiting to be written", countText(daemon.journal_backlog)]]) : []),
    ],
  });
  if (Object.keys(strips).length)
    found.push({
      title: "Strips of alarms",
      lines: [
        ["Kept", strips.strips === null ? UNKNOWN : `${countText(strips.strips)}, ${withUnit(strips.mb, "MiB")}`],
        ["Being recorded", countText(strips.being_recorded)],
        ["Stored since the start", countText(strips.stored)],
        ["Lost since the start", countText(strips.lost)],
        ["Signal in memory", withUnit(strips.recent_mb, "MiB")],
        ["Let go early: memory full", countText(strips.frames_let_go_early)],
      ],
    });
  found.push({
    title: "Server of the page",
    lines: [
      ["Version", server.version],
      ["Running for", ageText(server.up_s)],
      ["Pages open", countText(server.pages_open)],
      ["Frames that cannot be read", countText(server.unreadable_frames)],
      ["Messages that cannot be read", countText(server.unreadable_messages)],
    ],
  });
  return found;
}

/**
 * What is wrong, in sentences, the worst first.
 * @param {Answer} answer
 * @returns {string[]}
 */
export function troubles(answer) {
  const { daemon, connections, strips, server } = answer;
  const streams = /** @type {Answer[]} */ (answer.streams);
  /** @type {[unknown, string][]} */
  const missing = (answer.missing ?? []).map((/** @type {string} */ sentence) => [true, `${sentence}.`]);
  /** @type {[unknown, string][]} */
  const all = [
    ...missing,
    [answer.ready === false, `The daemon is not ready: ${answer.reason}.`],
    [!connections.outlet.connected, "No connection to the daemon: no beats and no alarms come."],
    [connections.tap && !connections.tap.connected, "No connection to the daemon's tap: no traces come."],
    [connections.control.age_s === null || connections.control.age_s > 5, "The daemon answers no questions: nothing can be acknowledged."],
    [daemon.streams_shed, `${streamsText(daemon.streams_shed)} not served: the daemon has too much to do.`],
    [daemon.journal_backlog > 100, `${countText(daemon.journal_backlog)} alarm messages wait for the daemon's disk.`],
    [strips.trouble, `Strips are not stored: ${strips.trouble}.`],
    [!strips.trouble && strips.lost, `${countText(strips.lost)} strips could not be stored.`],
    [server.unreadable_frames, `${countText(server.unreadable_frames)} frames of the tap could not be read.`],
    [server.unreadable_messages, `${countText(server.unreadable_messages)} messages of the daemon could not be read: is it of another version?`],
  ];
  const silent = streams.filter((stream) => stream.state === "silent").length;
  const unjudged = streams.filter((stream) => stream.state === "suspended").length;
  const late = streams.filter((stream) => isOff(stream)).length;
  all.push([silent, `${streamsText(silent)} silent.`]);
  all.push([unjudged, `${streamsText(unjudged)} not judged: no lead is usable.`]);
  all.push([late, `${streamsText(late)} with a clock more than ${CLOCK_S} s off, or late by as much.`]);
  return all.filter(([is]) => is).map(([, text]) => text);
}

/** @param {number} n */
function streamsText(n) {
  return n === 1 ? "1 stream is" : `${countText(n)} streams are`;
}

/** @param {Answer} stream */
function isOff(stream) {
  return stream.state === "ok" && typeof stream.clock_behind_s === "number" && Math.abs(stream.clock_behind_s) > CLOCK_S;
}

export const COLUMNS = ["Stream", "State", "Last data", "Samples lost", "Received", "Signal", "Sampled at", "Leads", "Clock", "Sender"];

const RANKS = { shed: 4, silent: 3, suspended: 2, ok: 0, ended: 0 };
const STATES = { ok: "watched", silent: "silent", suspended: "not judged: no usable lead", shed: "not served: overload", ended: "ended" };

/**
 * The streams, those in trouble first, then by name.
 * @param {Answer[]} streams
 * @returns {{stream: string, trouble: boolean, cells: string[]}[]}
 */
export function streamRows(streams) {
  const rank = (/** @type {Answer} */ stream) => RANKS[/** @type {keyof typeof RANKS} */ (stream.state)] || (isOff(stream) ? 1 : 0);
  return [...streams]
    .sort((a, b) => rank(b) - rank(a) || Number(a.state === "ended") - Number(b.state === "ended") || naturalOrder(a.stream, b.stream))
    .map((stream) => ({ stream: stream.stream, trouble: rank(stream) > 0, cells: cells(stream) }));
}

/** @param {Answer} stream */
function cells(stream) {
  const sent = (stream.received ?? 0) + (stream.lost ?? 0);
  return [
    STATES[/** @type {keyof typeof STATES} */ (stream.state)] ?? stream.state,
    agoText(stream.age_s),
    stream.lost === null ? UNKNOWN : `${countText(stream.lost)}${stream.lost ? ` (${percentText(stream.lost / sent)})` : ""}`,
    countText(stream.received),
    stream.quality ?? UNKNOWN,
    withUnit(stream.fs, "Hz"),
    stream.leads.join(", "),
    clockText(stream.clock_behind_s),
    stream.sender ?? UNKNOWN,
  ];
}

/** @param {number | null} behind_s */
function clockText(behind_s) {
  if (behind_s === null) return UNKNOWN;
  if (Math.abs(behind_s) < 0.05) return "0 s";
  return behind_s > 0 ? `${ageOfClock(behind_s)} behind` : `${ageOfClock(-behind_s)} ahead`;
}

/** @param {number} seconds */
function ageOfClock(seconds) {
  return seconds < 120 ? `${seconds.toFixed(1)} s` : ageText(seconds);
}
