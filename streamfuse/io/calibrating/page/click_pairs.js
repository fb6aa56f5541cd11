// The page for clicking point pairs: two panes, a list, and a fit that follows every change.

import { find, make, say, load } from "./dom.js";
import { Pane } from "./pane.js";

const BLINK_MS = 600;
const SIDES = ["visible", "infrared"];
const clicked = { visible: [], infrared: [] };
const panes = Object.fromEntries(SIDES.map((side) => [side, new Pane(find(side), (point) => place(side, point))]));
let least = 5;
let changes = 0;
let fitting = null;
let residuals = [];
let warped = null;
let blinking = 0;
let saved = false;

const complete = () => Math.min(clicked.visible.length, clicked.infrared.length);
const pairs = () => clicked.visible.slice(0, complete()).map((point, k) => [...point, ...clicked.infrared[k]]);

/** A new point, or, while its partner is missing, another place for it. */
function place(side, point) {
  if (saved) return;
  const points = clicked[side];
  if (points.length > complete()) points.pop();
  points.push(point);
  changed();
}

function undo() {
  if (saved) return;
  const most = Math.max(clicked.visible.length, clicked.infrared.length);
  for (const side of SIDES) clicked[side].length = Math.min(clicked[side].length, most - 1);
  changed();
}

function remove(number) {
  if (saved) return;
  for (const side of SIDES) clicked[side].splice(number, 1);
  changed();
}

function changed() {
  for (const side of SIDES) {
    panes[side].points = clicked[side];
    panes[side].draw();
    find(side).parentElement.classList.toggle("next", clicked[side].length < Math.max(...SIDES.map((s) => clicked[s].length)));
  }
  const open = SIDES.find((side) => clicked[side].length > complete());
  const other = open === "visible" ? "infrared" : "visible";
  say(find("order"), open ? `Click the same point in the ${other} picture`
    : complete() < least ? `Click a point that both pictures show: ${least - complete()} more` : "Add pairs, or save");
  tone(`${complete()} pairs`, "quiet");
  changes += 1;
  residuals = [];
  list();
  stopBlinking();
  warped = null;
  buttons();
  fitting ??= follow().finally(() => { fitting = null; });
}

/** One fit at a time, of what there is by then: quick clicks must not queue up. */
async function follow() {
  for (let seen = null; seen !== changes;) {
    seen = changes;
    if (complete() >= least) await fit(seen);
  }
}

function buttons() {
  find("undo").disabled = saved || !(clicked.visible.length || clicked.infrared.length);
  find("save").disabled = saved || complete() < least;
  find("blink").disabled = !warped;
}

function list(waiting = complete() < least ? "–" : "…") {
  const worst = Math.max(...residuals);
  find("pairs").tBodies[0].replaceChildren(...pairs().map((_, number) => make("tr",
    { dataset: residuals[number] > 3 && residuals[number] === worst ? { tone: "bad" } : {} },
    make("td", {}, `${number + 1}`),
    make("td", { className: "number" }, residuals.length ? `${residuals[number].toFixed(1)} px` : waiting),
    make("td", {}, make("button", { className: "text", textContent: "×", disabled: saved, title: `Remove pair ${number + 1}`, onclick: () => remove(number) })),
  )));
}

async function post(address) {
  const answer = await fetch(address, { method: "POST", body: JSON.stringify({ pairs: pairs() }) });
  if (!answer.ok) throw new Error((await answer.text()).trim());
  return answer.json();
}

async function picture(name, number) {
  const image = new Image();
  image.src = `picture.jpg?name=${name}&number=${number}`;
  await image.decode();
  return image;
}

/** Shows the fit of a change, unless another one has come since. */
async function fit(change) {
  try {
    const told = await post("fit");
    if (change !== changes) return;
    residuals = told.residual_px;
    list();
    tone(`${complete()} pairs, ${told.rms_px.toFixed(2)} px RMS`, told.rms_px < 3 ? "good" : "warn");
    const overlay = await picture("warped", told.number);
    if (change !== changes) return;
    warped = overlay;
    buttons();
  } catch (error) {
    if (change !== changes) return;
    tone(error.message, "bad");
    if (!residuals.length) list("–");
  }
}

const rms = (numbers) => Math.hypot(...numbers) / Math.sqrt(numbers.length);

function tone(words, kind) {
  say(find("state"), words);
  find("state").dataset.tone = kind;
}

function stopBlinking() {
  clearInterval(blinking);
  blinking = 0;
  find("blink").setAttribute("aria-pressed", "false");
  panes.visible.overlay = null;
  panes.visible.draw();
}

/** The infrared picture, moved by the fit, in turn with the visible one. */
function blink() {
  if (blinking) return stopBlinking();
  const turn = () => {
    panes.visible.overlay = panes.visible.overlay ? null : warped;
    panes.visible.draw();
  };
  find("blink").setAttribute("aria-pressed", "true");
  turn();
  blinking = setInterval(turn, BLINK_MS);
}

/** Nothing changes any more, and the fit under way is waited for: the server goes once the pairs are saved. */
async function save() {
  saved = true;
  list();
  buttons();
  try {
    await fitting;
    await post("save");
    tone(residuals.length ? `saved, ${rms(residuals).toFixed(2)} px RMS` : "saved", "good");
    say(find("order"), `${complete()} pairs are saved. The result is in the terminal.`);
  } catch (error) {
    saved = false;
    tone(error.message, "bad");
    list();
    buttons();
  }
}

async function start() {
  const news = await load("news.json?after=0");
  least = news.least;
  const images = await Promise.all(SIDES.map((side) => picture(side, news.number)));
  SIDES.forEach((side, number) => panes[side].setImage(images[number]));
  changed();
}

find("undo").addEventListener("click", undo);
find("blink").addEventListener("click", blink);
find("save").addEventListener("click", save);
addEventListener("keydown", ({ key, ctrlKey, metaKey }) => {
  if (key === "z" && !find("undo").disabled) undo();
  if (key === "b" && !ctrlKey && !metaKey && !find("blink").disabled) blink();
});
start().catch((error) => tone(error.message, "bad"));
