// Alarms: the list from the daemon's journal, and one of them with its strip and its reasons.
import { alarmDetail, alarmsSince } from "./api.js";
import { bannerText } from "./app.js";
import { comparison, componentTable } from "./compare.js";
import { choice, h, setText } from "./dom.js";
import { paperStrip } from "./paper.js";
import { PRIORITIES, ageText, alarmText, codeText, dateText, msOfNs, naturalOrder } from "./text.js";
import { isLater, latestFirst } from "./ward.js";

/** @typedef {import("./ward.js").Alarm} Alarm */

const ASK_EVERY_MS = 3000;

/** @param {Alarm} alarm */
function priorityMark(alarm) {
  const { sign, word } = PRIORITIES[alarm.priority];
  return h("span", { class: `mark ${alarm.priority}` }, `${sign} ${word}`);
}

/** @param {Alarm} alarm */
function stateText(alarm) {
  const seen = alarm.acknowledged ? `acknowledged${alarm.by ? ` by ${alarm.by}` : ""}` : "";
  if (alarm.phase === "end") return seen ? `over, ${seen}` : "over";
  if (alarm.latched) return "over, not acknowledged";
  return seen ? `under way, ${seen}` : "under way";
}

/**
 * @param {import("./app.js").App} app
 * @returns {import("./app.js").View}
 */
export function alarmListView(app) {
  /** @type {Map<string, Alarm>} the last message of each episode */
  const latest = new Map();
  /** @type {number | string | null} of several journals a number for each */
  let next = null;
  let asking = false;
  let askedAt = -Infinity;
  let priority = "all";
  let state = "all";
  let code = "all";
  let shown = "";
  const search = h("input", { type: "search", placeholder: "Stream ( / )", "aria-label": "alarms of which stream" });
  const codes = h("span");
  const count = h("span", { class: "dim push number" });
  const body = h("tbody");
  const empty = h("p", { class: "empty" }, "No alarm.");
  const element = h(
    "div",
    {},
    h(
      "div",
      { class: "bar" },
      h("h1", {}, "Alarms"),
      choice("Priority", [["all", "all"], ["high", "*** high"], ["medium", "** medium"], ["low", "* low"]], priority, (value) => (priority = value)),
      choice("State", [["all", "all"], ["open", "under way"], ["latched", "over, not acknowledged"], ["unseen", "not acknowledged"]], state, (value) => (state = value)),
      codes,
      search,
      count,
    ),
    h(
      "div",
      { class: "panel wide" },
      h("table", {}, h("thead", {}, h("tr", {}, ...["Priority", "Stream", "What", "Since", "State", "Seen"].map((title) => h("th", {}, title)))), body),
      empty,
    ),
  );

  /** @param {Alarm} alarm */
  function keep(alarm) {
    const known = latest.get(alarm.id);
    if (!known || isLater(alarm, known)) latest.set(alarm.id, alarm);
  }

  async function ask() {
    if (asking || performance.now() - askedAt < ASK_EVERY_MS) return;
    asking = true;
    askedAt = performance.now();
    try {
      for (let more = true; more; ) {
        const answer = await alarmsSince(next);
        answer.alarms.forEach(keep);
        more = answer.more && answer.next !== next;
        next = answer.next;
      }
    } catch (error) {
      app.say(`The journal could not be read: ${error instanceof Error ? error.message : error}`);
    }
    asking = false;
  }

  /** @param {Alarm} alarm */
  const matches = (alarm) =>
    (priority === "all" || alarm.priority === priority) &&
    (code === "all" || alarm.code === code) &&
    (state === "all" || (state === "open" && alarm.phase !== "end") || (state === "latched" && alarm.latched && alarm.phase !== "end") || (state === "unseen" && !alarm.acknowledged)) &&
    alarm.stream.toLowerCase().includes(search.value.trim().toLowerCase());

  function update() {
    void ask();
    app.ward.alarms.forEach(keep);
    const known = [...new Set([...latest.values()].map((alarm) => alarm.code))].sort(naturalOrder);
    if (codes.dataset.known !== known.join()) {
      codes.dataset.known = known.join();
      codes.replaceChildren(choice("What", [["all", "all"], .../** @type {[string, string][]} */ (known.map((one) => [one, codeText(one)]))], code, (value) => (code = value)));
    }
    const list = [...latest.values()].filter(matches).sort(latestFirst);
    setText(count, `${list.length} of ${latest.size}`);
    const shows = list.map((alarm) => `${alarm.id} ${alarm.shard} ${alarm.n}`).join();
    empty.hidden = list.length > 0;
    if (shows === shown) return;
    shown = shows;
    body.replaceChildren(
      ...list.map((alarm) =>
        h(
          "tr",
          { "data-id": alarm.id },
          h("td", {}, priorityMark(alarm)),
          h("td", {}, alarm.stream ? h("a", { href: `/s/${encodeURIComponent(alarm.stream)}` }, alarm.stream) : "daemon"),
          h("td", {}, h("a", { href: `/alarms/${encodeURIComponent(alarm.id)}` }, alarmText(alarm))),
          h("td", { class: "number" }, dateText(msOfNs(alarm.onset_ns))),
          h("td", {}, stateText(alarm)),
          h("td", {}, alarm.phase === "end" ? "" : app.acknowledgeButton(alarm)),
        ),
      ),
    );
  }

  return {
    title: "Alarms",
    element,
    wants: () => [],
    frame: () => {},
    update,
    key: (key) => {
      if (key !== "/") return false;
      search.focus();
      return true;
    },
    redraw: () => {},
    stop: () => {},
  };
}

/**
 * @param {import("./app.js").App} app
 * @param {string} id
 * @returns {import("./app.js").View}
 */
export function alarmView(app, id) {
  let stopped = false;
  let filtered = true;
  let askedFor = "";
  let askedAt = -Infinity;
  /** @type {import("./api.js").AlarmDetail | null} */
  let detail = null;
  const element = h("div", { class: "alarm" }, h("h1", {}, "Alarm"), h("p", { class: "empty" }, "Loading …"));

  async function load() {
    try {
      const answer = await alarmDetail(id);
      if (stopped) return;
      detail = answer;
      draw();
    } catch (error) {
      if (!stopped && !detail) element.replaceChildren(h("h1", {}, "Alarm"), h("p", { class: "empty" }, `This alarm cannot be shown: ${error instanceof Error ? error.message : error}`));
    }
  }

  function draw() {
    if (!detail?.messages.length) return;
    const { messages, explanation, strip } = detail;
    const alarm = /** @type {Alarm} */ (messages.at(-1));
    const start = messages[0];
    const path = `/api/alarms/${encodeURIComponent(id)}`;
    const facts = h("dl");
    const fact = (/** @type {string} */ name, /** @type {string | null | undefined} */ text) => {
      if (text) facts.append(h("dt", {}, name), h("dd", {}, text));
    };
    fact("Stream", alarm.stream || "the daemon itself");
    fact("Code", alarm.code);
    fact("Began", dateText(msOfNs(alarm.onset_ns)));
    fact("Known", start.raised_ns ? dateText(msOfNs(start.raised_ns)) : null);
    fact("Lead", alarm.lead);
    fact("Heart rate", alarm.heart_rate === undefined ? null : `${Math.round(alarm.heart_rate)}/min`);
    const scored = [...messages].reverse().find((message) => message.score !== null);
    fact("Score", scored ? `${Number(scored.score).toFixed(2)} (threshold ${Number(scored.threshold).toFixed(2)})${scored.class ? `, class ${scored.class}` : ""}` : null);
    const beats = new Set(messages.flatMap((message) => message.beats ?? [])).size;
    fact("Anomalous beats", beats ? String(beats) : null);
    fact("Delay", start.delay_ms ? `${(start.delay_ms.condition / 1000).toFixed(1)} s until the condition was there, ${Math.round(start.delay_ms.signal)} ms until it was told` : null);
    fact("Acknowledged", alarm.acknowledged ? `${alarm.by ?? "yes"}${alarm.acknowledged_ns ? `, ${dateText(msOfNs(alarm.acknowledged_ns))}` : ""}` : "nobody has");
    fact("State", stateText(alarm));
    fact("Shard", alarm.shard);
    fact("Number", `${alarm.n}, id ${alarm.id}`);
    const components = [...messages].reverse().find((message) => message.components)?.components;
    const flash = alarm.acknowledged || alarm.phase === "end" ? "" : "flash";
    element.replaceChildren(
      h(
        "div",
        { class: "bar" },
        h("h1", {}, `Alarm of ${alarm.stream || "the daemon"}`),
        alarm.stream ? h("a", { href: `/s/${encodeURIComponent(alarm.stream)}` }, "live trace") : null,
        h("a", { href: "/alarms" }, "all alarms"),
        h("span", { class: "push" }),
        h("button", { type: "button", class: "no-print", onclick: () => print() }, "Print"),
        strip || explanation ? h("a", { class: "no-print", href: `${path}.png`, download: true }, "PNG") : null,
        strip ? h("a", { class: "no-print", href: `${path}.zip`, download: true }, "WFDB") : null,
        alarm.phase === "end" ? null : app.acknowledgeButton(alarm),
      ),
      h("div", { class: `alarm-title ${alarm.priority} ${flash}` }, bannerText(alarm)),
      stripPanel(strip, alarm),
      h(
        "div",
        { class: "explained" },
        h("div", { class: "panel" }, h("h2", {}, "Expected against seen"), explanation ? comparison(explanation) : h("p", { class: "dim" }, "This alarm is not about the shape of a beat.")),
        h("div", { class: "panel" }, h("h2", {}, "Facts"), facts),
        components ? h("div", { class: "panel" }, h("h2", {}, "What the score is made of"), componentTable(components)) : null,
        h("div", { class: "panel" }, h("h2", {}, "What was told, and when"), phases(messages)),
      ),
      h("p", { class: "only-print" }, `beatgan ${app.version}: research software, not a medical device. Printed ${dateText(Date.now())}. True to scale where printed at 100 %.`),
    );
  }

  /**
   * @param {import("./api.js").Strip | null} strip
   * @param {Alarm} alarm
   */
  function stripPanel(strip, alarm) {
    if (!strip?.samples.length || !strip.samples[0].length)
      return h("div", { class: "panel" }, h("h2", {}, "Strip"), h("p", { class: "dim" }, detail?.why_no_strip ?? "No strip of this alarm is kept."));
    return h(
      "div",
      { class: "panel" },
      h(
        "div",
        { class: "bar" },
        h("h2", {}, "Strip"),
        h("span", { class: "dim" }, `25 mm/s · 10 mm/mV · ${filtered ? "monitor filter 0.5–40 Hz" : "no filter"} · shaded: the episode, dashed: its onset`),
        h("button", { type: "button", class: "no-print push", onclick: () => { filtered = !filtered; draw(); } }, filtered ? "Filter off" : "Filter on"),
      ),
      strip.note ? h("p", { class: "dim" }, strip.note) : null,
      paperStrip(strip, { from: alarm.onset_sample, to: alarm.end_sample }, filtered),
    );
  }

  /** @param {Alarm[]} messages */
  function phases(messages) {
    const at = (/** @type {Alarm} */ alarm) => (alarm.raised_ns ? dateText(msOfNs(alarm.raised_ns)) : "");
    return h(
      "div",
      { class: "wide" },
      h(
        "table",
        {},
        h("tbody", {}, ...messages.map((alarm) => h("tr", {}, h("td", { class: "number" }, at(alarm)), h("td", {}, priorityMark(alarm)), h("td", {}, alarm.phase), h("td", {}, `${alarmText(alarm)}${alarm.acknowledged ? ` · acknowledged${alarm.by ? ` by ${alarm.by}` : ""}` : ""}`)))),
      ),
    );
  }

  function update() {
    // The strip grows for 20 s after the alarm; a new message says something else.
    const known = app.ward.alarms.get(id);
    const n = `${known?.shard} ${known?.n}`;
    const now = performance.now();
    const young = detail !== null && Date.now() - msOfNs(detail.messages[0]?.raised_ns) < 40_000 && now - askedAt > 5000;
    if (n === askedFor && !young) return;
    askedFor = n;
    askedAt = now;
    void load();
  }

  return {
    title: "Alarm",
    element,
    wants: () => [],
    frame: () => {},
    update,
    key: (key) => {
      const alarm = app.ward.alarms.get(id);
      if (key !== "a" || !alarm) return false;
      app.acknowledge(alarm);
      return true;
    },
    redraw: () => {},
    stop: () => (stopped = true),
  };
}

/**
 * An alarm in a line, with a link to it.
 * @param {import("./app.js").App} app
 * @param {Alarm} alarm
 */
export function alarmLine(app, alarm) {
  const age = ageText((Date.now() - msOfNs(alarm.onset_ns)) / 1000);
  const flash = alarm.acknowledged ? "" : "flash";
  return h(
    "div",
    { class: `alarm-line ${alarm.priority} ${flash}` },
    h("span", { class: "sign" }, `${PRIORITIES[alarm.priority].sign} ${PRIORITIES[alarm.priority].word}`),
    h("a", { href: `/alarms/${encodeURIComponent(alarm.id)}` }, alarmText(alarm)),
    h("span", { class: "push" }, alarm.acknowledged ? `seen${alarm.by ? ` by ${alarm.by}` : ""}` : `for ${age}`),
    alarm.acknowledged ? null : app.acknowledgeButton(alarm),
  );
}
