// Labels on plates, none of which lies on another one as far as there is room.

const MOST = 100; // among more nobody could read any

const css = ([r, g, b], alpha = 1) => `rgb(${r} ${g} ${b} / ${alpha})`;

/** The labels of one pane: what is told first has the best place. */
export class Plates {
  #context;
  #pane;
  #scale;
  #size;
  #taken = [];

  /**
   * @param context of the canvas
   * @param pane {x, y, width, height}; labels stay inside
   * @param scale canvas pixels per CSS pixel
   */
  constructor(context, pane, scale) {
    this.#context = context;
    this.#pane = pane;
    this.#scale = scale;
    this.#size = (pane.width / scale < 640 ? 10 : 12) * scale;
  }

  /** Whether there are so many that no further one would help. */
  get isFull() {
    return this.#taken.length >= MOST;
  }

  /** A caption above, below or in `box` ({left, top, bottom} on the canvas), on a plate of a colour. */
  add(caption, box, color) {
    this.#write();
    const size = { width: this.#context.measureText(caption).width + 0.8 * this.#size, height: 1.5 * this.#size };
    this.#taken.push({ caption, color, ...size, ...this.#freePlace(box, size) });
  }

  /** Draw them all, over everything else; where there is no room for all, the first ones lie on top. */
  draw() {
    const context = this.#context;
    this.#write();
    for (const { caption, color, x, y, width, height } of this.#taken.toReversed()) {
      context.fillStyle = css(color, 0.92);
      context.fillRect(x, y, width, height);
      context.fillStyle = color[0] + color[1] + color[2] > 380 ? "#000" : "#fff";
      context.fillText(caption, x + height * 0.27, y + height * 0.54);
    }
  }

  #write() {
    this.#context.font = `600 ${this.#size}px system-ui, sans-serif`;
    this.#context.textBaseline = "middle";
  }

  /** The nearest place where no other label lies; the nearest one of all, if there is none. */
  #freePlace({ left, top, bottom }, { width, height }) {
    const pane = this.#pane;
    const x = Math.max(pane.x, Math.min(left - this.#scale, pane.x + pane.width - width));
    const last = pane.y + pane.height - height;
    const heights = [top - height, bottom, top, top - 2 * height, top - 3 * height, bottom + height];
    const inside = heights.map(Math.round).filter((y) => y >= pane.y && y <= last);
    const y = inside.find((y) => this.#taken.every((other) =>
      x >= other.x + other.width || other.x >= x + width || y >= other.y + other.height || other.y >= y + height));
    return { x, y: y ?? inside[0] ?? Math.round(Math.max(pane.y, Math.min(top, last))) };
  }
}
