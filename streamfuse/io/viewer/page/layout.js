// Where each picture lies on the canvas; numbers in, numbers out.

const GAP = 4;
const INSET_SHARE = 0.32;
const INSET_MARGIN = 0.02;

/** The largest rectangle of the picture's shape in the middle of `box`. */
function fit(box, aspect) {
  const width = Math.min(box.width, box.height * aspect);
  const height = width / aspect;
  return {
    x: Math.round(box.x + (box.width - width) / 2),
    y: Math.round(box.y + (box.height - height) / 2),
    width: Math.round(width),
    height: Math.round(height),
  };
}

/** Two boxes beside each other, or below each other, whichever shows more. */
function halves(stage, aspect) {
  const beside = fit({ x: 0, y: 0, width: (stage.width - GAP) / 2, height: stage.height }, aspect);
  const below = fit({ x: 0, y: 0, width: stage.width, height: (stage.height - GAP) / 2 }, aspect);
  if (beside.width >= below.width) {
    const left = Math.round((stage.width - 2 * beside.width - GAP) / 2);
    const y = Math.round((stage.height - beside.height) / 2);
    return [{ ...beside, x: left, y }, { ...beside, x: left + beside.width + GAP, y }];
  }
  const top = Math.round((stage.height - 2 * below.height - GAP) / 2);
  const x = Math.round((stage.width - below.width) / 2);
  return [{ ...below, x, y: top }, { ...below, x, y: top + below.height + GAP }];
}

/**
 * The panes of a mode on a stage of so many pixels, back to front.
 *
 * @returns {{layers: string[], box: {x, y, width, height}, framed?: boolean}[]} a pane with two layers mixes them
 */
export function panesOf({ mode, inset }, stage, aspect) {
  const whole = fit({ x: 0, y: 0, ...stage }, aspect);
  if (mode === "side") {
    const [first, second] = halves(stage, aspect);
    return [{ layers: ["visible"], box: first }, { layers: ["infrared"], box: second }];
  }
  if (mode === "blend" || mode === "split") return [{ layers: ["visible", "infrared"], box: whole }];
  if (mode !== "inset") return [{ layers: [mode], box: whole }];
  const width = Math.round(whole.width * INSET_SHARE);
  const height = Math.round(width / aspect);
  const margin = Math.round(whole.width * INSET_MARGIN);
  const x = whole.x + whole.width - width - margin;
  const y = whole.y + whole.height - height - margin;
  return [
    { layers: ["fused"], box: whole },
    { layers: [inset], box: { x, y, width, height }, framed: true },
  ];
}

/** How high a stage of this width is best, so that a mode leaves no empty bars (on phones). */
export function bestHeight({ mode }, width, aspect) {
  const one = width / aspect;
  return mode === "side" && aspect > 1 ? 2 * one + GAP : one;
}

/** The picture's size in a mode at the resolution of the cameras. */
export function fullSize({ mode }, { width, height }) {
  return mode === "side" ? { width: 2 * width + GAP, height } : { width, height };
}
