// The lines and zones at which the rules of a pipeline count, with what they have counted.

const WHITE = "#fff";
const DARK = "rgb(16 18 22 / .8)"; // under every line, so that it is seen on smoke as well as at night
const PLATE = [16, 18, 22];
const ARROW = 14;

/** What a rule has counted, in words. */
export function wordsOf(count) {
  if (count.kind === "line") return `${count.rule}: ${count.forward} forward, ${count.backward} back`;
  const dwell = count.inside ? ` for ${Math.round(count.longest_s)} s` : "";
  return `${count.rule}: ${count.inside} inside${dwell}, ${count.entered} entered`;
}

/**
 * Lines and zones with their numbers.
 *
 * @param counts of a record
 * @param toPane maps a point, as shares of the picture, to the canvas
 * @param scale canvas pixels per CSS pixel
 * @param plates takes the labels
 */
export function drawRules(context, counts, { toPane, scale, plates }) {
  for (const count of counts) {
    if (count.points.length < 2) continue;
    const corners = count.points.map(([x, y]) => toPane(x, y));
    if (count.kind === "line") arrow(context, corners, scale);
    stroke(context, corners, count.kind === "zone", scale);
    const [xs, ys] = [0, 1].map((axis) => corners.map((corner) => corner[axis]));
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const gap = 3 * scale;
    const around = { left: left - gap, right: right + gap, top: top - gap, bottom: bottom + gap };
    plates.add([wordsOf(count)], around, PLATE, { must: true });
  }
}

function stroke(context, corners, isZone, scale) {
  context.beginPath();
  for (const corner of corners) context.lineTo(...corner);
  if (isZone) {
    context.closePath();
    context.fillStyle = "rgb(255 255 255 / .12)";
    context.fill("evenodd");
  }
  twice(context, scale);
}

/** From the middle of the line to its right: where `forward` goes. */
function arrow(context, [[ax, ay], [bx, by]], scale) {
  const length = Math.max(1, Math.hypot(bx - ax, by - ay));
  const [dx, dy] = [(bx - ax) / length, (by - ay) / length];
  const [x, y] = [(ax + bx) / 2, (ay + by) / 2];
  const at = (across, along) => [x + scale * (along * dx - across * dy), y + scale * (along * dy + across * dx)];
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(...at(ARROW, 0));
  context.moveTo(...at(ARROW - 5, -5));
  context.lineTo(...at(ARROW, 0));
  context.lineTo(...at(ARROW - 5, 5));
  twice(context, scale);
}

function twice(context, scale) {
  context.lineCap = context.lineJoin = "round";
  for (const [color, width] of [[DARK, 4.5], [WHITE, 2.2]]) {
    context.strokeStyle = color;
    context.lineWidth = width * scale;
    context.stroke();
  }
}
