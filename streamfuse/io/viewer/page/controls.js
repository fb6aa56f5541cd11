// The form below the picture, and the keyboard.

import { find, make } from "./dom.js";
import { words } from "./format.js";
import { MODES } from "./settings.js";

const TOGGLES = { b: "boxes", m: "masks", t: "tracks", c: "counts" };
const MIX_STEP = 5;

/** Connect the form, the buttons and the keys with the settings and the stage. */
export function connectControls({ settings, stage, live }) {
  const form = find("controls");
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", ({ target }) => settings.set({ [target.name]: valueOf(target) }));
  form.addEventListener("click", ({ target, detail }) => {
    // After a press with mouse or finger the arrow keys are for the slider, not for the next mode.
    if (detail > 0 && target.type === "radio") find("picture").focus({ preventScroll: true });
  });
  const pause = () => setPaused({ stage, live }, !stage.paused);
  const swap = () => settings.set({ inset: settings.values.inset === "infrared" ? "visible" : "infrared" });
  const save = () => savePicture(stage, settings);
  for (const [id, act] of Object.entries({ pause, swap, snapshot: save, full: fullScreen })) {
    find(id).addEventListener("click", act);
  }
  find("help").addEventListener("click", () => find("keys").showModal());
  const show = () => showSettings(form, settings, stage);
  settings.addEventListener("change", ({ detail }) => {
    show();
    if ("mode" in detail || "inset" in detail) {
      live.want(settings.layers);
      // A picture that stands still lacks the layers of another mode: the next one brings them.
      if (stage.paused) setPaused({ stage, live }, false);
    }
  });
  stage.addEventListener("zoom", ({ detail: factor }) => {
    find("zoom").hidden = factor === 1;
    find("zoom").textContent = `${factor.toFixed(1)} ×`;
  });
  const keys = {
    " ": pause, s: save, f: fullScreen, x: swap, "?": () => find("keys").showModal(),
    p: () => nextPalette(settings, stage),
    "+": () => stage.zoomBy(1.5), "=": () => stage.zoomBy(1.5), "-": () => stage.zoomBy(1 / 1.5), 0: () => stage.zoomOut(),
    ArrowLeft: () => mix(settings, -MIX_STEP), ArrowRight: () => mix(settings, MIX_STEP),
  };
  MODES.forEach((mode, index) => (keys[index + 1] = () => settings.set({ mode })));
  for (const [key, name] of Object.entries(TOGGLES)) keys[key] = () => settings.set({ [name]: !settings.values[name] });
  document.addEventListener("keydown", (event) => pressed(event, keys));
  show();
  return { showPalettes: () => listPalettes(form, settings, stage) };
}

function valueOf({ type, value, checked }) {
  if (type === "checkbox") return checked;
  return type === "range" ? Number(value) : value;
}

function pressed(event, keys) {
  const typing = event.target.closest("input, select, textarea, video, [role=tab]");
  const pressing = event.key === " " && event.target.closest("button, a");
  if (event.ctrlKey || event.metaKey || event.altKey || pressing || document.querySelector("dialog[open]")) return;
  if (typing && (typing.type !== "checkbox" || event.key === " ") && !isLetterOn(typing, event.key)) return;
  const act = keys[event.key] ?? keys[event.key.toLowerCase()];
  if (act === undefined) return;
  event.preventDefault();
  act();
}

/** Letters mean nothing to radio buttons and sliders, so they go on to the picture. */
const isLetterOn = ({ type }, key) => (type === "radio" || type === "range" || type === "checkbox") && /^[a-z0-9?]$/i.test(key);

function showSettings(form, settings, stage) {
  const { values } = settings;
  for (const element of form.elements) {
    if (element.type === "radio") element.checked = element.value === values[element.name];
    else if (element.type === "checkbox") element.checked = values[element.name];
    else if (element.name in values) element.value = values[element.name];
  }
  find("mix-option").hidden = !["blend", "split"].includes(values.mode);
  find("swap").hidden = values.mode !== "inset";
  find("palette-option").hidden = !settings.paintsInfrared;
  find("ramp").style.background = stage.painter.painted.gradient(values.palette);
}

function listPalettes(form, settings, stage) {
  const names = stage.painter.painted.names;
  form.elements.palette.replaceChildren(
    ...names.map((value) => make("option", { value, textContent: words(value) })),
  );
  showSettings(form, settings, stage);
}

function nextPalette(settings, stage) {
  const names = stage.painter.painted.names;
  if (names.length) settings.set({ palette: names[(names.indexOf(settings.values.palette) + 1) % names.length] });
}

function mix(settings, step) {
  settings.set({ mix: Math.min(100, Math.max(0, settings.values.mix + step)) });
}

function setPaused({ stage, live }, paused) {
  stage.paused = paused;
  const button = find("pause");
  button.setAttribute("aria-pressed", String(paused));
  button.setAttribute("aria-label", paused ? "Go on" : "Pause");
  button.querySelector("use").setAttribute("href", paused ? "#i-play" : "#i-pause");
  if (!paused && stage.frame) live.ready(stage.frame.number);
}

function fullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else find("live").requestFullscreen?.();
}

async function savePicture(stage, settings) {
  const { frame } = stage;
  const picture = await stage.snapshot();
  if (picture === null) return;
  const when = frame.record.capture_utc.replaceAll(/[-:]/g, "").replace(/\.\d+/, "");
  const link = make("a", {
    href: URL.createObjectURL(picture),
    download: `${frame.status.pipeline ?? "streamfuse"}-${when}-${settings.values.mode}.png`,
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000); // the browser may still be reading it
}
