// What every view shares: the ward, the connection, sound, and what stands above each view.
import { Connection } from "./connection.js";
import { byId, h, setText } from "./dom.js";
import { Sound } from "./sound.js";
import { forgetColours } from "./sweep.js";
import { PRIORITIES, alarmText, clockText, countdownText, msOfNs } from "./text.js";
import { Ward } from "./ward.js";

/** @typedef {import("./ward.js").Alarm} Alarm */
/**
 * @typedef {object} View
 * @property {string} title
 * @property {HTMLElement} element
 * @property {() => import("./ward.js").Want[]} wants
 * @property {(now: number, still: boolean) => void} frame draw what moves
 * @property {() => void} update follow the ward, some times a second
 * @property {(key: string) => boolean} key whether it was of use
 * @property {() => void} redraw after another theme
 * @property {() => void} stop
 */

const THEMES = ["auto", "dark", "light", "dim"];

export class App {
  constructor() {
    this.ward = new Ward();
    this.sound = new Sound();
    this.mayAcknowledge = false;
    /** @type {string | null} */
    this.user = null;
    this.version = "";
    /** @type {View | null} */
    this.view = null;
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.bannerShows = "";
    this.theme = localStorage.getItem("theme") ?? "auto";
    this.saidUntil = 0;
    /** how often a trace was drawn; tests and people with a console read it */
    this.frames = 0;
    this.connection = new Connection(this.ward, {
      hello: (hello) => {
        this.mayAcknowledge = hello.can_acknowledge;
        this.user = hello.user;
        this.version = hello.version;
        this.showUser(hello.can_log_out ? hello.user : null);
        this.bannerShows = "";
      },
      refused: (_id, text) => this.say(`Not acknowledged: ${text}`),
      opened: () => this.view?.redraw(),
    });
    byId("sound").addEventListener("click", () => void this.sound.toggle().then(() => this.showSound()));
    byId("pause").addEventListener("click", () => this.pauseSound());
    byId("log-out").addEventListener("click", () => void this.logOut());
    byId("theme").addEventListener("click", () => this.nextTheme());
    matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => this.applyTheme());
    this.applyTheme();
  }

  /** Some times a second. */
  update() {
    const now = performance.now() / 1000; // not the clock on the wall: setting it would silence alarms
    const worst = this.ward.alarmsInOrder()[0];
    this.sound.tick(now, worst && !worst.acknowledged ? worst.priority : null);
    this.showBanner(worst);
    this.showFault();
    this.showSound();
    setText(byId("clock"), clockText(Date.now()));
    if (this.saidUntil < now) byId("said").hidden = true;
    this.view?.update();
    this.connection.want(document.hidden ? [] : (this.view?.wants() ?? []));
  }

  /** @param {string | null} user who can log out */
  showUser(user) {
    byId("log-out").hidden = user === null;
    setText(byId("log-out"), `Log out ${user ?? ""}`);
  }

  async logOut() {
    await fetch("/logout", { method: "POST", redirect: "manual" });
    location.assign("/login");
  }

  showFault() {
    const fault = this.connection.fault();
    document.body.classList.toggle("fault", fault !== null);
    const element = byId("fault");
    element.hidden = fault === null;
    const way = this.connection.shut ? ". Log in again, or open the address that beatgan-daemon web has printed" : "";
    if (fault) setText(element, `${fault.text} since ${clockText(fault.since)}: nothing below is live${way}`);
    const { missing } = this.connection;
    byId("missing").hidden = fault !== null || !missing.length;
    setText(byId("missing"), missing.join(" · "));
    document.title = `${fault ? `${fault.text} · ` : ""}${this.view?.title ?? ""} · beatgan`;
  }

  /** @param {Alarm | undefined} worst */
  showBanner(worst) {
    const banner = byId("banner");
    const alarms = [...this.ward.alarms.values()];
    const counts = /** @type {const} */ (["high", "medium", "low"]).map((priority) => ({
      priority,
      open: alarms.filter((alarm) => alarm.priority === priority).length,
    }));
    const quiet = this.connection.fault() ? "Alarms unknown" : this.connection.missing.length ? "No alarm of those that are heard" : "No alarm";
    const shows = JSON.stringify([worst, counts, this.mayAcknowledge, quiet]);
    if (shows === this.bannerShows) return;
    this.bannerShows = shows;
    banner.hidden = false;
    const flash = worst && !worst.acknowledged ? "flash" : "";
    banner.className = worst ? `${worst.priority} ${flash}` : "none";
    setText(byId("banner-text"), worst ? bannerText(worst) : quiet);
    const tools = byId("banner-tools");
    const had = tools.contains(document.activeElement);
    tools.replaceChildren();
    for (const { priority, open } of counts)
      if (open) tools.append(h("span", { class: `count ${priority}` }, `${PRIORITIES[priority].sign} ${open} ${PRIORITIES[priority].word}`));
    if (worst) {
      tools.append(
        h("button", { type: "button", class: "to-alarm", onclick: () => this.go(`/alarms/${encodeURIComponent(worst.id)}`) }, "Show"),
        this.acknowledgeButton(worst),
      );
      if (had) tools.querySelector("button")?.focus();
    }
  }

  /** @param {Alarm} alarm */
  acknowledgeButton(alarm) {
    return h(
      "button",
      {
        type: "button",
        class: "acknowledge",
        disabled: alarm.acknowledged || !this.mayAcknowledge,
        title: this.mayAcknowledge ? "a" : "You may look on, not acknowledge.",
        onclick: (event) => {
          event.preventDefault();
          this.acknowledge(alarm);
        },
      },
      alarm.acknowledged ? "Acknowledged" : "Acknowledge",
    );
  }

  /**
   * Ask who it is, where the server does not know, and ask the daemon. It is acknowledged when the
   * daemon says so.
   * @param {Alarm} alarm
   */
  acknowledge(alarm) {
    if (!this.mayAcknowledge) return this.say("You may look on, not acknowledge.");
    if (alarm.acknowledged) return;
    const dialog = /** @type {HTMLDialogElement} */ (byId("acknowledge"));
    const name = /** @type {HTMLInputElement} */ (byId("acknowledge-name"));
    setText(byId("acknowledge-what"), bannerText(alarm));
    byId("acknowledge-who").hidden = this.user !== null;
    name.value = this.user ?? sessionStorage.getItem("name") ?? "";
    dialog.returnValue = "";
    dialog.onclose = () => {
      if (dialog.returnValue !== "yes") return;
      const who = name.value.trim();
      sessionStorage.setItem("name", who);
      this.connection.acknowledge(alarm.id, who);
    };
    dialog.showModal();
  }

  pauseSound() {
    if (this.sound.on) this.sound.pause(performance.now() / 1000);
    this.showSound();
  }

  showSound() {
    const { sound } = this;
    const left = sound.pausedUntil - performance.now() / 1000;
    const paused = sound.on && left > 0;
    const state = !sound.on ? "off" : paused ? "paused" : "on";
    const button = byId("sound");
    button.dataset.state = state;
    button.setAttribute("aria-pressed", String(sound.on));
    setText(button, { off: "SOUND OFF", paused: `SOUND PAUSED ${countdownText(left)}`, on: "Sound on" }[state]);
    byId("pause").hidden = !sound.on;
    setText(byId("pause"), paused ? "End pause" : "Pause sound");
  }

  nextTheme() {
    this.theme = THEMES[(THEMES.indexOf(this.theme) + 1) % THEMES.length];
    localStorage.setItem("theme", this.theme);
    this.applyTheme();
  }

  applyTheme() {
    document.documentElement.dataset.theme = this.theme;
    setText(byId("theme"), `Theme: ${this.theme}`);
    forgetColours();
    this.view?.redraw();
  }

  /** @param {string} text */
  say(text) {
    const said = byId("said");
    said.hidden = false;
    setText(said, text);
    this.saidUntil = performance.now() / 1000 + 8;
  }

  /** @param {string} path */
  go(path) {
    history.pushState(null, "", path);
    dispatchEvent(new PopStateEvent("popstate"));
  }
}

/** @param {Alarm} alarm */
export function bannerText(alarm) {
  const { sign, word } = PRIORITIES[alarm.priority];
  const since = `since ${clockText(msOfNs(alarm.onset_ns))}`;
  const seen = alarm.acknowledged ? `seen${alarm.by ? ` by ${alarm.by}` : ""}` : `${alarm.latched && !alarm.text ? "over, " : ""}nobody has seen it`;
  return `${sign} ${word} · ${alarm.stream || "daemon"} · ${alarmText(alarm)} · ${since} · ${seen}`;
}
