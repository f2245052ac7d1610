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
   * What is at a position. What lies between the end and it is lost; what comes late, or again,
   * takes the place of what was there.
   * @param {number} position
   * @param {number} low
   * @param {number} high
   */
  put(position, low, high) {
    if (this.empty || position - this.end >= this.capacity) {
      this.start = this.end = position;
      this.empty = false;
    }
    while (this.end < position) this.push(NaN, NaN);
    if (position === this.end) this.push(low, high);
    else if (position >= this.start) {
      this.low[position % this.capacity] = low;
      this.high[position % this.capacity] = high;
    }
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
