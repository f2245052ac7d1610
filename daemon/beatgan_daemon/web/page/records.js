// What the server sends in binary: records of samples, one after another, little-endian.

/**
 * One run of samples of one lead.
 * @typedef {object} SampleRecord
 * @property {number} index which stream, by the list of streams
 * @property {number} lead which of its leads
 * @property {number} kind EVERY_SAMPLE or MIN_MAX
 * @property {number} first count of the first sample (of the first pair), in the source's samples
 * @property {number} fs values, or pairs, a second
 * @property {Int16Array} units n values, or n pairs of lowest and highest; 5 microvolt a unit
 */

export const EVERY_SAMPLE = 0;
export const MIN_MAX = 1;
export const MILLIVOLT_PER_UNIT = 0.005;
export const LOST = -32768;
const HEADER_BYTES = 24;

/**
 * The records in one message.
 * @param {ArrayBuffer} buffer
 * @returns {SampleRecord[]}
 * @throws {RangeError} where the message ends within a record
 */
export function decodeRecords(buffer) {
  const view = new DataView(buffer);
  const records = [];
  let at = 0;
  while (at < buffer.byteLength) {
    const n = view.getUint16(at + 4, true);
    const kind = view.getUint16(at + 6, true);
    const count = kind === MIN_MAX ? 2 * n : n;
    const units = new Int16Array(count);
    for (let k = 0; k < count; k++) units[k] = view.getInt16(at + HEADER_BYTES + 2 * k, true);
    records.push({
      index: view.getUint16(at, true),
      lead: view.getUint16(at + 2, true),
      kind,
      first: view.getFloat64(at + 8, true),
      fs: view.getFloat32(at + 16, true),
      units,
    });
    at += HEADER_BYTES + 2 * count;
  }
  return records;
}

/**
 * @param {number} unit
 * @returns {number} millivolt; NaN where the sample is lost
 */
export function millivolt(unit) {
  return unit === LOST ? NaN : unit * MILLIVOLT_PER_UNIT;
}
