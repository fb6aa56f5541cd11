// The page: connects the socket, the stage, the controls and the panels. Nothing else happens here.

import { connectControls } from "./controls.js";
import { closable, find, load } from "./dom.js";
import { Events } from "./events.js";
import { Figures } from "./figures.js";
import { Health } from "./health.js";
import { Live } from "./live.js";
import { Player } from "./player.js";
import { Recordings } from "./recordings.js";
import { Settings } from "./settings.js";
import { Stage } from "./stage.js";
import { connectTabs } from "./tabs.js";

const settings = new Settings();
const stage = new Stage(find("picture"), settings);
const live = new Live();
const figures = new Figures({ isPaused: () => stage.paused });
const player = new Player();
const events = new Events(player);
const recordings = new Recordings(player);
const health = new Health();
const controls = connectControls({ settings, stage, live });
closable(find("keys"));

let news = { health: null, viewers: 1 };
let drawn = 0;
let countedAt = performance.now();

live.addEventListener("frame", ({ detail: frame }) => {
  events.see(frame);
  stage.show(frame);
});
live.addEventListener("link", ({ detail: state }) => {
  if (state === "login") location.assign("login");
  else figures.link(state);
});
live.addEventListener("server", () => {
  stage.reset();
  events.refresh();
  recordings.refresh();
  learnPalettes();
});
live.addEventListener("news", ({ detail }) => {
  const now = performance.now();
  health.page((1000 * drawn) / (now - countedAt));
  [drawn, countedAt] = [0, now];
  news = detail;
  health.show(news);
});
stage.addEventListener("drawn", ({ detail: frame }) => {
  drawn += 1;
  figures.drawn(frame);
  live.ready(frame.number);
});

async function learnPalettes() {
  try {
    stage.painter.painted.learn(await load("api/palettes"));
    controls.showPalettes();
  } catch {
    // grey until the server answers: it is asked again when the socket is open
  }
}

connectTabs(settings, (name) => {
  if (name === "recordings") recordings.refresh();
  if (name === "health") health.show(news);
});
live.want(settings.layers);
live.start();
events.start();
recordings.start();
