// Health of the daemon, of the server, and of this page's own connection. What is wrong comes first.
import { health } from "./api.js";
import { h, setText } from "./dom.js";
import { COLUMNS, agoText, sections, streamRows, troubles } from "./health_words.js";

const ASK_EVERY_MS = 2000;

/** @param {[string, string][]} lines */
function list(lines) {
  return h("dl", {}, ...lines.flatMap(([term, value]) => [h("dt", {}, term), h("dd", { class: "number" }, value)]));
}

/** @param {import("./health_words.js").Answer[]} streams */
function table(streams) {
  if (!streams.length) return h("p", { class: "dim" }, "None.");
  const rows = streamRows(streams).map(({ stream, trouble, cells }) =>
    h(
      "tr",
      { class: trouble ? "anomalous" : null },
      h("td", {}, h("a", { href: `/s/${encodeURIComponent(stream)}` }, stream)),
      ...cells.map((cell) => h("td", { class: "number-left" }, cell)),
    ),
  );
  return h("table", {}, h("thead", {}, h("tr", {}, ...COLUMNS.map((column) => h("th", {}, column)))), h("tbody", {}, ...rows));
}

/**
 * @param {import("./app.js").App} app
 * @returns {import("./app.js").View}
 */
export function healthView(app) {
  let askedAt = -Infinity;
  let stopped = false;
  const verdict = h("p");
  const grafana = h("a", { class: "push", rel: "noreferrer", target: "_blank", hidden: true }, "Dashboards in Grafana");
  const wrong = h("ul", { class: "wrong", hidden: true });
  const connection = h("div");
  const cards = h("div", { class: "cards" });
  const streams = h("div", { class: "wide" });
  const element = h(
    "div",
    {},
    h("div", { class: "bar" }, h("h1", {}, "Health"), verdict, grafana),
    wrong,
    cards,
    h(
      "div",
      { class: "panel" },
      h("h2", {}, "Streams"),
      streams,
      h("p", { class: "dim" }, "-- is not known: the daemon tells of samples at a gap, and signal is known of streams that somebody looks at."),
    ),
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

  /** @param {import("./health_words.js").Answer} answer */
  function draw(answer) {
    const { ready } = answer;
    verdict.className = ready ? "ok" : ready === null ? "dim" : "bad";
    setText(verdict, ready ? "✓ the daemon is ready" : ready === null ? `whether the daemon is ready is ${answer.reason}` : "✗ the daemon is not ready");
    const sentences = troubles(answer);
    wrong.hidden = !sentences.length;
    wrong.replaceChildren(...sentences.map((sentence) => h("li", {}, sentence)));
    grafana.hidden = !answer.grafana;
    if (answer.grafana) grafana.href = answer.grafana;
    cards.replaceChildren(
      ...sections(answer).map(({ title, lines }) => h("div", { class: "panel" }, h("h2", {}, title), list(lines))),
      h("div", { class: "panel" }, h("h2", {}, "This page"), connection),
    );
    if (!streams.contains(document.activeElement)) streams.replaceChildren(table(answer.streams));
  }

  return {
    title: "Health",
    element,
    wants: () => [],
    frame: () => {},
    update: () => {
      const { connection: link } = app;
      connection.replaceChildren(
        list([
          ["Its server", link.socket?.readyState === WebSocket.OPEN ? "connected" : "no connection"],
          ["Last word of the daemon", agoText(link.daemonSilence)],
          ["Last signal", agoText(link.tapSilence)],
          ["Streams", String(app.ward.byName.size)],
          ["Alarms under way", String(app.ward.alarms.size)],
        ]),
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
