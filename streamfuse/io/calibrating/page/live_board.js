// The page of a live calibration: asks for news for ever and draws them.

import { find, make, say, load } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const RETRY_MS = 1500;
const TONES = { take: "good", known: "good", moving: "warn", lost: "quiet", blurred: "bad" };

const views = new Map();

function shape(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function viewOf(name) {
  if (!views.has(name)) {
    const image = make("img", { alt: `Picture of the ${name} camera` });
    const drawing = shape("svg", { "aria-hidden": "true" });
    const caption = make("figcaption");
    const figure = make("figure", { id: `camera-${name}` }, make("div", { className: "frame" }, image, drawing), caption);
    find("cameras").append(figure);
    views.set(name, { image, drawing, caption, figure });
  }
  return views.get(name);
}

/** Where boards have been, then the points of the one that is seen now. */
function drawing({ size: [width, height], points, map }) {
  const across = width / map[0].length, down = height / map.length;
  const cells = map.flatMap((row, y) => row.map((count, x) => [x, y, count])).filter(([, , count]) => count);
  const tiles = cells.map(([x, y, count]) => shape("rect", {
    x: x * across, y: y * down, width: across, height: down, opacity: Math.min(0.12 + 0.05 * count, 0.4),
  }));
  const line = shape("polyline", { points: points.map((point) => point.join()).join(" ") });
  const dots = points.map(([cx, cy]) => shape("circle", { cx, cy, r: width / 220 }));
  return [...tiles, line, ...dots];
}

/** A picture and what was found in it appear together. */
async function show(camera, number, verdict) {
  const view = viewOf(camera.name);
  const next = new Image();
  next.src = `picture.jpg?name=${camera.name}&number=${number}`;
  await next.decode();
  view.image.src = next.src;
  view.drawing.setAttribute("viewBox", `-0.5 -0.5 ${camera.size.join(" ")}`);
  view.drawing.replaceChildren(...drawing(camera));
  view.figure.classList.toggle("taken", verdict === "take");
  say(view.caption, `${camera.name} · ${camera.points.length ? `${camera.points.length} points` : "no board"}`);
}

function describe(news) {
  say(find("order"), news.words);
  say(find("state"), news.finished ? "finished" : news.verdict);
  find("state").dataset.tone = news.finished ? "good" : TONES[news.verdict] ?? "quiet";
  say(find("shots"), news.wanted ? `${news.shots} of ${news.wanted}` : `${news.shots}`);
  say(find("covered"), `${Math.floor(news.progress * 100)} %`);
  find("progress").value = news.progress;
  find("needs").replaceChildren(...news.needs.map((words) => make("li", {}, words)));
  if (news.finished) find("stop").disabled = true;
}

async function run() {
  let number = 0;
  for (;;) {
    try {
      const news = await load(`news.json?after=${number}`);
      if (news.number !== number && news.cameras) {
        number = news.number;
        describe(news);
        await Promise.all(news.cameras.map((camera) => show(camera, number, news.verdict)));
      }
      if (news.finished) return;
    } catch {
      say(find("state"), "no answer");
      find("state").dataset.tone = "bad";
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

find("stop").addEventListener("click", async () => {
  find("stop").disabled = true;
  await fetch("stop", { method: "POST" });
});

run();
