// The wall: a tile for each stream, in an order that stays put.
import { choice, h, setAttribute, setText } from "./dom.js";
import { Sweep } from "./sweep.js";
import { PRIORITIES, ageText, alarmText, heartRateText } from "./text.js";

const TEXT_TWIN_MS = 10_000;
const GAIN_MS = 3000;
/** Of a trace that has to fit, and of one that may be drawn twice as high. */
const MOST_BEYOND = 0.03;
const FEW_BEYOND = 0.005;
const AWAY = { silent: "no data", suspended: "not judged", shed: "not served: overload", ended: "ended" };

/** @typedef {{mmPerS: number, mmPerMv: number, small: boolean}} Scale */
/** @type {Scale} */
const USUAL = { mmPerS: 25, mmPerMv: 10, small: false };
/** Of the smallest tiles, which have no room to name it each. @type {Scale} */
const SMALL = { mmPerS: 12.5, mmPerMv: 5, small: true };

/** @param {Scale} scale */
const scaleText = ({ mmPerS, mmPerMv }) => `${mmPerS} mm/s · ${mmPerMv} mm/mV · > 0.5 Hz`;

/** One stream on the wall. */
class Tile {
  /**
   * @param {string} stream
   * @param {Scale} scale
   * @param {IntersectionObserver} observer
   */
  constructor(stream, scale, observer) {
    this.stream = stream;
    this.visible = true;
    this.scale = scale;
    this.sweep = new Sweep({ ...scale, filtered: true });
    this.rate = h("span", { class: "tile-rate" }, "--");
    this.how = h("span", { class: "tile-how" });
    this.sign = h("span", { class: "sign" });
    this.words = h("span");
    this.alarm = h("div", { class: "tile-alarm calm" }, this.sign, this.words);
    this.element = h(
      "a",
      { class: "tile", href: `/s/${encodeURIComponent(stream)}`, "data-stream": stream },
      h("div", { class: "tile-head" }, h("span", { class: "tile-name" }, stream), this.how, this.rate, h("span", { class: "tile-unit" }, "/min")),
      this.sweep.element,
      this.alarm,
    );
    this.twinAt = 0;
    this.gainAt = 0;
    observer.observe(this.element);
  }

  /** @param {import("./app.js").App} app */
  update(app) {
    const bed = app.ward.byName.get(this.stream);
    if (!bed) return;
    const lead = bed.leadInUse;
    this.fit();
    const scale = `${bed.leads[lead] ?? ""} · ${scaleText({ ...this.scale, mmPerMv: this.sweep.mmPerMv })}`;
    const usual = this.sweep.mmPerMv === this.scale.mmPerMv;
    setText(this.how, this.scale.small && usual ? (bed.leads[lead] ?? "") : scale);
    setAttribute(this.how, "title", scale);
    const away = AWAY[/** @type {keyof typeof AWAY} */ (bed.state)];
    const gone = bed.state !== "ok" && bed.state !== "suspended";
    setText(this.rate, heartRateText(gone ? null : bed.rate, bed.poor));
    const [alarm] = app.ward.alarmsInOrder(this.stream);
    const priority = alarm?.priority;
    const flash = alarm && !alarm.acknowledged ? "flash" : "";
    setAttribute(this.element, "class", `tile ${priority ? `is-${priority}` : ""} ${gone ? "is-away" : ""} ${bed.state === "suspended" ? "is-unjudged" : ""}`);
    setAttribute(this.alarm, "class", `tile-alarm ${priority ? `${priority} ${flash}` : "calm"}`);
    const calm = app.connection.fault() ? "alarms unknown" : "no alarm";
    const quiet = away ? `${away}${gone ? `, ${ageText(bed.age)}` : ""}` : bed.quality === "good" || !bed.quality ? calm : `signal ${bed.quality}`;
    setText(this.sign, priority ? `${PRIORITIES[priority].sign} ${PRIORITIES[priority].word}` : "");
    const seen = alarm?.acknowledged ? `seen${alarm.by ? ` by ${alarm.by}` : ""} · ` : alarm?.latched ? "over · " : "";
    const words = alarm ? `${away ? `${quiet} · ` : ""}${seen}${alarmText(alarm)}` : quiet;
    setText(this.words, words);
    setAttribute(this.words, "title", words); // there may be no room for all of them
    const now = performance.now();
    if (now - this.twinAt < TEXT_TWIN_MS && this.twinAt) return;
    this.twinAt = now;
    setAttribute(
      this.sweep.trace,
      "aria-label",
      `ECG of ${bed.stream}, lead ${bed.leads[lead] ?? "unknown"}: heart rate ${heartRateText(bed.rate, bed.poor)} a minute, ` +
        `${alarm ? `${priority} alarm, ${alarmText(alarm)}` : "no alarm"}, signal ${bed.quality || "unknown"}`,
    );
  }

  /** A trace too high for its tile is drawn at half the gain, or a quarter; the tile says so. */
  fit() {
    const now = performance.now();
    if (now - this.gainAt < GAIN_MS) return;
    this.gainAt = now;
    const { sweep } = this;
    const gain = sweep.mmPerMv;
    if (gain > this.scale.mmPerMv / 4 && sweep.beyond(gain) > MOST_BEYOND) sweep.mmPerMv = gain / 2;
    else if (gain < this.scale.mmPerMv && sweep.beyond(2 * gain) < FEW_BEYOND) sweep.mmPerMv = 2 * gain;
    if (sweep.mmPerMv !== gain) sweep.resize();
  }

  /**
   * @param {import("./ward.js").Ward} ward
   * @param {number} now
   * @param {boolean} still
   */
  frame(ward, now, still) {
    const bed = ward.byName.get(this.stream);
    if (!bed || !this.visible) return;
    this.sweep.show(bed, bed.leadInUse);
    this.sweep.frame(now, still);
  }
}

/**
 * @param {import("./app.js").App} app
 * @returns {import("./app.js").View}
 */
export function wallView(app) {
  let size = Number(localStorage.getItem("wall-size") ?? 16);
  /** @type {"name" | "worst"} */
  let order = localStorage.getItem("wall-order") === "worst" ? "worst" : "name";
  let only = "all";
  let page = 0;
  let shown = "";
  /** @type {Map<string, Tile>} */
  const tiles = new Map();
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries)
      for (const tile of tiles.values()) if (tile.element === target) tile.visible = isIntersecting;
  }, { rootMargin: "100px" });

  const wall = h("div", { class: "wall", "data-size": size });
  const empty = h("p", { class: "empty" }, "No stream yet.");
  const search = h("input", { type: "search", placeholder: "Search ( / )", "aria-label": "search streams", oninput: () => (page = 0) });
  const drawn = h("span", { class: "dim" });
  const which = h("span", { class: "dim number" });
  const back = h("button", { type: "button", "aria-label": "page before", onclick: () => page-- }, "‹");
  const on = h("button", { type: "button", "aria-label": "next page", onclick: () => page++ }, "›");
  const element = h(
    "div",
    {},
    h(
      "div",
      { class: "bar" },
      h("h1", {}, "Wall"),
      choice("Order", [["name", "by name"], ["worst", "worst first"]], order, (value) => {
        order = value === "worst" ? "worst" : "name";
        localStorage.setItem("wall-order", order);
      }),
      choice("Show", [["all", "all"], ["alarm", "with an alarm"], ["unseen", "not acknowledged"], ["away", "without data"]], only, (value) => {
        only = value;
        page = 0;
      }),
      search,
      h("span", { class: "push" }),
      drawn,
      which,
      back,
      on,
      choice("Tiles", [["16", "16"], ["32", "32"], ["64", "64"]], String(size), (value) => {
        size = Number(value);
        page = 0;
        localStorage.setItem("wall-size", value);
        for (const tile of tiles.values()) tile.sweep.stop();
        tiles.clear();
        wall.replaceChildren();
        wall.dataset.size = value;
        shown = "";
      }),
    ),
    wall,
    empty,
  );

  const scale = () => (size === 64 ? SMALL : USUAL);

  /** @param {import("./ward.js").Bed} bed */
  const matches = (bed) => {
    const alarms = app.ward.alarmsInOrder(bed.stream);
    if (only === "alarm" && !alarms.length) return false;
    if (only === "unseen" && !alarms.some((alarm) => !alarm.acknowledged)) return false;
    if (only === "away" && bed.state === "ok") return false;
    return bed.stream.toLowerCase().includes(search.value.trim().toLowerCase());
  };

  function update() {
    const beds = app.ward.beds(order).filter(matches);
    const pages = Math.max(1, Math.ceil(beds.length / size));
    page = Math.max(0, Math.min(page, pages - 1));
    back.disabled = page === 0;
    on.disabled = page === pages - 1;
    setText(drawn, size === 64 ? scaleText(SMALL) : "");
    setText(which, `${beds.length} of ${app.ward.byName.size} · page ${page + 1} of ${pages}`);
    const names = beds.slice(page * size, (page + 1) * size).map((bed) => bed.stream);
    if (names.join(" ") !== shown) {
      shown = names.join(" ");
      for (const [name, tile] of tiles)
        if (!names.includes(name)) {
          observer.unobserve(tile.element);
          tile.sweep.stop();
          tile.element.remove();
          tiles.delete(name);
        }
      names.forEach((name, k) => {
        const tile = tiles.get(name) ?? new Tile(name, scale(), observer);
        tiles.set(name, tile);
        if (wall.children[k] !== tile.element) wall.insertBefore(tile.element, wall.children[k] ?? null);
      });
    }
    empty.hidden = names.length > 0;
    setText(empty, app.ward.byName.size ? "No stream is as searched for." : "No stream yet.");
    for (const tile of tiles.values()) tile.update(app);
  }

  /** @param {string} key */
  function key(key) {
    if (key === "/") {
      search.focus();
      return true;
    }
    const list = /** @type {HTMLElement[]} */ ([...wall.children]);
    const at = list.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    if (key === "a" && at >= 0) {
      const alarm = app.ward.alarmsInOrder(list[at].dataset.stream).find((one) => !one.acknowledged);
      if (alarm) app.acknowledge(alarm);
      return true;
    }
    const columns = getComputedStyle(wall).gridTemplateColumns.split(" ").length;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[key];
    if (step === undefined || !list.length) return false;
    list[at < 0 ? 0 : Math.max(0, Math.min(list.length - 1, at + step))].focus();
    return true;
  }

  return {
    title: "Wall",
    element,
    wants: () =>
      [...tiles.values()].filter((tile) => tile.visible).map((tile) => ({
        stream: tile.stream,
        leads: [app.ward.byName.get(tile.stream)?.leadInUse ?? 0],
        zoom: "wall",
      })),
    frame: (now, still) => {
      for (const tile of tiles.values()) tile.frame(app.ward, now, still);
    },
    update,
    key,
    redraw: () => {
      for (const tile of tiles.values()) tile.sweep.resize();
    },
    stop: () => {
      observer.disconnect();
      for (const tile of tiles.values()) tile.sweep.stop();
    },
  };
}
