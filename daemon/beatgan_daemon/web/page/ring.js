// The latest stretch of one lead: lowest and highest millivolt at each position, NaN where lost.

export class Ring {
  /** @param {number} capacity positions kept */
  constructor(capacity) {
    this.capacity = capacity;
    this.low = new Float32Array(capacity);
    this.high = new Float32Array(capacity);
    /** the first position kept */
    this.start = 0;
    /** one more than the last position */
    this.end = 0;
    this.empty = true;
  }

  /**
   * Say that the next values belong at `first`. What lies between is lost; a count that goes back
   * begins anew.
   * @param {number} first
   * @returns {boolean} whether the ring began anew
   */
  seek(first) {
    if (this.empty || first < this.end || first - this.end >= this.capacity) {
      this.start = this.end = first;
      this.empty = false;
      return true;
    }
    while (this.end < first) this.push(NaN, NaN);
    return false;
  }

  /**
   * @param {number} low
   * @param {number} high
   */
  push(low, high) {
    const at = this.end % this.capacity;
    this.low[at] = low;
    this.high[at] = high;
    this.end++;
    if (this.end - this.start > this.capacity) this.start = this.end - this.capacity;
  }

  /**
   * @param {number} position
   * @returns {number} NaN where lost or not kept
   */
  lowAt(position) {
    return position < this.start || position >= this.end ? NaN : this.low[position % this.capacity];
  }

  /**
   * @param {number} position
   * @returns {number} NaN where lost or not kept
   */
  highAt(position) {
    return position < this.start || position >= this.end ? NaN : this.high[position % this.capacity];
  }
}
