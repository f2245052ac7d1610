// The monitor filter of what is shown, 0.5 to 40 Hz. It changes the picture alone: beats and alarms
// come from the daemon, which has filters of its own.

const LOWEST_HZ = 0.5;
const HIGHEST_HZ = 40;

/** Second-order Butterworth low-pass (transposed direct form II). */
class LowPass {
  /**
   * @param {number} hz
   * @param {number} fs
   */
  constructor(hz, fs) {
    const k = Math.tan((Math.PI * hz) / fs);
    const norm = 1 / (1 + Math.SQRT2 * k + k * k);
    this.b0 = k * k * norm;
    this.a1 = 2 * (k * k - 1) * norm;
    this.a2 = (1 - Math.SQRT2 * k + k * k) * norm;
    this.z1 = 0;
    this.z2 = 0;
  }

  /** @param {number} x the value at which the filter is to rest */
  settle(x) {
    this.z1 = x * (1 - this.b0);
    this.z2 = x * (this.b0 - this.a2);
  }

  /** @param {number} x */
  next(x) {
    const y = this.b0 * x + this.z1;
    this.z1 = 2 * this.b0 * x - this.a1 * y + this.z2;
    this.z2 = this.b0 * x - this.a2 * y;
    return y;
  }
}

/** Takes low and high of each position; both move by the same baseline. */
export class MonitorFilter {
  /** @param {number} fs positions a second */
  constructor(fs) {
    this.keep = Math.exp((-2 * Math.PI * LOWEST_HZ) / fs);
    this.baseline = NaN;
    // Pairs of lowest and highest have lost what is fast already.
    this.smooth = fs > 2.5 * HIGHEST_HZ ? new LowPass(HIGHEST_HZ, fs) : null;
  }

  /**
   * What is to be shown of one sample.
   * @param {number} x millivolt, NaN where lost: then the filter begins anew
   */
  sample(x) {
    if (Number.isNaN(x)) {
      this.baseline = NaN;
      return NaN;
    }
    if (Number.isNaN(this.baseline)) this.smooth?.settle(x);
    const y = this.smooth ? this.smooth.next(x) : x;
    return y - this.follow(y);
  }

  /**
   * What is to be shown of a pair of lowest and highest.
   * @param {number} low
   * @param {number} high
   * @returns {[number, number]}
   */
  pair(low, high) {
    if (Number.isNaN(low)) {
      this.baseline = NaN;
      return [NaN, NaN];
    }
    const baseline = this.follow((low + high) / 2);
    return [low - baseline, high - baseline];
  }

  /**
   * @param {number} x
   * @returns {number} the baseline at x
   */
  follow(x) {
    if (Number.isNaN(this.baseline)) this.baseline = x;
    this.baseline = this.keep * this.baseline + (1 - this.keep) * x;
    return this.baseline;
  }
}
