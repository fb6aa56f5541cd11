// The canvas with the live picture: draws frames when the screen is ready for them, zooms and pans.

import { bestHeight, fullSize } from "./layout.js";
import { Painter } from "./painter.js";
import { release } from "./packet.js";

const MOST_ZOOM = 16;
const ZOOM_STEP = 1.25;

/** Events: `drawn` (detail: the frame), each time a new frame is on the screen. */
export class Stage extends EventTarget {
  painter = new Painter();
  paused = false;
  #canvas;
  #box;
  #settings;
  #frame = null;
  #fresh = false;
  #asked = false;
  #zoom = { x: 0.5, y: 0.5, factor: 1 };
  #panes = [];
  #fingers = new Map();

  /** @param canvas to draw on; it fills its parent  @param settings whose changes are drawn at once */
  constructor(canvas, settings) {
    super();
    this.#canvas = canvas;
    this.#box = canvas.parentElement;
    this.#settings = settings;
    new ResizeObserver(() => this.redraw()).observe(this.#box);
    settings.addEventListener("change", () => this.redraw());
    this.#listen();
  }

  /** The newest frame that was given, or null. */
  get frame() {
    return this.#frame;
  }

  /** Draw this frame as soon as the screen is ready. */
  show(frame) {
    if (this.paused) return release(frame);
    release(this.#frame);
    this.#frame = frame;
    this.#fresh = true;
    this.painter.trails.see(frame.record);
    this.redraw();
  }

  /** Draw the present frame again. */
  redraw() {
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => {
      this.#asked = false;
      this.#draw();
    });
  }

  /** Forget what belongs to the last server. */
  reset() {
    this.painter.trails.clear();
    this.painter.painted.forget();
  }

  /** Zoom by a factor around a point of the stage (CSS pixels), or around the middle. */
  zoomBy(factor, point = null) {
    const { x, y } = this.#share(point);
    const before = this.#zoom;
    const after = Math.min(MOST_ZOOM, Math.max(1, before.factor * factor));
    const kept = before.factor / after; // what lies under the point stays there
    this.#look({ x: x + (before.x - x) * kept, y: y + (before.y - y) * kept, factor: after });
  }

  /** The whole picture again. */
  zoomOut() {
    this.#look({ x: 0.5, y: 0.5, factor: 1 });
  }

  /** The present picture as PNG, at the resolution of the cameras; null before the first. */
  async snapshot() {
    if (this.#frame === null) return null;
    const settings = this.#values();
    const canvas = Object.assign(document.createElement("canvas"), fullSize(settings, this.#frame));
    const scale = Math.max(1, canvas.height / 720);
    this.painter.paint(canvas.getContext("2d"), this.#frame, settings, { zoom: null, scale });
    return new Promise((done) => canvas.toBlob(done, "image/png"));
  }

  #values() {
    return { ...this.#settings.values, layers: this.#settings.layers };
  }

  #draw() {
    const frame = this.#frame;
    const settings = this.#values();
    if (frame === null) return;
    if (Painter.suits(frame, settings)) this.#paint(frame, settings);
    if (this.#fresh) {
      this.#fresh = false;
      this.dispatchEvent(new CustomEvent("drawn", { detail: frame }));
    }
  }

  #paint(frame, settings) {
    const scale = devicePixelRatio;
    const aspect = frame.width / frame.height;
    this.#box.style.setProperty("--best-height", `${bestHeight(settings, this.#box.clientWidth, aspect)}px`);
    const width = Math.round(this.#box.clientWidth * scale);
    const height = Math.round(this.#box.clientHeight * scale);
    if (this.#canvas.width !== width || this.#canvas.height !== height) Object.assign(this.#canvas, { width, height });
    const zoom = this.#zoom.factor > 1 ? this.#zoom : null;
    this.#panes = this.painter.paint(this.#canvas.getContext("2d"), frame, settings, { zoom, scale });
    // What is on the screen, for tests and for scripts that look at the page.
    this.#canvas.dataset.frame = frame.number;
    this.#canvas.dataset.mode = settings.mode;
    this.#canvas.dataset.panes = JSON.stringify(this.#panes.map(({ box }) => [box.x, box.y, box.width, box.height]));
  }

  /** The pane under a point of the stage, and where in it the point lies, 0 to 1. */
  #place(point) {
    const x = point.x * devicePixelRatio;
    const y = point.y * devicePixelRatio;
    const plain = this.#panes.filter((pane) => !pane.framed);
    const hit = plain.find(({ box }) => x >= box.x && x < box.x + box.width && y >= box.y && y < box.y + box.height);
    const pane = hit ?? plain[0];
    if (pane === undefined) return null;
    return { box: pane.box, x: (x - pane.box.x) / pane.box.width, y: (y - pane.box.y) / pane.box.height };
  }

  /** The point of the whole picture under a point of the stage, as shares of its sides. */
  #share(point) {
    const place = point && this.#place(point);
    const { x, y, factor } = this.#zoom;
    return place ? { x: x + (place.x - 0.5) / factor, y: y + (place.y - 0.5) / factor } : { x, y };
  }

  #look({ x, y, factor }) {
    const edge = 0.5 / factor;
    const within = (value) => Math.min(1 - edge, Math.max(edge, value));
    this.#zoom = { x: within(x), y: within(y), factor };
    this.#canvas.classList.toggle("zoomed", factor > 1);
    this.dispatchEvent(new CustomEvent("zoom", { detail: factor }));
    this.redraw();
  }

  #listen() {
    const at = (event) => ({ x: event.offsetX, y: event.offsetY });
    this.#canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(ZOOM_STEP ** (-event.deltaY / 100), at(event));
    }, { passive: false });
    this.#canvas.addEventListener("dblclick", (event) =>
      this.#zoom.factor > 1 ? this.zoomOut() : this.zoomBy(3, at(event)));
    this.#canvas.addEventListener("pointerdown", (event) => {
      this.#canvas.setPointerCapture(event.pointerId);
      this.#fingers.set(event.pointerId, at(event));
    });
    this.#canvas.addEventListener("pointermove", (event) => this.#moved(event, at(event)));
    for (const kind of ["pointerup", "pointercancel"]) {
      this.#canvas.addEventListener(kind, (event) => this.#fingers.delete(event.pointerId));
    }
  }

  #moved(event, now) {
    const before = this.#fingers.get(event.pointerId);
    if (before === undefined) return;
    const others = [...this.#fingers].filter(([id]) => id !== event.pointerId);
    this.#fingers.set(event.pointerId, now);
    if (others.length > 0) {
      const [, other] = others[0];
      const grown = Math.hypot(now.x - other.x, now.y - other.y) / Math.hypot(before.x - other.x, before.y - other.y);
      this.zoomBy(grown, { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
      return;
    }
    const place = this.#place(now);
    if (place === null) return;
    if (this.#settings.values.mode === "split" && this.#zoom.factor === 1) {
      this.#settings.set({ mix: Math.round(Math.min(100, Math.max(0, 100 * place.x))) });
      return;
    }
    const { x, y, factor } = this.#zoom;
    const per = devicePixelRatio / factor;
    const moved = { x: (now.x - before.x) * per / place.box.width, y: (now.y - before.y) * per / place.box.height };
    this.#look({ x: x - moved.x, y: y - moved.y, factor });
  }
}
