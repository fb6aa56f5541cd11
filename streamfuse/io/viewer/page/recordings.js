// The list of recordings.

import { find, load, make } from "./dom.js";
import { bytes, clock, day, span, words } from "./format.js";

const LOOK_EVERY_MS = 10_000;

/** Segments of video, newest first, by day. */
export class Recordings {
  #known = "";

  constructor(player) {
    this.player = player;
  }

  /** Look again from time to time, while the list is seen. */
  start() {
    setInterval(() => document.hidden || find("panel-recordings").hidden || this.refresh(), LOOK_EVERY_MS);
  }

  /** Ask the server for the list. */
  async refresh() {
    try {
      this.#show(await load("api/recordings"));
    } catch {
      // the socket's state tells that the server is away; the list stays as it was
    }
  }

  #show(recordings) {
    const state = JSON.stringify(recordings);
    if (state === this.#known) return;
    this.#known = state;
    if (recordings.length === 0) return find("recordings").replaceChildren(nothing());
    let last = "";
    const newest = [...recordings].sort((one, other) => (one.begun_utc < other.begun_utc ? 1 : -1));
    const rows = newest.flatMap((recording) => {
      const heading = day(recording.begun_utc) !== last ? (last = day(recording.begun_utc)) : null;
      return [heading && make("li", { className: "day" }, heading), this.#row(recording)].filter(Boolean);
    });
    find("recordings").replaceChildren(...rows);
  }

  #row(recording) {
    const { duration_s, nbytes, tracks } = recording;
    const about = [duration_s === null ? null : span(duration_s), bytes(nbytes), ...tracks.map(words)].filter(Boolean);
    const button = make("button", { type: "button", className: "card", disabled: recording.is_open },
      make("span", { className: "about" },
        make("strong", {}, clock(recording.begun_utc), recording.is_open ? make("em", {}, "recording") : null),
        make("small", {}, about.join(" · "))));
    button.addEventListener("click", () => this.player.recording(recording));
    return make("li", {}, button);
  }
}

function nothing() {
  return make("li", { className: "nothing" },
    make("p", {}, "No recordings yet."),
    make("p", {}, make("code", {}, "record"), " of the pipeline file says where they go."));
}
