// What is said in words: rates, ages, priorities, orders of names. No DOM in here.

/** @typedef {"high" | "medium" | "low"} Priority */

/** @type {Record<Priority, {rank: number, sign: string, word: string}>} */
export const PRIORITIES = {
  high: { rank: 3, sign: "***", word: "HIGH" },
  medium: { rank: 2, sign: "**", word: "MEDIUM" },
  low: { rank: 1, sign: "*", word: "LOW" },
};

/**
 * @param {number | null | undefined} rate beats a minute; null where there is none
 * @param {boolean} poor whether the signal is
 */
export function heartRateText(rate, poor) {
  if (rate === null || rate === undefined || !Number.isFinite(rate)) return "--";
  return `${Math.round(rate)}${poor ? "?" : ""}`;
}

/**
 * How long, for people: "8 s", "3 min", "2 h 05 min".
 * @param {number} seconds
 */
export function ageText(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 120) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/**
 * A 64-bit count of nanoseconds as milliseconds. It comes as a string: a double would round it.
 * @param {string | number | null | undefined} ns
 */
export function msOfNs(ns) {
  return ns === null || ns === undefined ? NaN : Number(BigInt(ns) / 1_000_000n);
}

/**
 * Time of day, in the reader's zone.
 * @param {number} ms since 1970
 */
export function clockText(ms) {
  return Number.isFinite(ms) ? new Date(ms).toLocaleTimeString("en-GB") : "--:--:--";
}

/**
 * Date and time, in the reader's zone.
 * @param {number} ms since 1970
 */
export function dateText(ms) {
  if (!Number.isFinite(ms)) return "--";
  const date = new Date(ms);
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clockText(ms)}`;
}

/**
 * Order of names in which bed-2 comes before bed-10.
 * @param {string} a
 * @param {string} b
 */
export function naturalOrder(a, b) {
  return a.localeCompare(b, "en", { numeric: true }) || (a < b ? -1 : a > b ? 1 : 0);
}

/**
 * An alarm's name: its sentence, or its code in words.
 * @param {{code: string, text?: string}} alarm
 */
export function alarmText(alarm) {
  return alarm.text || codeText(alarm.code);
}

/**
 * A code in words: "rhythm.ventricular-run" is "ventricular run".
 * @param {string} code
 */
export function codeText(code) {
  const words = { "signal.no-data": "no data", "beat.anomalous": "anomalous beats" };
  return words[/** @type {keyof typeof words} */ (code)] ?? code.replace(/^[a-z]+\./, "").replaceAll("-", " ");
}

/** How long sound stays paused. */
export const PAUSE_S = 120;

/**
 * @param {number} seconds left
 * @returns {string} such as "1:59"
 */
export function countdownText(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
