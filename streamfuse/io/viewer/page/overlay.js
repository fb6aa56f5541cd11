// What was found, drawn over a pane: boxes with labels, masks, and the way each track has come.

// One colour per class, told apart on grey and by most colour-blind eyes (Okabe and Ito, 2008): as in recordings.
const COLORS = [[230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [0, 114, 178], [213, 94, 0], [204, 121, 167]];
const MASK_ALPHA = 0.4;
const TRAIL_NS = 3e9;

const colorOf = ({ class_id }) => COLORS[class_id % COLORS.length];
const css = ([r, g, b], alpha = 1) => `rgb(${r} ${g} ${b} / ${alpha})`;

/** Class, track, confidence and the temperature of the hottest pixel, as far as they are known. */
function captionOf(detection, withTrack) {
  const track = withTrack && detection.track_id !== null ? ` #${detection.track_id}` : "";
  const heat = detection.temperature_c ? ` ${detection.temperature_c.max.toFixed(1)} °C` : "";
  return `${detection.class}${track} ${Math.round(detection.confidence * 100)}%${heat}`;
}

/**
 * Boxes and labels.
 *
 * @param toPane maps a point of the picture to the canvas
 * @param pane {x, y, width, height} of the pane; labels stay inside
 * @param scale canvas pixels per CSS pixel
 * @param withTracks whether labels have the numbers of tracks
 */
export function drawBoxes(context, detections, { toPane, pane, scale, withTracks }) {
  const size = (pane.width / scale < 640 ? 10 : 12) * scale;
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  const boxes = detections.map((detection) => {
    const [left, top] = toPane(detection.box[0], detection.box[1]);
    const [right, bottom] = toPane(detection.box[2], detection.box[3]);
    return { detection, left, top, right, bottom };
  });
  for (const { detection, left, top, right, bottom } of boxes) {
    context.strokeStyle = css(colorOf(detection));
    context.lineWidth = (pane.width / scale < 640 ? 1.5 : 2) * scale;
    context.strokeRect(left, top, right - left, bottom - top);
  }
  const taken = [];
  for (const box of boxes) {
    const caption = captionOf(box.detection, withTracks);
    const plate = { width: context.measureText(caption).width + 0.8 * size, height: 1.5 * size };
    Object.assign(plate, freePlace(box, plate, { pane, taken, scale }));
    taken.push(plate);
    drawPlate(context, plate, caption, colorOf(box.detection));
  }
}

/** Above the box, below it or inside it, wherever no other label lies; above, if all is taken. */
function freePlace({ left, top, bottom }, { width, height }, { pane, taken, scale }) {
  const x = Math.max(pane.x, Math.min(left - scale, pane.x + pane.width - width));
  const places = [top - height, bottom, top].map((y) => ({ x, y: Math.round(y) }));
  const inside = places.filter(({ y }) => y >= pane.y && y + height <= pane.y + pane.height);
  const free = inside.find(({ y }) => taken.every((other) =>
    x >= other.x + other.width || other.x >= x + width || y >= other.y + other.height || other.y >= y + height));
  return free ?? inside[0] ?? places[2];
}

function drawPlate(context, { x, y, width, height }, caption, color) {
  context.fillStyle = css(color, 0.92);
  context.fillRect(x, y, width, height);
  context.fillStyle = color[0] + color[1] + color[2] > 380 ? "#000" : "#fff";
  context.fillText(caption, x + height * 0.27, y + height * 0.54);
}

/** Masks of a frame as one see-through picture; null without any. */
export class Masks {
  #canvas = document.createElement("canvas");
  #context = this.#canvas.getContext("2d");

  /** Decode the run lengths (row by row, background first) of all detections. */
  draw({ width, height }, detections) {
    const masked = detections.filter((detection) => detection.mask);
    if (masked.length === 0) return null;
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      Object.assign(this.#canvas, { width, height });
    }
    const image = new ImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    for (const detection of masked) {
      const [r, g, b] = colorOf(detection);
      const color = ((Math.round(255 * MASK_ALPHA) << 24) | (b << 16) | (g << 8) | r) >>> 0;
      let at = 0;
      detection.mask.forEach((run, index) => {
        if (index % 2) pixels.fill(color, at, at + run);
        at += run;
      });
    }
    this.#context.putImageData(image, 0, 0);
    return this.#canvas;
  }
}

/** Where the objects stood in the last seconds: the middle of the lower edge of each box. */
export class Trails {
  #points = new Map();

  /** Take the objects of a frame. */
  see({ capture_ns: now, detections }) {
    for (const detection of detections) {
      if (detection.track_id === null) continue;
      const [left, , right, bottom] = detection.box;
      const trail = this.#points.get(detection.track_id) ?? { points: [] };
      trail.color = colorOf(detection);
      trail.points.push({ at: now, x: (left + right) / 2, y: bottom });
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
      for (let index = 1; index < points.length; index++) {
        const age = (newest.at - points[index].at) / TRAIL_NS;
        context.strokeStyle = css(color, 1 - 0.85 * age);
        context.beginPath();
        context.moveTo(...toPane(points[index - 1].x, points[index - 1].y));
        context.lineTo(...toPane(points[index].x, points[index].y));
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
