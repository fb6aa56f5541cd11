// Plays clips and recordings in a dialog.

import { closable, find, make } from "./dom.js";
import { clock, day, words } from "./format.js";

const PLAYABLE = ["fused", "visible", "infrared"];
const LOSSLESS = "raw_infrared"; // browsers cannot play it: it can be downloaded

/** The dialog with the video. */
export class Player {
  #dialog = find("player");
  #video = find("player-video");

  constructor() {
    closable(this.#dialog);
    this.#dialog.addEventListener("close", () => this.#load(null));
    this.#video.addEventListener("error", () => {
      if (this.#video.hasAttribute("src")) find("player-note").textContent = "This browser cannot play the video; download it instead.";
    });
  }

  /** Show the clip of an event. */
  clip(event) {
    const address = `api/events/${event.id}/clip.mp4`;
    this.#open(`${words(event.rule)} · ${day(event.began_utc)} ${clock(event.began_utc)}`, [address]);
    this.#load(address);
  }

  /** Show a recording, in the track that is chosen. */
  recording({ stem, begun_utc, tracks, has_index }) {
    const playable = PLAYABLE.filter((track) => tracks.includes(track));
    const files = playable.map((track) => `api/recordings/${stem}/${track}.mp4`);
    const lossless = tracks.includes(LOSSLESS) ? [`api/recordings/${stem}/${LOSSLESS}.mkv`] : [];
    const index = has_index ? [`api/recordings/${stem}/index.jsonl`] : [];
    this.#open(`${day(begun_utc)} ${clock(begun_utc)}`, [...files, ...lossless, ...index]);
    if (files.length === 0) {
      find("player-note").textContent = "No video of this segment can be played here.";
      return;
    }
    if (playable.length > 1) find("player-tracks").replaceChildren(...playable.map((track, at) => this.#choice(track, files[at], at === 0)));
    this.#load(files[0]);
  }

  #choice(track, address, checked) {
    const radio = make("input", { type: "radio", name: "track", checked });
    radio.addEventListener("change", () => this.#load(address, this.#video.currentTime));
    return make("label", {}, radio, make("span", {}, words(track)));
  }

  #open(title, files) {
    find("player-title").textContent = title;
    find("player-note").textContent = "";
    find("player-tracks").replaceChildren();
    find("player-links").replaceChildren(
      ...files.map((href) => make("a", { href, download: "" }, `Download ${href.split("/").at(-1)}`)));
    this.#dialog.showModal();
  }

  /** Play from a time on: all tracks of a segment have one timeline. */
  #load(address, from = 0) {
    if (address === null) {
      this.#video.pause();
      this.#video.removeAttribute("src");
      this.#video.load();
      return;
    }
    this.#video.src = address;
    this.#video.currentTime = from;
    this.#video.play().catch(() => {}); // browsers may want a press on play first
  }
}
