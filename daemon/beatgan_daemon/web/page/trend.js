// A curve of the last minutes or hours: interval or score, ten seconds a step.
import { h } from "./dom.js";

export class Trend {
  /**
   * @param {"rr" | "score"} of
   * @param {string} label
   */
  constructor(of, label) {
    this.of = of;
    this.label = label;
    this.canvas = h("canvas", { class: "trend", role: "img", "aria-label": label });
  }

  /**
   * @param {import("./ward.js").Bed} bed
   * @param {number} span_s
   */
  draw(bed, span_s) {
    const { canvas } = this;
    const context = canvas.getContext("2d");
    const wide = canvas.clientWidth;
    const high = canvas.clientHeight;
    if (!context || !wide) return;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(wide * ratio);
    canvas.height = Math.round(high * ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const style = getComputedStyle(document.documentElement);
    const now = Date.now() / 1000;
    const steps = bed.trend.filter((step) => step.at > now - span_s && !Number.isNaN(step[this.of]));
    const top = Math.max(this.of === "rr" ? 1200 : 10, ...steps.map((step) => step[this.of]));
    const y = (/** @type {number} */ v) => high - 20 - (v / top) * (high - 28);
    context.font = "11px system-ui, sans-serif";
    context.strokeStyle = style.getPropertyValue("--line");
    context.fillStyle = style.getPropertyValue("--dim-text");
    for (const share of [0, 0.5, 1]) {
      context.beginPath();
      context.moveTo(36, y(top * share));
      context.lineTo(wide, y(top * share));
      context.stroke();
      context.fillText((top * share).toFixed(0), 2, y(top * share) + 4);
    }
    context.fillText(span_s >= 3600 ? `${span_s / 3600} h ago` : `${span_s / 60} min ago`, 36, high - 5);
    context.textAlign = "end";
    context.fillText("now", wide, high - 5);
    context.textAlign = "start";
    context.strokeStyle = style.getPropertyValue(this.of === "rr" ? "--trace" : "--anomalous");
    context.lineWidth = 1.5;
    context.beginPath();
    let before = -Infinity;
    for (const step of steps) {
      const x = wide - ((now - step.at) / span_s) * (wide - 36);
      if (step.at - before > 25) context.moveTo(x - 1, y(step[this.of]));
      context.lineTo(x, y(step[this.of]));
      before = step.at;
    }
    context.stroke();
    const last = steps.at(-1);
    canvas.setAttribute("aria-label", `${this.label}: ${last ? last[this.of].toFixed(this.of === "rr" ? 0 : 1) : "none yet"} at last`);
  }
}
