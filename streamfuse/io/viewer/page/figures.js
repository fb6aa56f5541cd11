// The line at the top: the state of the pair and the live numbers.

import { find, say } from "./dom.js";
import { number, words } from "./format.js";

const FIGURES = { fps: [1, "fps"], latency_ms: [0, "ms"], skew_ms: [1, "ms"], infrared_age_ms: [0, "ms"], detections: [0, ""] };
const SLOW_MS = 2000; // without a new picture for longer, it is called stale
const LATE_MS = 2000; // pictures that come, but are older when they are fused, are called late
const NUMBERS_EVERY_MS = 250; // faster, nobody can read them

/** Knows whether pictures come, and says so. */
export class Figures {
  #link = "connecting";
  #drawnAt = null;
  #status = null;
  #shownAt = 0;

  constructor({ isPaused }) {
    this.isPaused = isPaused;
    setInterval(() => this.#judge(), 250);
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.#drawnAt !== null) this.#drawnAt = performance.now();
    });
  }

  /** The state of the socket. */
  link(state) {
    this.#link = state;
    if (state === "open" && this.#drawnAt !== null) this.#drawnAt = performance.now();
    this.#judge();
  }

  /** A new picture is on the screen. */
  drawn({ status, record }) {
    this.#drawnAt = performance.now();
    this.#status = { ...status, state: record.state };
    if (this.#drawnAt - this.#shownAt >= NUMBERS_EVERY_MS) {
      this.#shownAt = this.#drawnAt;
      for (const [key, [digits, unit]] of Object.entries(FIGURES)) say(find(key), number(status[key], digits, unit));
      if (status.pipeline) say(find("pipeline"), status.pipeline);
    }
    this.#judge();
  }

  /** What there is to say: text, tone, and what lies over the picture when it is not live. */
  #verdict() {
    const silent = this.#drawnAt === null ? 0 : performance.now() - this.#drawnAt;
    if (this.isPaused()) return ["paused", "warn", null];
    if (this.#link === "lost") return ["no connection", "bad", "No connection to the viewer. Trying again …"];
    if (this.#drawnAt === null) return ["waiting", "warn", "Waiting for the first picture …"];
    if (this.#link === "connecting") return ["connecting", "warn", "Connecting …"];
    if (silent > SLOW_MS) return ["stale", "bad", `Stale: no new picture for ${Math.round(silent / 1000)} s`];
    const { state, latency_ms } = this.#status;
    const is_matched = state === "matched";
    if (latency_ms > LATE_MS) return [is_matched ? "late" : `late · ${words(state)}`, "warn", null];
    return [words(state), is_matched ? "good" : "warn", null];
  }

  #judge() {
    if (document.hidden) return;
    const [text, tone, veil] = this.#verdict();
    const state = find("state");
    say(state, text);
    state.dataset.tone = tone;
    say(find("veil"), veil ?? "");
    find("veil").hidden = veil === null;
    find("stage").classList.toggle("stale", veil !== null && this.#drawnAt !== null);
    document.title = `${tone === "good" ? "" : `${text} · `}${this.#status?.pipeline ?? "viewer"} – streamfuse`;
  }
}
