// One frame on a canvas, in any mode and at any size: the stage and the snapshot use the same lines.

import { panesOf } from "./layout.js";
import { Masks, Trails, boxesOf, drawBoxes } from "./overlay.js";
import { Painted } from "./palette.js";
import { Plates } from "./plates.js";
import { drawRules } from "./rules.js";

const BEFORE_PICTURE = "#05070a";
const NAMES = { fused: "Fused", visible: "Visible", infrared: "Infrared" };

export class Painter {
  painted = new Painted();
  trails = new Trails();
  #masks = new Masks();

  /** Whether the frame has what the settings need, or cannot have it because a camera is silent. */
  static suits(frame, settings) {
    return settings.layers.every((layer) => frame.bitmaps.has(layer) || isAbsent(frame, layer));
  }

  /**
   * Draw a frame.
   *
   * @param context of a canvas; all of it is painted
   * @param frame as `decode` of packet.js gives it
   * @param settings the values of Settings
   * @param zoom {x, y, factor}: the middle of what is seen, as shares of the picture, and how many times larger
   * @param scale canvas pixels per CSS pixel
   * @returns the panes, as `panesOf` gives them
   */
  paint(context, frame, settings, { zoom, scale }) {
    const { width, height } = context.canvas;
    context.fillStyle = BEFORE_PICTURE;
    context.fillRect(0, 0, width, height);
    context.imageSmoothingQuality = "high";
    const panes = panesOf(settings, { width, height }, frame.width / frame.height);
    const masks = settings.masks ? this.#masks.draw(frame, frame.record) : null;
    for (const pane of panes) {
      context.save();
      context.beginPath();
      context.rect(pane.box.x, pane.box.y, pane.box.width, pane.box.height);
      context.clip();
      this.#pane(context, { pane, frame, settings, zoom, scale, masks });
      context.restore();
      if (pane.framed) frameAround(context, pane.box, scale);
      if (settings.mode === "side" || pane.framed) name(context, NAMES[pane.layers[0]], pane.box, scale);
    }
    return panes;
  }

  #pane(context, { pane, frame, settings, zoom, scale, masks }) {
    const seen = zoom && !pane.framed ? seenThrough(zoom) : { x: 0, y: 0, share: 1 };
    const { box } = pane;
    const area = {
      x: box.x - (seen.x / seen.share) * box.width,
      y: box.y - (seen.y / seen.share) * box.height,
      width: box.width / seen.share,
      height: box.height / seen.share,
    };
    const toPane = (x, y) => [area.x + (x / frame.width) * area.width, area.y + (y / frame.height) * area.height];
    context.imageSmoothingEnabled = area.width / frame.width < 4; // far in, people want to see pixels
    const put = (picture) => context.drawImage(picture, area.x, area.y, area.width, area.height);
    this.#pictures(context, { pane, frame, settings, put, scale });
    if (pane.framed) return;
    if (masks) put(masks);
    if (settings.tracks) this.trails.draw(context, toPane, scale);
    const plates = new Plates(context, box, scale);
    const boxes = settings.boxes ? boxesOf(frame.record.detections, toPane) : [];
    plates.spare(boxes);
    if (settings.counts) {
      const ofShare = (x, y) => toPane(x * frame.width, y * frame.height);
      drawRules(context, frame.record.counts, { toPane: ofShare, scale, plates });
    }
    const isSmall = box.width / scale < 640;
    drawBoxes(context, boxes, { isSmall, scale, plates, withTracks: settings.tracks });
    plates.draw();
  }

  #pictures(context, { pane, frame, settings, put, scale }) {
    const [under, over] = pane.layers.map((layer) =>
      layer === "infrared" ? this.painted.paint(frame, settings.palette) : frame.bitmaps.get(layer),
    );
    const { box } = pane;
    if (under) put(under);
    if (!over && (pane.layers.length > 1 || !under)) {
      const layer = pane.layers.at(under ? -1 : 0);
      absent(context, `no ${layer} picture in this pair`, box, scale, Boolean(under));
    }
    if (!over) return;
    context.save();
    if (settings.mode === "blend" && under) context.globalAlpha = settings.mix / 100;
    if (settings.mode === "split") {
      const edge = box.x + (box.width * settings.mix) / 100;
      context.beginPath();
      context.rect(edge, box.y, box.x + box.width - edge, box.height);
      context.clip();
    }
    put(over);
    context.restore();
    if (settings.mode === "split") handle(context, box, settings.mix, scale);
  }
}

/** A camera that is silent gives no picture, as the state of the pair tells. */
function isAbsent(frame, layer) {
  return (
    (layer === "infrared" && frame.record.state === "visible_only") ||
    (layer === "visible" && frame.record.state === "infrared_only")
  );
}

function seenThrough({ x, y, factor }) {
  const share = 1 / factor;
  return { x: x - share / 2, y: y - share / 2, share };
}

function absent(context, words, box, scale, overPicture) {
  context.font = `500 ${14 * scale}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.fillStyle = "#97a1b0";
  context.fillText(words, box.x + box.width / 2, overPicture ? box.y + box.height - 24 * scale : box.y + box.height / 2);
  context.textAlign = "start";
}

function name(context, words, box, scale) {
  context.font = `600 ${11 * scale}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  const width = context.measureText(words).width + 12 * scale;
  context.fillStyle = "rgb(5 7 10 / .7)";
  context.fillRect(box.x, box.y + box.height - 20 * scale, width, 20 * scale);
  context.fillStyle = "#e8ebf0";
  context.fillText(words, box.x + 6 * scale, box.y + box.height - 9.5 * scale);
}

function frameAround(context, box, scale) {
  context.strokeStyle = "rgb(255 255 255 / .8)";
  context.lineWidth = 1.5 * scale;
  context.strokeRect(box.x, box.y, box.width, box.height);
}

function handle(context, box, mix, scale) {
  const x = box.x + (box.width * mix) / 100;
  const y = box.y + box.height / 2;
  context.fillStyle = "#fff";
  context.fillRect(x - scale, box.y, 2 * scale, box.height);
  context.beginPath();
  context.arc(x, y, 13 * scale, 0, 7);
  context.fill();
  context.strokeStyle = "#12161d";
  context.lineWidth = 2 * scale;
  context.beginPath();
  for (const side of [-1, 1]) {
    context.moveTo(x + side * 3.5 * scale, y - 4 * scale);
    context.lineTo(x + side * 7.5 * scale, y);
    context.lineTo(x + side * 3.5 * scale, y + 4 * scale);
  }
  context.stroke();
}
