// Health of the daemon, of the server, and of this page's own connection.
import { health } from "./api.js";
import { h, setText } from "./dom.js";

const ASK_EVERY_MS = 2000;

/** @param {string} key such as "backlog_messages" */
function words(key) {
  return key.replaceAll("_", " ");
}

/**
 * @param {unknown} value
 * @returns {string}
 */
function valueText(value) {
  if (value === null || value === undefined) return "--";
  if (value === true) return "yes";
  if (value === false) return "no";
  if (typeof value === "number") return Number.isInteger(value) ? value.toLocaleString("en") : value.toPrecision(3);
  if (Array.isArray(value)) return value.map(valueText).join(", ");
  if (typeof value === "object") return Object.entries(value).map(([key, one]) => `${words(key)} ${valueText(one)}`).join(", ");
  return String(value);
}

/** @param {Record<string, unknown>} values */
function list(values) {
  return h("dl", {}, ...Object.entries(values).flatMap(([key, value]) => [h("dt", {}, words(key)), h("dd", { class: "number" }, valueText(value))]));
}

/**
 * @param {import("./app.js").App} app
 * @returns {import("./app.js").View}
 */
export function healthView(app) {
  let askedAt = -Infinity;
  let stopped = false;
  const verdict = h("p");
  const connection = h("div");
  const cards = h("div", { class: "cards" });
  const streams = h("div", { class: "wide" });
  const element = h(
    "div",
    {},
    h("div", { class: "bar" }, h("h1", {}, "Health"), verdict),
    cards,
    h("div", { class: "panel" }, h("h2", {}, "Streams"), streams),
  );

  async function load() {
    try {
      const answer = await health();
      if (!stopped) draw(answer);
    } catch (error) {
      setText(verdict, `The server cannot say: ${error instanceof Error ? error.message : error}`);
      verdict.className = "bad";
    }
  }

  /** @param {Record<string, unknown>} answer */
  function draw(answer) {
    const { ready, reason, streams: list_of_streams, ...rest } = answer;
    verdict.className = ready ? "ok" : ready === null ? "dim" : "bad";
    setText(verdict, ready ? "✓ ready" : ready === null ? `? whether it is ready is ${valueText(reason)}` : `✗ not ready: ${valueText(reason)}`);
    /** @type {Record<string, unknown>} */
    const single = {};
    const panels = [h("div", { class: "panel" }, h("h2", {}, "This page"), connection)];
    for (const [key, value] of Object.entries(rest)) {
      if (value && typeof value === "object" && !Array.isArray(value) && !Object.keys(value).length) continue;
      if (value && typeof value === "object" && !Array.isArray(value))
        panels.push(h("div", { class: "panel" }, h("h2", {}, words(key)), list(/** @type {Record<string, unknown>} */ (value))));
      else single[key] = value;
    }
    if (Object.keys(single).length) panels.push(h("div", { class: "panel" }, h("h2", {}, "Daemon"), list(single)));
    cards.replaceChildren(...panels);
    const rows = Array.isArray(list_of_streams) ? list_of_streams : [];
    const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((key) => key !== "i");
    streams.replaceChildren(
      rows.length
        ? h(
            "table",
            {},
            h("thead", {}, h("tr", {}, ...columns.map((key) => h("th", {}, words(key))))),
            h(
              "tbody",
              {},
              ...rows.map((row) =>
                h("tr", {}, ...columns.map((key) => h("td", { class: typeof row[key] === "number" ? "number" : null }, key === "stream" ? h("a", { href: `/s/${encodeURIComponent(row[key])}` }, row[key]) : valueText(row[key])))),
              ),
            ),
          )
        : h("p", { class: "dim" }, "None."),
    );
  }

  return {
    title: "Health",
    element,
    wants: () => [],
    frame: () => {},
    update: () => {
      const { connection: link } = app;
      connection.replaceChildren(
        list({
          server: link.socket?.readyState === WebSocket.OPEN ? "connected" : "no connection",
          last_word_of_the_daemon: link.daemonSilence === null ? "--" : `${link.daemonSilence.toFixed(1)} s ago`,
          last_signal: link.tapSilence === null ? "--" : `${link.tapSilence.toFixed(1)} s ago`,
          streams: app.ward.byName.size,
          alarms_under_way: app.ward.alarms.size,
          version: app.version || "--",
        }),
      );
      if (performance.now() - askedAt < ASK_EVERY_MS) return;
      askedAt = performance.now();
      void load();
    },
    key: () => false,
    redraw: () => {},
    stop: () => (stopped = true),
  };
}
