// What the person has chosen; kept in the browser from visit to visit.

const KEY = "streamfuse-viewer";

export const MODES = ["fused", "visible", "infrared", "side", "blend", "split", "inset"];

/** The layers that each mode shows, as the server names them. */
const LAYERS = {
  fused: ["fused"],
  visible: ["visible"],
  infrared: ["infrared"],
  side: ["visible", "infrared"],
  blend: ["visible", "infrared"],
  split: ["visible", "infrared"],
  inset: ["fused", "infrared"],
};

const DEFAULTS = {
  mode: "fused",
  mix: 50,
  palette: "white-hot",
  inset: "infrared",
  boxes: true,
  masks: true,
  tracks: true,
  counts: true,
  tab: "events",
};

function kept() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY)) ?? {};
    const known = Object.entries(DEFAULTS).filter(([key, value]) => typeof found[key] === typeof value);
    const settings = Object.fromEntries(known.map(([key]) => [key, found[key]]));
    if (!MODES.includes(settings.mode)) delete settings.mode;
    return settings;
  } catch {
    return {}; // nothing kept, or the browser keeps nothing
  }
}

/** Values of DEFAULTS; `set` tells who listens for `change`. */
export class Settings extends EventTarget {
  constructor() {
    super();
    this.values = { ...DEFAULTS, ...kept() };
  }

  set(changes) {
    Object.assign(this.values, changes);
    try {
      localStorage.setItem(KEY, JSON.stringify(this.values));
    } catch {
      // private windows may keep nothing: the choice lasts as long as the page
    }
    this.dispatchEvent(new CustomEvent("change", { detail: changes }));
  }

  /** What the server is to send for the present mode. */
  get layers() {
    const { mode, inset } = this.values;
    return mode === "inset" ? ["fused", inset] : LAYERS[mode];
  }

  /** Whether the present mode shows infrared on its own, which a palette can paint. */
  get paintsInfrared() {
    return this.layers.includes("infrared");
  }
}
