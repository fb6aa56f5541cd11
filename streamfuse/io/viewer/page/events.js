// Events: those going on lie over the picture, those that were are a list with pictures and clips.

import { find, load, make } from "./dom.js";
import { clock, count, day, span, words } from "./format.js";

const LOOK_EVERY_MS = 5000;
const SOON_MS = 700; // until the recorder has the thumbnail of an event that has just begun

/** The list of clips, and what is going on now. */
export class Events {
  #going = new Map();
  #known = "";
  #timer = 0;

  constructor(player) {
    this.player = player;
  }

  /** Look into the list now, and then from time to time. */
  start() {
    setInterval(() => document.hidden || this.refresh(), LOOK_EVERY_MS);
    this.refresh();
  }

  /** What the newest frame says of the rules. */
  see({ record }) {
    const now = new Map((record.events ?? []).filter(({ phase }) => phase !== "ended").map((event) => [event.id, event]));
    const same = now.size === this.#going.size && [...now.keys()].every((id) => this.#going.has(id));
    this.#going = now;
    if (same) return;
    const alarms = [...now.values()].map(({ rule }) => make("li", {}, words(rule)));
    find("alarms").replaceChildren(...alarms);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.refresh(), SOON_MS);
  }

  /** Ask the server for the list. */
  async refresh() {
    try {
      this.#show(await load("api/events"));
    } catch {
      // the socket's state tells that the server is away; the list stays as it was
    }
  }

  #show(events) {
    const state = JSON.stringify([events, [...this.#going.keys()]]);
    if (state === this.#known) return;
    this.#known = state;
    const badge = find("events-count");
    badge.textContent = count(events.length);
    badge.hidden = events.length === 0;
    if (events.length === 0) return find("events").replaceChildren(nothing());
    let last = "";
    const rows = events.flatMap((event) => {
      const heading = event.began_utc && day(event.began_utc) !== last ? (last = day(event.began_utc)) : null;
      return [heading && make("li", { className: "day" }, heading), this.#row(event)].filter(Boolean);
    });
    find("events").replaceChildren(...rows);
  }

  #row(event) {
    const going = this.#going.has(event.id) || event.is_open;
    const picture = event.has_thumbnail
      ? make("img", { src: `api/events/${event.id}/thumbnail.jpg`, alt: "", loading: "lazy", width: 112, height: 84 })
      : null;
    const about = [event.began_utc && clock(event.began_utc), lengthOf(event), objectsOf(event)].filter(Boolean).join(" · ");
    const button = make(
      "button",
      { type: "button", className: "card", disabled: !event.has_clip },
      picture,
      make("span", { className: "about" },
        make("strong", {}, words(event.rule), going ? make("em", {}, "now") : null),
        make("small", {}, about),
        event.has_clip ? null : make("small", {}, going ? "going on" : "no clip"),
      ),
    );
    button.addEventListener("click", () => this.player.clip(event));
    return make("li", {}, button);
  }
}

function lengthOf({ began_utc, ended_utc }) {
  return began_utc && ended_utc ? span((new Date(ended_utc) - new Date(began_utc)) / 1000) : null;
}

/** How many of what the first picture showed, as the clip's description has it: {person: 2, car: 1}. */
function objectsOf({ classes }) {
  return Object.entries(classes ?? {}).map(([name, count]) => (count > 1 ? `${name} (${count})` : name)).join(", ");
}

function nothing() {
  return make("li", { className: "nothing" },
    make("p", {}, "No events yet."),
    make("p", {}, "A rule under ", make("code", {}, "events"), " of the pipeline file says what one is; the recorder keeps a clip of each."));
}
