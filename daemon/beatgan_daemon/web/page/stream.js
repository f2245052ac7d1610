// One stream: all its leads, its alarms, its beats, trends, and what can be measured on the trace.
import { alarmLine } from "./alarms.js";
import { comparison } from "./compare.js";
import { choice, h, setAttribute, setText } from "./dom.js";
import { PX_PER_MM, Sweep } from "./sweep.js";
import { ageText, alarmText, heartRateText } from "./text.js";
import { Trend } from "./trend.js";

const BEATS_LISTED = 24;

/**
 * @param {import("./app.js").App} app
 * @param {string} name
 * @returns {import("./app.js").View}
 */
export function streamView(app, name) {
  let mmPerS = 25;
  let gain = "1";
  let filtered = true;
  let frozen = false;
  let span_s = 600;
  let leadsShown = "";
  let beatsShown = "";
  let alarmsShown = "";
  let explained = "";
  let trendsAt = 0;
  let twinAt = 0;
  /** @type {Sweep[]} */
  let sweeps = [];
  const leads = h("div", { class: "panel leads" });
  const measured = h("div", { class: "measured", hidden: true });
  const rate = h("div", { class: "big" }, "--");
  const facts = h("dl");
  const alarms = h("div");
  const beats = h("tbody");
  const why = h("div", { class: "panel", hidden: true });
  const freeze = h("button", { type: "button", "aria-pressed": "false", title: "f", onclick: () => setFrozen(!frozen) }, "Freeze");
  const filter = h("button", { type: "button", onclick: () => setFiltered(!filtered) }, "Filter 0.5–40 Hz");
  const trends = [new Trend("rr", "RR interval, ms"), new Trend("score", "highest score")];
  const element = h(
    "div",
    {},
    h(
      "div",
      { class: "bar" },
      h("h1", {}, name),
      choice("Speed", [["6.25", "6.25 mm/s"], ["12.5", "12.5 mm/s"], ["25", "25 mm/s"], ["50", "50 mm/s"]], "25", (value) => {
        mmPerS = Number(value);
        rescale();
      }),
      choice("Gain", [["0.5", "5 mm/mV"], ["1", "10 mm/mV"], ["2", "20 mm/mV"], ["auto", "auto"]], "1", (value) => {
        gain = value;
        rescale();
      }),
      filter,
      freeze,
      h("span", { class: "dim" }, "drag over a trace to measure"),
    ),
    h(
      "div",
      { class: "stream" },
      h(
        "div",
        { class: "side" },
        leads,
        h(
          "div",
          { class: "panel" },
          h(
            "div",
            { class: "bar" },
            h("h2", {}, "Trends"),
            h("span", { class: "dim" }, "since this page was opened"),
            choice("Span", [["600", "10 min"], ["3600", "1 h"], ["28800", "8 h"]], "600", (value) => {
              span_s = Number(value);
              trendsAt = 0;
            }),
          ),
          ...trends.map((trend) => h("div", {}, h("span", { class: "dim" }, trend.label), trend.canvas)),
        ),
        why,
      ),
      h(
        "div",
        { class: "side" },
        h("div", { class: "panel" }, h("span", { class: "dim" }, "Heart rate, 1/min"), rate, facts),
        h("div", { class: "panel" }, h("h2", {}, "Alarms under way"), alarms),
        h(
          "div",
          { class: "panel" },
          h("h2", {}, "Beats"),
          h(
            "div",
            { class: "scroll", tabindex: 0, role: "region", "aria-label": "beats" },
            h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, "Class"), h("th", { class: "number" }, "RR ms"), h("th", { class: "number" }, "Score"), h("th", {}, "Signal"))), beats),
          ),
        ),
      ),
    ),
  );

  /** @param {boolean} value */
  function setFrozen(value) {
    frozen = value;
    freeze.setAttribute("aria-pressed", String(value));
    setText(freeze, value ? "FROZEN: go on" : "Freeze");
    if (!value) for (const sweep of sweeps) sweep.redraw();
  }

  /** @param {boolean} value */
  function setFiltered(value) {
    filtered = value;
    setText(filter, value ? "Filter 0.5–40 Hz" : "Filter off");
    rescale();
  }

  function rescale() {
    for (const sweep of sweeps) {
      sweep.mmPerS = mmPerS;
      sweep.mmPerMv = gain === "auto" ? fittingGain(sweep) : 10 * Number(gain);
      sweep.filtered = filtered;
      sweep.resize();
    }
  }

  /** @param {Sweep} sweep */
  function fittingGain(sweep) {
    const ring = sweep.signal?.shown;
    if (!ring) return 10;
    let most = 0.2;
    for (let k = Math.max(ring.start, ring.end - ring.capacity / 6); k < ring.end; k++) most = Math.max(most, Math.abs(ring.highAt(Math.floor(k))) || 0);
    return Math.min(40, (sweep.middle / PX_PER_MM / most) * 0.9);
  }

  /** @param {import("./ward.js").Bed} bed */
  function buildLeads(bed) {
    for (const sweep of sweeps) sweep.stop();
    sweeps = bed.leads.map(() => new Sweep({ mmPerS, mmPerMv: gain === "auto" ? 10 : 10 * Number(gain), filtered }));
    for (const sweep of sweeps.slice(1)) sweep.leader = sweeps[0];
    leads.replaceChildren(
      ...sweeps.map((sweep, k) => {
        const lead = h("div", { class: "lead" }, h("span", { class: "lead-name" }, bed.leads[k]), sweep.element);
        calliper(lead, sweep);
        return lead;
      }),
      measured,
    );
  }

  /**
   * Time and height between two points, by dragging.
   * @param {HTMLElement} lead
   * @param {Sweep} sweep
   */
  function calliper(lead, sweep) {
    const box = h("div", { class: "caliper", hidden: true });
    lead.append(box);
    /** @type {{x: number, y: number} | null} */
    let from = null;
    lead.addEventListener("pointerdown", (event) => {
      const place = lead.getBoundingClientRect();
      from = { x: event.clientX - place.left, y: event.clientY - place.top };
      lead.setPointerCapture(event.pointerId);
      box.hidden = measured.hidden = true;
    });
    lead.addEventListener("pointermove", (event) => {
      if (!from) return;
      const place = lead.getBoundingClientRect();
      const x = event.clientX - place.left;
      const y = event.clientY - place.top;
      box.hidden = measured.hidden = false;
      box.style.left = `${Math.min(x, from.x)}px`;
      box.style.top = `${Math.min(y, from.y)}px`;
      box.style.width = `${Math.abs(x - from.x)}px`;
      box.style.height = `${Math.abs(y - from.y)}px`;
      const ms = (Math.abs(x - from.x) / sweep.pxPerS) * 1000;
      const mv = Math.abs(y - from.y) / (sweep.mmPerMv * PX_PER_MM);
      setText(measured, `${ms.toFixed(0)} ms · ${ms > 0 ? (60000 / ms).toFixed(0) : "--"}/min · ${mv.toFixed(2)} mV`);
    });
    lead.addEventListener("pointerup", () => (from = null));
  }

  function update() {
    const bed = app.ward.byName.get(name);
    if (!bed) {
      setText(leads, `There is no stream ${name} now.`);
      leadsShown = "";
      return;
    }
    if (bed.leads.join("\n") !== leadsShown) {
      leadsShown = bed.leads.join("\n");
      buildLeads(bed);
    }
    setText(rate, heartRateText(bed.state === "ok" || bed.state === "suspended" ? bed.rate : null, bed.poor));
    const now = performance.now();
    listFacts(bed);
    listAlarms();
    listBeats(bed);
    explain(bed);
    if (now - trendsAt > 1000) {
      trendsAt = now;
      for (const trend of trends) trend.draw(bed, span_s);
    }
    if (now - twinAt > 10_000 || !twinAt) {
      twinAt = now;
      const [alarm] = app.ward.alarmsInOrder(name);
      sweeps.forEach((sweep, k) =>
        setAttribute(sweep.trace, "aria-label", `ECG of ${name}, lead ${bed.leads[k]}: heart rate ${heartRateText(bed.rate, bed.poor)} a minute, ${alarm ? `${alarm.priority} alarm, ${alarmText(alarm)}` : "no alarm"}, signal ${bed.quality || "unknown"}`),
      );
    }
  }

  /** @param {import("./ward.js").Bed} bed */
  function listFacts(bed) {
    const last = bed.beats.at(-1);
    const states = { ok: "watched", silent: `no data for ${ageText(bed.age)}`, suspended: "not judged", shed: "not served: overload", ended: "ended" };
    const lines = [
      ["State", states[/** @type {keyof typeof states} */ (bed.state)] ?? bed.state],
      ["Signal", bed.quality || "unknown"],
      ["Lead in use", bed.leads[bed.leadInUse] ?? "--"],
      ["Sampled at", `${bed.fs} Hz`],
      ["Last RR", last?.rr_ms ? `${last.rr_ms.toFixed(0)} ms` : "--"],
    ];
    const text = lines.flat().join("\n");
    if (facts.dataset.text === text) return;
    facts.dataset.text = text;
    facts.replaceChildren(...lines.flatMap(([term, value]) => [h("dt", {}, term), h("dd", { class: "number" }, value)]));
  }

  function listAlarms() {
    const list = app.ward.alarmsInOrder(name);
    const shows = `${Math.floor(Date.now() / 5000)} ${list.map((alarm) => `${alarm.id} ${alarm.n}`).join()}`;
    if (shows === alarmsShown || alarms.contains(document.activeElement)) return;
    alarmsShown = shows;
    alarms.replaceChildren(...(list.length ? list.map((alarm) => alarmLine(app, alarm)) : [h("p", { class: "dim" }, "None.")]));
  }

  /** @param {import("./ward.js").Bed} bed */
  function listBeats(bed) {
    const list = bed.beats.slice(-BEATS_LISTED).reverse();
    const shows = list.map((beat) => `${beat.sample} ${beat.score}`).join();
    if (shows === beatsShown) return;
    beatsShown = shows;
    beats.replaceChildren(
      ...list.map((beat) =>
        h(
          "tr",
          { class: beat.anomalous ? "anomalous" : null },
          h("td", {}, beat.class ?? "?"),
          h("td", { class: "number" }, beat.rr_ms === null ? "--" : beat.rr_ms.toFixed(0)),
          h("td", { class: "number" }, beat.score === null ? "--" : `${beat.score.toFixed(1)}${beat.anomalous ? " !" : ""}`),
          h("td", {}, beat.quality),
        ),
      ),
    );
  }

  /** @param {import("./ward.js").Bed} bed */
  function explain(bed) {
    const { explanation } = bed;
    const shows = explanation ? `${explanation.sample}` : "";
    if (shows === explained) return;
    explained = shows;
    why.hidden = !explanation;
    if (explanation) why.replaceChildren(h("h2", {}, "The latest anomalous beat: expected against seen"), comparison(explanation));
  }

  return {
    title: name,
    element,
    wants: () => [{ stream: name, leads: app.ward.byName.get(name)?.leads.map((_, k) => k) ?? [0], zoom: "full" }],
    frame: (now, still) => {
      const bed = app.ward.byName.get(name);
      if (!bed || frozen) return;
      sweeps.forEach((sweep, k) => {
        sweep.show(bed, k);
        sweep.frame(now, still);
      });
    },
    update,
    key: (key) => {
      if (key === "f") setFrozen(!frozen);
      else if (key === "Escape") app.go("/");
      else if (key === "a") {
        const alarm = app.ward.alarmsInOrder(name).find((one) => !one.acknowledged);
        if (alarm) app.acknowledge(alarm);
      } else return false;
      return true;
    },
    redraw: () => {
      for (const sweep of sweeps) sweep.resize();
    },
    stop: () => {
      for (const sweep of sweeps) sweep.stop();
    },
  };
}
