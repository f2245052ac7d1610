// Where the page begins: which view the address names, and what makes it move.
import { alarmListView, alarmView } from "./alarms.js";
import { App } from "./app.js";
import { byId } from "./dom.js";
import { healthView } from "./health.js";
import { streamView } from "./stream.js";
import { wallView } from "./wall.js";

const FRAME_MS = 1000 / 30;
const UPDATE_MS = 250;

const app = new App();

/**
 * @param {string} part of an address
 * @returns {string} as it is where it is badly encoded: no stream, no alarm is called so
 */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/**
 * @param {string} path
 * @returns {import("./app.js").View}
 */
function viewOf(path) {
  const [, room, ...rest] = path.split("/");
  const name = decoded(rest.join("/"));
  if (room === "s" && name) return streamView(app, name);
  if (room === "alarms") return name ? alarmView(app, name) : alarmListView(app);
  if (room === "health") return healthView(app);
  return wallView(app);
}

function route() {
  app.view?.stop();
  app.view = viewOf(location.pathname);
  byId("view").replaceChildren(app.view.element);
  scrollTo(0, 0);
  for (const link of document.querySelectorAll("nav a")) {
    const there = link.getAttribute("href") === `/${location.pathname.split("/")[1]}`;
    if (there) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  app.update();
}

addEventListener("popstate", route);
// Links within the page keep the connection, and the sound.
document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link || event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (link.origin !== location.origin || link.target || link.hasAttribute("download") || link.pathname.startsWith("/api/")) return;
  event.preventDefault();
  app.go(link.pathname);
});
document.addEventListener("keydown", (event) => {
  const { target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (target instanceof HTMLInputElement || target instanceof HTMLSelectElement || document.querySelector("dialog[open]")) return;
  if (app.view?.key(event.key)) event.preventDefault();
  else if (event.key === "p") app.pauseSound();
  else if (event.key === "a") {
    const worst = app.ward.alarmsInOrder().find((alarm) => !alarm.acknowledged);
    if (worst) app.acknowledge(worst);
  } else return;
  event.preventDefault();
});
document.addEventListener("visibilitychange", () => app.update());

let last = 0;
/** @param {number} now */
function frame(now) {
  requestAnimationFrame(frame);
  if (now - last < FRAME_MS - 4) return;
  last = now;
  if (app.connection.fault()) return; // what is not live does not move
  app.view?.frame(now, app.still.matches);
  app.frames++;
  document.documentElement.dataset.frames = String(app.frames);
}

route();
requestAnimationFrame(frame);
setInterval(() => app.update(), UPDATE_MS);
