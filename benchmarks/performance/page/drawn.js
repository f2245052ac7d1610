// Runs in the page before its own scripts: counts in how many animation frames each trace was drawn to.
(() => {
  const drawn = new Map();
  let moment = 0;
  let frames = [];
  const { stroke } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.stroke = function (...path) {
    const { canvas } = this;
    if (canvas.className === "trace") {
      const of = drawn.get(canvas) ?? { moment: -1, frames: 0 };
      if (of.moment !== moment) {
        of.moment = moment;
        of.frames++;
        drawn.set(canvas, of);
        if (frames.at(-1) !== moment) frames.push(moment);
      }
    }
    return stroke.apply(this, path);
  };
  const next = (now) => {
    moment = now;
    requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
  /** What was drawn since the last call: frames of each trace, and when (ms) any was. */
  globalThis.drawnSince = () => {
    const told = { traces: [...drawn.values()].map((of) => of.frames), moments: frames };
    drawn.clear();
    frames = [];
    return told;
  };
})();
