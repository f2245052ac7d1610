// Tones of alarms. Browsers allow sound after a click alone, so it is off until somebody asks.
import { PAUSE_S, PRIORITIES } from "./text.js";

/** Tones in Hz and their repetition; after IEC 60601-1-8's bursts: ten, three and two pulses. */
const BURSTS = {
  high: { tones: [659, 659, 659, 880, 988, 659, 659, 659, 880, 988], every_s: 5 },
  medium: { tones: [523, 659, 523], every_s: 10 },
  low: { tones: [440, 392], every_s: 25 },
};

export class Sound {
  constructor() {
    /** @type {AudioContext | null} */
    this.context = null;
    this.on = false;
    this.pausedUntil = 0;
    this.pausedAtRank = 0;
    this.nextBurst = 0;
    this.lastRank = 0;
  }

  /** At somebody's click. */
  async toggle() {
    this.on = !this.on;
    this.pausedUntil = 0;
    this.nextBurst = 0;
    if (this.on) {
      this.context ??= new AudioContext();
      await this.context.resume();
    }
  }

  /** @param {number} now in seconds */
  pause(now) {
    this.pausedUntil = this.pausedUntil > now ? 0 : now + PAUSE_S;
    this.pausedAtRank = this.lastRank;
  }

  /**
   * Sound what is due.
   * @param {number} now in seconds
   * @param {import("./text.js").Priority | null} priority of the worst alarm that nobody acknowledged
   */
  tick(now, priority) {
    const rank = priority ? PRIORITIES[priority].rank : 0;
    if (rank > this.lastRank) this.nextBurst = 0;
    this.lastRank = rank;
    if (this.pausedUntil > now && rank > this.pausedAtRank) this.pausedUntil = 0; // a higher one breaks through
    if (!priority || !this.on || !this.context || this.pausedUntil > now || now < this.nextBurst) return;
    const { tones, every_s } = BURSTS[priority];
    tones.forEach((hz, k) => this.pulse(hz, 0.2 * k + (k > 4 ? 0.6 : 0)));
    this.nextBurst = now + every_s;
  }

  /**
   * @param {number} hz
   * @param {number} after_s
   */
  pulse(hz, after_s) {
    const context = this.context;
    if (!context) return;
    const at = context.currentTime + after_s;
    const volume = context.createGain();
    volume.gain.setValueAtTime(0, at);
    volume.gain.linearRampToValueAtTime(0.2, at + 0.02);
    volume.gain.setValueAtTime(0.2, at + 0.12);
    volume.gain.linearRampToValueAtTime(0, at + 0.16);
    const tone = context.createOscillator();
    tone.type = "triangle";
    tone.frequency.value = hz;
    tone.connect(volume).connect(context.destination);
    tone.start(at);
    tone.stop(at + 0.18);
  }
}
