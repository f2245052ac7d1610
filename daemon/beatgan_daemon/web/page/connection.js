// The one socket of this tab: what the server says goes to the ward, wishes go back.
import { decodeRecords } from "./records.js";

const SILENT_MS = 2500;
/** Its word, passed on once a second, is older than what the page hears of the server. */
const DAEMON_SILENT_MS = 2200;
const RETRY_MS = 1000;
const SESSION_ENDED = 4401;

/**
 * @typedef {object} Listener
 * @property {(hello: {version: string, can_acknowledge: boolean, user: string | null, can_log_out?: boolean}) => void} hello
 * @property {(id: string, text: string) => void} refused
 * @property {() => void} opened
 */

export class Connection {
  /**
   * @param {import("./ward.js").Ward} ward
   * @param {Listener} listener
   */
  constructor(ward, listener) {
    this.ward = ward;
    this.listener = listener;
    /** @type {WebSocket | null} */
    this.socket = null;
    /** when the server was last heard, by performance.now() */
    this.heard = performance.now();
    /** the same by the clock on the wall */
    this.heardAt = Date.now();
    /** @type {number | null} */
    this.daemonSilence = null;
    this.aliveHeard = 0;
    /** @type {number | null} */
    this.tapSilence = null;
    /** @type {string[]} whose patients nothing is known of, where several daemons share them */
    this.missing = [];
    /** @type {string} */
    this.wish = "";
    /** whether the server answers, but lets this page in no more */
    this.shut = false;
    this.open();
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/ws`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onopen = () => {
      this.shut = false;
      this.ward.forgetSignals();
      this.listener.opened();
      if (this.wish) socket.send(this.wish);
    };
    socket.onmessage = (event) => this.take(event.data);
    socket.onclose = (event) => {
      if (event.code === SESSION_ENDED) location.reload(); // which asks for a name and password
      if (this.socket !== socket) return;
      this.socket = null;
      void this.askWhetherLetIn();
      setTimeout(() => this.open(), RETRY_MS);
    };
  }

  /** A socket does not say why it was refused; a page does. */
  async askWhetherLetIn() {
    try {
      const answer = await fetch("/", { method: "HEAD", redirect: "manual" });
      this.shut = answer.status === 401 || answer.type === "opaqueredirect";
    } catch {
      this.shut = false; // nobody answers
    }
  }

  /** @param {string | ArrayBuffer} data */
  take(data) {
    this.heard = performance.now();
    this.heardAt = Date.now();
    if (data instanceof ArrayBuffer) {
      for (const record of decodeRecords(data)) this.ward.addSamples(record);
      return;
    }
    const message = JSON.parse(data);
    const { ward } = this;
    switch (message.t) {
      case "hello":
        this.listener.hello(message);
        break;
      case "streams":
        ward.setStreams(message.streams);
        break;
      case "beats":
        ward.byIndex.get(message.i)?.addBeats(message.beats);
        break;
      case "rate": {
        const bed = ward.byIndex.get(message.i);
        if (bed) [bed.rate, bed.poor] = [message.hr, message.poor];
        break;
      }
      case "alert":
        ward.addAlarm(message);
        break;
      case "active":
        ward.setAlarms(message.alarms);
        break;
      case "refused":
        this.listener.refused(message.id, message.text);
        break;
      case "alive":
        this.daemonSilence = message.daemon_s;
        this.tapSilence = message.tap_s;
        this.missing = message.missing ?? [];
        this.aliveHeard = this.heard;
        break;
    }
  }

  /**
   * Why nothing on the page can be trusted, or null where it can.
   * @returns {{text: string, since: number} | null}
   */
  fault() {
    const now = performance.now();
    if (!this.socket || this.socket.readyState !== WebSocket.OPEN || now - this.heard > SILENT_MS)
      return { text: this.shut ? "NOT LOGGED IN" : "NO CONNECTION", since: this.heardAt };
    // Told once a second: what has passed since counts too, but a server that says no more is another fault.
    const silence = this.daemonSilence === null ? 0 : 1000 * this.daemonSilence + Math.min(1000, now - this.aliveHeard);
    if (silence > DAEMON_SILENT_MS) return { text: "NO WORD FROM THE DAEMON", since: Date.now() - silence };
    return null;
  }

  /**
   * The whole wish, in place of the earlier one.
   * @param {import("./ward.js").Want[]} streams
   */
  want(streams) {
    const wish = JSON.stringify({ t: "want", streams });
    if (wish === this.wish) return;
    this.wish = wish;
    const wanted = new Map(streams.map((want) => [want.stream, want]));
    for (const bed of this.ward.byName.values()) {
      const leads = wanted.get(bed.stream)?.leads ?? [];
      for (const lead of bed.signals.keys()) if (!leads.includes(lead)) bed.signals.delete(lead);
    }
    this.send(wish);
  }

  /**
   * @param {string} id
   * @param {string} name
   */
  acknowledge(id, name) {
    this.send(JSON.stringify({ t: "ack", id, name }));
  }

  /** @param {string} text */
  send(text) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(text);
  }
}
