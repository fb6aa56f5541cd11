// Labels on plates: not on each other, and not on the objects they speak of or what is around them. As in recordings.

const MOST = 100; // among more nobody could read any
const HARMLESS = 0.15; // how much of any object a label may hide without a second thought
const BEARABLE = 0.4; // how much, where there is no better place; beyond it there is no label

const css = ([r, g, b], alpha = 1) => `rgb(${r} ${g} ${b} / ${alpha})`;

/** The labels of one pane: what is told first has the best place. */
export class Plates {
  #context;
  #pane;
  #scale;
  #size;
  #taken = [];
  #objects = [];

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

  /** Height of the letters on the canvas. */
  get letter() {
    return this.#size;
  }

  /** Tell which boxes ({left, top, right, bottom} on the canvas) labels are to leave in view. */
  spare(boxes) {
    this.#objects = boxes.map((box) => ({ ...box, area: Math.max(1, (box.right - box.left) * (box.bottom - box.top)) }));
  }

  /**
   * Put one of some captions, longer ones first, at `box` on a plate of a colour.
   *
   * A shorter one in a good place goes before a longer one that hides objects; without a place there is none,
   * unless there must be one.
   */
  add(captions, box, color, { must = false } = {}) {
    this.#write();
    let best = null;
    for (const caption of captions) {
      const size = { width: this.#context.measureText(caption).width + 0.8 * this.#size, height: 1.5 * this.#size };
      for (const { x, y } of this.#around(box, size)) {
        const plate = { caption, color, ...size, x, y };
        if (!this.#taken.every((other) => areApart(plate, other))) continue;
        const harm = this.#harm(plate);
        if ((must || harm <= BEARABLE) && (best === null || harm < best.harm)) best = { harm, plate };
        if (harm <= HARMLESS) break;
      }
      if (best?.harm <= HARMLESS) break;
      if (must && best === null && caption === captions.at(-1)) best = { plate: { caption, color, ...size, ...this.#nearest(box, size) } };
    }
    if (best !== null) this.#taken.push(best.plate);
  }

  /** Draw them all, over everything else. */
  draw() {
    const context = this.#context;
    this.#write();
    for (const { caption, color, x, y, width, height } of this.#taken.toReversed()) {
      context.fillStyle = css(color, 0.92);
      context.fillRect(x, y, width, height);
      context.fillStyle = isBright(color) ? "#000" : "#fff";
      context.fillText(caption, x + height * 0.27, y + height * 0.54);
    }
  }

  #write() {
    this.#context.font = `600 ${this.#size}px system-ui, sans-serif`;
    this.#context.textBaseline = "middle";
  }

  /** Places that touch a box and are within the pane, the most usual first. */
  #around({ left, top, right, bottom }, { width, height }) {
    const pane = this.#pane;
    const [lastX, lastY] = [pane.x + pane.width - width, pane.y + pane.height - height];
    const inwards = (x) => Math.max(pane.x, Math.min(x, lastX)); // over or under a box it may be wider than that
    return [
      [inwards(left), top - height],
      [inwards(right - width), top - height],
      [inwards(left), bottom],
      [inwards(right - width), bottom],
      [right, top],
      [left - width, top],
      [left, top],
      [right - width, bottom - height],
    ]
      .map(([x, y]) => ({ x: Math.round(x), y: Math.round(y) }))
      .filter(({ x, y }) => x >= pane.x && x <= lastX && y >= pane.y && y <= lastY);
  }

  #nearest({ left, top }, { width, height }) {
    const { x, y, width: across, height: down } = this.#pane;
    const within = (at, from, to) => Math.round(Math.max(from, Math.min(at, to)));
    return { x: within(left, x, x + across - width), y: within(top - height, y, y + down - height) };
  }

  /** The largest share of an object that a plate would hide, 0 to 1. */
  #harm({ x, y, width, height }) {
    let most = 0;
    for (const { left, top, right, bottom, area } of this.#objects) {
      const across = Math.min(x + width, right) - Math.max(x, left);
      const down = Math.min(y + height, bottom) - Math.max(y, top);
      if (across > 0 && down > 0) most = Math.max(most, (across * down) / area);
    }
    return most;
  }
}

const areApart = (one, other) =>
  one.x >= other.x + other.width || other.x >= one.x + one.width ||
  one.y >= other.y + other.height || other.y >= one.y + one.height;

const isBright = ([r, g, b]) => 0.299 * r + 0.587 * g + 0.114 * b > 100;
