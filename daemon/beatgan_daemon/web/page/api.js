// Questions to the server that need no socket.

/** @typedef {import("./ward.js").Alarm} Alarm */
/**
 * Some seconds of ECG with an alarm.
 * @typedef {object} Strip
 * @property {number} fs
 * @property {string[]} leads
 * @property {number} first count of the first sample
 * @property {(number | null)[][]} samples of each lead, in millivolt; null where lost
 * @property {import("./ward.js").Beat[]} [beats]
 * @property {string} [note] what is missing of it, and why
 */
/**
 * @typedef {object} AlarmDetail
 * @property {Alarm[]} messages
 * @property {import("./ward.js").Explanation | null} explanation
 * @property {Strip | null} strip
 * @property {string | null} [why_no_strip]
 */

/**
 * @param {string} path
 * @returns {Promise<any>}
 * @throws {Error} which says what the server answered
 */
async function ask(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error((await answer.text()) || `${answer.status} ${answer.statusText}`);
  return answer.json();
}

/**
 * Alert messages of the journal from `since` on, an earlier `next`; the latest where it is null.
 * @param {number | string | null} since
 * @returns {Promise<{alarms: Alarm[], next: number | string, more: boolean}>}
 */
export function alarmsSince(since) {
  return ask(since === null ? "/api/alarms" : `/api/alarms?since=${encodeURIComponent(since)}`);
}

/**
 * @param {string} id
 * @returns {Promise<AlarmDetail>}
 */
export function alarmDetail(id) {
  return ask(`/api/alarms/${encodeURIComponent(id)}`);
}

/** @returns {Promise<Record<string, unknown>>} */
export function health() {
  return ask("/api/health");
}
