// Why a beat is anomalous: what was seen over what was expected, and where the two part.
import { h, svg } from "./dom.js";

const WIDE = 600;
const HIGH = 260;
const CURVES = 200;

const COMPONENTS = {
  error: "reconstruction by the network",
  distance: "shape, against the patient's own beat",
  prematurity: "how early it comes",
  rr_surprisal: "how unlikely the interval is",
  log_odds: "how ectopic it looks to anybody",
};

/** @param {import("./ward.js").Explanation} explanation */
export function comparison(explanation) {
  const { window: seen, expected, error, reference, spread, fs } = explanation;
  const n = seen.length;
  const curves = [seen, expected, reference ?? []];
  const all = curves.flat().filter(Number.isFinite);
  const low = Math.min(...all);
  const high = Math.max(...all);
  const x = (/** @type {number} */ k) => 8 + (k / Math.max(1, n - 1)) * (WIDE - 16);
  const y = (/** @type {number} */ v) => Math.max(2, Math.min(CURVES - 2, 8 + (1 - (v - low) / (high - low || 1)) * (CURVES - 16)));
  const path = (/** @type {number[]} */ values) => values.map((v, k) => `${k ? "L" : "M"}${x(k).toFixed(1)} ${y(v).toFixed(1)}`).join("");
  const drawing = svg("svg", { class: "compare", viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": "the beat as seen and as expected, and where they differ" });
  if (spread) {
    const up = expected.map((v, k) => `${k ? "L" : "M"}${x(k).toFixed(1)} ${y(v + spread[k]).toFixed(1)}`).join("");
    const down = expected.map((_, k) => `L${x(n - 1 - k).toFixed(1)} ${y(expected[n - 1 - k] - spread[n - 1 - k]).toFixed(1)}`).join("");
    drawing.append(svg("path", { class: "spread", d: `${up}${down}Z` }));
  }
  if (reference) drawing.append(svg("path", { class: "reference", d: path(reference) }));
  drawing.append(svg("path", { class: "expected", d: path(expected) }), svg("path", { class: "window", d: path(seen) }));
  const most = Math.max(...error, 1e-9);
  const wide = (WIDE - 16) / n;
  error.forEach((e, k) => {
    const share = e / most;
    drawing.append(svg("rect", { class: "error", x: (8 + k * wide).toFixed(1), y: (HIGH - 4 - 44 * share).toFixed(1), width: (wide + 0.2).toFixed(2), height: (44 * share).toFixed(1) }));
  });
  const ms200 = (0.2 * fs * (WIDE - 16)) / Math.max(1, n - 1);
  drawing.append(svg("line", { x1: 8, y1: CURVES + 4, x2: 8 + ms200, y2: CURVES + 4 }), svg("text", { x: 10, y: CURVES - 2 }, "200 ms"));
  const entry = (/** @type {string} */ name, /** @type {string} */ text) => h("span", {}, h("b", { class: name }), text);
  return h(
    "div",
    {},
    drawing,
    h("p", { class: "key" }, entry("of-window", "seen"), entry("of-expected", "expected"), reference ? entry("of-reference", "the patient's own beat") : null, entry("of-error", "where it is unusual")),
  );
}

/**
 * What each part of the model adds to the score.
 * @param {Record<string, number>} components
 */
export function componentTable(components) {
  const rows = Object.entries(components).sort((a, b) => b[1] - a[1]);
  return h(
    "table",
    {},
    h("thead", {}, h("tr", {}, h("th", {}, "What is unusual"), h("th", { class: "number" }, "adds to the score"))),
    h("tbody", {}, ...rows.map(([key, value]) => h("tr", {}, h("td", {}, COMPONENTS[/** @type {keyof typeof COMPONENTS} */ (key)] ?? key), h("td", { class: "number" }, value.toFixed(2))))),
  );
}
