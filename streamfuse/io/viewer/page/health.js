// How the run is: cameras, workers, what was lost, and how long things take.

import { find, make } from "./dom.js";
import { bytes, count, number, words } from "./format.js";

const TONES = { running: "good", live: "good", done: "quiet", starting: "warn", restarting: "warn", reconnecting: "warn", opening: "warn" };
const CAUSES = {
  skipped: "skipped: read too slowly", corrupt: "damaged", network: "lost on the network", superseded: "a newer one was ready",
  engine_busy: "fusion was busy", unpaired: "no partner", late: "too late", frozen: "camera frozen (shutter)",
  overrun: "overwritten while read", worker_lost: "a worker died", stopped: "run stopped",
};

/** The panel; takes the message that the server sends each second. */
export class Health {
  #drawnPerS = 0;

  /** Pictures that this page has drawn in the last second. */
  page(drawnPerS) {
    this.#drawnPerS = drawnPerS;
  }

  /** @param health as status.json has it, or null @param viewers how many pages look */
  show({ health, viewers }) {
    find("health-mark").hidden = health?.ready ?? true;
    if (find("panel-health").hidden) return;
    const sections = [table("This page", [["Pictures drawn", `${number(this.#drawnPerS, 1)} fps`], ["Browsers that look", count(viewers)]])];
    if (health) {
      sections.unshift(readiness(health));
      const { summary } = health;
      sections.splice(1, 0, cameras(summary), pairs(summary), workers(health.workers), drops(summary), timings(summary), sinks(summary));
    } else sections.unshift(make("p", { className: "nothing" }, "The run has not told of its health yet."));
    find("health").replaceChildren(...sections.filter(Boolean));
  }
}

function readiness({ ready, reasons }) {
  const text = ready ? "The run is well" : "Not ready";
  const list = reasons?.length ? make("ul", {}, ...reasons.map((reason) => make("li", {}, reason))) : null;
  return make("div", { className: "verdict", dataset: { tone: ready ? "good" : "bad" } }, make("strong", {}, text), list);
}

function cameras({ streams = {}, cameras: live = {} }) {
  const rows = Object.entries(streams).map(([stream, { captured }]) => {
    const camera = live[stream];
    return [words(stream), camera ? mark(camera.state) : "played", camera ? count(camera.reconnects) : "", count(captured)];
  });
  return table("Cameras", rows, ["", "", "lost", "pictures"]);
}

function pairs({ states = {}, offset, registration }) {
  const rows = Object.entries(states).filter(([, n]) => n > 0).map(([state, n]) => [words(state), count(n)]);
  if (typeof offset?.estimate_ms === "number") rows.push(["time offset seen in the pictures", number(offset.estimate_ms, 1, "ms")]);
  if (registration?.shift_px) rows.push(["the rig is off by", number(Math.hypot(...registration.shift_px), 1, "px")]);
  return rows.length ? table("Pairs", rows) : null;
}

function workers(all = {}) {
  const rows = Object.entries(all).map(([role, { state, restarts, rss_bytes }]) => [words(role), mark(state), count(restarts), bytes(rss_bytes)]);
  return rows.length ? table("Workers", rows, ["", "", "restarts", "memory"]) : null;
}

function drops({ streams = {} }) {
  const rows = Object.entries(streams).flatMap(([stream, { dropped }]) =>
    Object.entries(dropped).filter(([, n]) => n > 0).map(([cause, n]) => [words(stream), CAUSES[cause] ?? words(cause), count(n)]));
  return table("Dropped pictures", rows.length ? rows : [["none"]]);
}

function timings({ stages = {}, latency_ms: latency }) {
  const rows = Object.entries(stages).map(([stage, { p50_ms, p95_ms }]) => [words(stage), number(p50_ms, 1), number(p95_ms, 1)]);
  if (latency) rows.push(["capture to sinks", number(latency.p50, 1), number(latency.p95, 1)]);
  return rows.length ? table("Milliseconds", rows, ["", "p50", "p95"]) : null;
}

function sinks({ sinks: all = {} }) {
  const rows = Object.entries(all).map(([sink, { written, dropped, failed }]) => [words(sink), count(written), count(dropped), count(failed)]);
  return rows.length ? table("Outputs", rows, ["", "taken", "skipped", "failed"]) : null;
}

function mark(state) {
  return make("span", { className: "mark", dataset: { tone: TONES[state] ?? "bad" } }, words(state));
}

function table(title, rows, head = null) {
  const cell = (content, at) =>
    at === 0
      ? make("th", { scope: "row" }, content)
      : make("td", { className: /^[-–\d]/.test(content) ? "number" : "" }, content);
  const body = make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map(cell))));
  const heading = head && make("thead", {}, make("tr", {}, ...head.map((cell) => make("th", { scope: "col" }, cell))));
  return make("table", {}, make("caption", {}, title), heading, body);
}
