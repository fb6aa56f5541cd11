// What was found, drawn over a pane: boxes with labels, masks, and the way each track has come.

// One colour per class, told apart on grey and by most colour-blind eyes (Okabe and Ito, 2008): as in recordings.
const COLORS = [[230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [0, 114, 178], [213, 94, 0], [204, 121, 167]];
const MASK_ALPHA = 0.35;
const TRAIL_NS = 3e9;
const CALM_NS = 0.4e9;
const [SPECK, SMALL] = [1.3, 3]; // longer side of a box, in letters, below which it has no label, or only its number

const colorOf = ({ class_id }) => COLORS[class_id % COLORS.length];
const UNDER = "rgb(16 18 22 / .55)"; // under the lines of boxes, for bright pictures
/** A class of which only the name is known has a colour by it, the same in every picture. */
const colorOfName = (name) => COLORS[[...name].reduce((sum, letter) => sum + letter.codePointAt(0), 0) % COLORS.length];
const abgr = ([r, g, b], alpha) => ((Math.round(255 * alpha) << 24) | (b << 16) | (g << 8) | r) >>> 0;
const sideOf = ({ left, top, right, bottom }) => Math.max(right - left, bottom - top);
const css = ([r, g, b], alpha = 1) => `rgb(${r} ${g} ${b} / ${alpha})`;

/**
 * Class, track, confidence and the temperature of the hottest pixel, as far as they are known; then ever less.
 * The last one is for objects far away: their number, as their colour tells the class.
 */
function captionsOf(detection, withTrack) {
  const isTracked = withTrack && detection.track_id !== null;
  const name = isTracked ? `${detection.class} #${detection.track_id}` : detection.class;
  const heat = detection.temperature_c ? ` ${detection.temperature_c.max.toFixed(1)} °C` : "";
  const captions = [`${name} ${Math.round(detection.confidence * 100)}%${heat}`, `${name}${heat}`];
  return isTracked ? [...captions, `#${detection.track_id}`] : captions;
}

/** The boxes of a frame on the canvas, as `drawBoxes` and the labels need them. */
export function boxesOf(detections, toPane) {
  return detections.map((detection) => {
    const [left, top] = toPane(detection.box[0], detection.box[1]);
    const [right, bottom] = toPane(detection.box[2], detection.box[3]);
    return { detection, left, top, right, bottom };
  });
}

/**
 * Boxes and labels; dashed where an object was not seen but predicted.
 *
 * @param boxes as `boxesOf` gives them
 * @param isSmall whether the lines have to be thin
 * @param scale canvas pixels per CSS pixel
 * @param plates takes the labels
 * @param withTracks whether labels have the numbers of tracks
 */
export function drawBoxes(context, boxes, { isSmall, scale, plates, withTracks }) {
  context.lineJoin = "miter";
  for (const box of boxes) {
    const { detection, left, top, right, bottom } = box;
    const width = (isSmall || sideOf(box) < SMALL * plates.letter ? 1.3 : 2) * scale;
    context.setLineDash(detection.predicted ? [4 * width, 3 * width] : []);
    for (const [color, extra] of [[UNDER, 1.6 * scale], [css(colorOf(detection)), 0]]) {
      context.strokeStyle = color;
      context.lineWidth = width + extra;
      context.strokeRect(left, top, right - left, bottom - top);
    }
  }
  context.setLineDash([]);
  const largest = boxes.toSorted(
    (one, other) => sideOf(other) - sideOf(one) || other.detection.confidence - one.detection.confidence,
  );
  for (const box of largest) {
    const letters = sideOf(box) / plates.letter;
    if (plates.isFull || letters < SPECK) break;
    const captions = captionsOf(box.detection, withTracks);
    const around = { left: box.left - scale, top: box.top - scale, right: box.right + scale, bottom: box.bottom + scale };
    plates.add(letters < SMALL ? captions.slice(-1) : captions, around, colorOf(box.detection));
  }
}

/** Masks of a frame as one see-through picture; null without any. */
export class Masks {
  #canvas = document.createElement("canvas");
  #context = this.#canvas.getContext("2d");

  /** Decode the run lengths (row by row, background first) of all areas and detections. */
  draw({ width, height }, { areas, detections }) {
    const masked = detections.filter((detection) => detection.mask);
    if (masked.length + areas.length === 0) return null;
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      Object.assign(this.#canvas, { width, height });
    }
    const image = new ImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    for (const area of areas) {
      const color = abgr(colorOfName(area.class), MASK_ALPHA);
      for (const [start, end] of spansOf(area.mask)) pixels.fill(color, start, end);
    }
    const inside = new Uint8Array(width * height);
    for (const detection of masked) tint(pixels, inside, width, detection);
    this.#context.putImageData(image, 0, 0);
    return this.#canvas;
  }
}

/** Where the runs of a mask lie, from their first pixel to the one after their last. */
function* spansOf(runs) {
  let at = 0;
  for (const [index, run] of runs.entries()) {
    if (index % 2 && run) yield [at, at + run];
    at += run;
  }
}

/** A tint, and its edge in full colour: at night and on smoke the tint alone is hardly seen. */
function tint(pixels, inside, width, detection) {
  const [within, edge] = [MASK_ALPHA, 1].map((alpha) => abgr(colorOf(detection), alpha));
  const spans = [...spansOf(detection.mask)];
  for (const [start, end] of spans) inside.fill(1, start, end);
  for (const [start, end] of spans) {
    for (let at = start; at < end; at++) {
      const isInner = inside[at - 1] && inside[at + 1] && inside[at - width] && inside[at + width];
      pixels[at] = isInner ? within : edge;
    }
  }
  for (const [start, end] of spans) inside.fill(0, start, end);
}

/** A point with the mean of those shortly before it: lower edges of boxes tremble. */
function calmed(points, point) {
  const lately = [...points.filter(({ at }) => point.at - at <= CALM_NS), point];
  const mean = (key) => lately.reduce((sum, one) => sum + one[key], 0) / lately.length;
  return { ...point, calm: { x: mean("x"), y: mean("y") } };
}

/** Where the objects stood in the last seconds: the middle of the lower edge of each box. */
export class Trails {
  #points = new Map();
  #now = 0;

  /** Take the objects of a frame. */
  see({ capture_ns: now, detections }) {
    this.#now = now;
    for (const detection of detections) {
      if (detection.track_id === null) continue;
      const [left, , right, bottom] = detection.box;
      const trail = this.#points.get(detection.track_id) ?? { points: [] };
      trail.color = colorOf(detection);
      trail.points.push(calmed(trail.points, { at: now, x: (left + right) / 2, y: bottom }));
      this.#points.set(detection.track_id, trail);
    }
    for (const [track, { points }] of this.#points) {
      while (points.length && Math.abs(now - points[0].at) > TRAIL_NS) points.shift();
      if (points.length === 0) this.#points.delete(track);
    }
  }

  /** Draw the trails, fading with age. */
  draw(context, toPane, scale) {
    context.lineWidth = 2.5 * scale;
    context.lineCap = "round";
    for (const { points, color } of this.#points.values()) {
      const newest = points.at(-1);
      if (newest.at !== this.#now) continue; // away; his trail is kept for when he comes back
      for (let index = 1; index < points.length; index++) {
        const age = (newest.at - points[index].at) / TRAIL_NS;
        context.strokeStyle = css(color, 1 - 0.85 * age);
        context.beginPath();
        const [from, to] = [points[index - 1].calm, index + 1 < points.length ? points[index].calm : newest];
        context.moveTo(...toPane(from.x, from.y));
        context.lineTo(...toPane(to.x, to.y));
        context.stroke();
      }
      context.fillStyle = css(color);
      context.beginPath();
      context.arc(...toPane(newest.x, newest.y), 3.5 * scale, 0, 7);
      context.fill();
    }
  }

  clear() {
    this.#points.clear();
  }
}
