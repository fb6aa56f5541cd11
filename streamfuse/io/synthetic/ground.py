"""The ground of the street: asphalt, markings, kerbs, pavements. Metres, world frame."""

from __future__ import annotations

import numpy as np

from streamfuse.io.synthetic.arrays import Floats, floats
from streamfuse.io.synthetic.canvas import Canvas
from streamfuse.io.synthetic.climate import Climate
from streamfuse.io.synthetic.noise import fractal, fractal_at
from streamfuse.io.synthetic.traffic import STOP_Y, ZEBRA_Y

__all__ = ["LEFT_KERB_X", "RIGHT_KERB_X", "lay_ground"]


LEFT_KERB_X, RIGHT_KERB_X = -5.6, 3.5
_LANE_X = (-3.5, 3.5)
_CORNER_Y = 62.0
_WHITE = floats((0.52, 0.52, 0.50))


def lay_ground(canvas: Canvas, rng: np.random.Generator, climate: Climate) -> None:
    """Everything at z = 0."""
    patch = canvas.plane(2, 0.0, ((-60, 60), (0, 90), (0, 0)))
    x, y = patch.points[:, 0], patch.points[:, 1]
    fine, coarse = fractal(rng, 7, first=8, gain=0.8), fractal(rng, 6)
    fade = np.clip(14.0 / patch.depth, 0.12, 1.0)
    grain = (fractal_at(fine, x / 1.3, y / 1.3) - 0.5) * fade
    stain = fractal_at(coarse, x / 9.1, y / 17.3) - 0.5
    albedo, heat_c = _asphalt(rng, x, y, grain, stain, climate)
    crossing = y > _CORNER_Y
    walk = ((x < LEFT_KERB_X) | (x > RIGHT_KERB_X)) & ~crossing
    albedo[walk], heat_c[walk] = _pavement(coarse, x[walk], y[walk], grain[walk], stain[walk], climate)
    _markings(albedo, heat_c, x, y, fractal_at(fine, x / 2.3, y / 2.3))
    _kerbs(albedo, heat_c, x, np.where(crossing, -1.0, y), grain)
    canvas.put(patch, np.clip(albedo, 0.01, 0.9), heat_c, normal=(0, 0, 1))


def _asphalt(
    rng: np.random.Generator, x: Floats, y: Floats, grain: Floats, stain: Floats, climate: Climate
) -> tuple[Floats, Floats]:
    """Worn where the tyres run, patched, cracked."""
    tracks = sum(np.exp(-(((x - centre) / 0.28) ** 2)) for centre in (-2.4, -0.9, 0.95, 2.45))
    oil = sum(np.exp(-(((x - centre) / 0.35) ** 2)) for centre in (-1.65, 1.7))
    tone = 0.105 * (1 + 1.0 * grain + 0.45 * stain + 0.10 * tracks - 0.16 * oil * (1 + 2 * stain))
    wiggle = fractal_at(fractal(rng, 5, first=4), x / 13.0, y / 13.0)
    crack = np.abs(wiggle - 0.5) < 0.0035
    tone = np.where(crack, tone * 0.55, tone)
    heat_c = climate.road_c + 1.4 * stain + 1.0 * grain + 0.5 * tracks + 0.9 * crack
    for _ in range(5):  # trenches that were dug and filled
        px, py = rng.uniform(-5, 2.5), rng.uniform(5, 40)
        inside = (np.abs(x - px) < rng.uniform(0.4, 1.1)) & (np.abs(y - py) < rng.uniform(0.8, 3.0))
        tone = np.where(inside, tone * float(rng.uniform(0.68, 0.88)), tone)
        heat_c = np.where(inside, heat_c + float(rng.uniform(-0.6, 0.5)), heat_c)
    for px, py in ((0.9, 8.6), (-1.9, 22.5), (1.8, 33.0)):  # manhole covers
        radius = np.hypot(x - px, y - py)
        lid = radius < 0.34
        tone = np.where(lid, 0.055 * (1 + 0.5 * np.sign(np.sin(x * 70) * np.sin(y * 70))), tone)
        heat_c = np.where(lid, heat_c + 2.6, heat_c)
    return np.asarray(tone[:, None] * floats((1.0, 1.0, 1.03)), np.float32), np.asarray(heat_c, np.float32)


def _pavement(
    coarse: Floats, x: Floats, y: Floats, grain: Floats, stain: Floats, climate: Climate
) -> tuple[Floats, Floats]:
    """Concrete slabs of 60 x 40 cm in a running bond, each of its own tone."""
    row = np.floor(y / 0.4)
    column = np.floor(x / 0.6 + 0.5 * (row % 2))
    own = fractal_at(coarse, (column * 0.613) % 1.0, (row * 0.377) % 1.0) - 0.5
    u, v = (x / 0.6 + 0.5 * (row % 2)) % 1.0, (y / 0.4) % 1.0
    joint = (np.minimum(u, 1 - u) < 0.022) | (np.minimum(v, 1 - v) < 0.035)
    tone = 0.205 * (1 + 0.7 * grain + 0.5 * own + 0.6 * stain) * np.where(joint, 0.62, 1.0)
    heat_c = climate.road_c - 1.1 + 0.9 * own + 0.8 * stain + 0.7 * grain + 0.5 * joint
    return np.asarray(tone[:, None] * floats((1.03, 1.0, 0.95)), np.float32), np.asarray(heat_c, np.float32)


def _markings(albedo: Floats, heat_c: Floats, x: Floats, y: Floats, wear: Floats) -> None:
    """Centre line, edges of the parking lane, stop lines and the zebra crossing, all worn."""
    open_road = (y < ZEBRA_Y[0] - 1.2) | (y > STOP_Y - 1.0)
    centre = (np.abs(x) < 0.065) & (y % 6.0 < 3.2) & open_road & (y < 58)
    berths = (np.abs(x - _LANE_X[0]) < 0.06) & (y > 20.5) & (y < 52)
    berths |= (x < _LANE_X[0]) & (x > LEFT_KERB_X) & (np.abs((y - 21.0) % 7.0) < 0.12) & (y > 20.5) & (y < 52)
    gutter = (np.abs(x - 3.12) < 0.05) & open_road
    zebra = (
        (y > ZEBRA_Y[0]) & (y < ZEBRA_Y[1]) & ((x + 0.25) % 1.0 < 0.5) & (x > LEFT_KERB_X + 0.2) & (x < 3.4)
    )
    stop = (np.abs(y - (STOP_Y - 1.9)) < 0.17) & (x < -0.1) & (x > _LANE_X[0])
    stop |= (np.abs(y - (ZEBRA_Y[0] - 1.1)) < 0.17) & (x > 0.1) & (x < 3.2)
    white = (centre | berths | gutter | zebra | stop) & (wear > 0.27)
    albedo[white] = _WHITE * (0.72 + 0.5 * wear[white])[:, None]
    heat_c[white] -= 0.9


def _kerbs(albedo: Floats, heat_c: Floats, x: Floats, y: Floats, grain: Floats) -> None:
    """Granite edge stones with joints, a dark gutter on the side of the road."""
    for kerb, outwards in ((LEFT_KERB_X, -1.0), (RIGHT_KERB_X, 1.0)):
        across = (x - kerb) * outwards
        stone = (across > 0) & (across < 0.17) & (y > 0)
        face = (across > -0.09) & (across <= 0) & (y > 0)
        tone = np.where(np.abs(y % 1.0) < 0.02, 0.16, 0.30 * (1 + 0.8 * grain))
        albedo[stone] = tone[stone, None]
        albedo[face] *= 0.5
        heat_c[stone] -= 0.5
        heat_c[face] += 0.9
