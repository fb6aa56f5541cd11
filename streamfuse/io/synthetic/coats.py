"""The coat of a car: lacquer, windows, lamps and warmth, painted in side, top, front and rear view."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from streamfuse.io.synthetic.arrays import Floats, Point3
from streamfuse.io.synthetic.cars import (
    AXLES,
    FRONT,
    HEIGHT_M,
    LENGTH_M,
    REAR,
    SIDE,
    TOP,
    VIEW_PX,
    VIEWS,
    WHEEL,
    WHEEL_M,
    CarShape,
)
from streamfuse.io.synthetic.climate import Climate
from streamfuse.io.synthetic.mesh import Skin

__all__ = ["coat"]

Point = tuple[float, float]
"""On a view, in metres."""

_LACQUER = np.array(
    [
        (0.50, 0.50, 0.49),
        (0.24, 0.25, 0.27),
        (0.022, 0.023, 0.027),
        (0.085, 0.09, 0.10),
        (0.19, 0.016, 0.018),
        (0.025, 0.05, 0.14),
        (0.10, 0.13, 0.135),
        (0.22, 0.19, 0.13),
    ],
    np.float32,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What to change on a part of a sheet; None leaves it as it is."""

    colour: Point3 | None = None
    shade: float = 1.0
    """Factor on the colour that is there."""
    glow: float | None = None
    gloss: float | None = None


_AS_IS = _Look()


class _Sheet:
    """Painting on one view in metres: look and temperature together."""

    def __init__(self, paint: Floats, heat_c: Floats, view: int) -> None:
        width, height = VIEW_PX
        rows = slice(view * height, (view + 1) * height)
        self._paint, self._heat_c = paint[rows], heat_c[rows]
        along = view in {SIDE, TOP}
        self._scale = np.array(
            [width / (LENGTH_M if along else 2.0), height / (HEIGHT_M if view != TOP else 2.0)]
        )
        self._origin = np.array([LENGTH_M / 2 if along else 1.0, 1.0 if view == TOP else HEIGHT_M])
        self._flip = np.array([1.0, 1.0 if view == TOP else -1.0])

    def polygon(self, points: Sequence[Point], look: _Look = _AS_IS, *, heat_c: float | None = None) -> None:
        """Fill a polygon."""
        pixels = (self._origin + np.array(points) * self._flip) * self._scale
        canvas = np.zeros(self._heat_c.shape, np.uint8)
        cv2.fillPoly(canvas, [np.round(pixels * 16).astype(np.int32)], 1, shift=4)
        inside = canvas.astype(bool)
        if look.colour is not None:
            self._paint[inside, :3] = look.colour
        self._paint[inside, :3] *= look.shade
        if look.glow is not None:
            self._paint[inside, 3] = look.glow
        if look.gloss is not None:
            self._paint[inside, 4] = look.gloss
        if heat_c is not None:
            self._heat_c[inside] = heat_c

    def box(self, low: Point, high: Point, look: _Look = _AS_IS, *, heat_c: float | None = None) -> None:
        """Fill a rectangle between two corners."""
        self.polygon([low, (high[0], low[1]), high, (low[0], high[1])], look, heat_c=heat_c)

    def disc(
        self, centre: Point, radius: float, look: _Look = _AS_IS, *, heat_c: float | None = None
    ) -> None:
        """Fill a disc."""
        turns = [2 * math.pi * k / 24 for k in range(24)]
        rim = [(centre[0] + radius * math.cos(turn), centre[1] + radius * math.sin(turn)) for turn in turns]
        self.polygon(rim, look, heat_c=heat_c)


_GLASS = _Look(colour=(0.012, 0.014, 0.016), gloss=0.5)
_BLACK = _Look(colour=(0.015, 0.015, 0.016), gloss=0.04)
_PLATE = _Look(colour=(0.5, 0.5, 0.45), gloss=0.05)


def coat(rng: np.random.Generator, shape: CarShape, climate: Climate, *, driven: bool) -> Skin:
    """Lacquer, windows, lamps and warmth; a driven car has a hot bonnet, hot tyres and its lamps on."""
    width, height = VIEW_PX
    paint = np.zeros((VIEWS * height, width, 5), np.float32)
    lacquer = rng.choice(_LACQUER)
    paint[..., :3], paint[..., 4] = lacquer, 0.16
    engine = float(rng.uniform(14, 22)) if driven else 0.0
    heat_c = np.full(
        paint.shape[:2], climate.air_c + 1.5 * climate.sun_warms_c + (2.2 if driven else 0.8), np.float32
    )
    lit = climate.lit and driven
    _paint_side(_Sheet(paint, heat_c, SIDE), shape, climate, engine)
    _paint_top(_Sheet(paint, heat_c, TOP), shape, climate, engine)
    _paint_front(_Sheet(paint, heat_c, FRONT), climate, engine, glow=14.0 if lit else 0.0)
    _paint_rear(_Sheet(paint, heat_c, REAR), shape, climate, engine, glow=3.0 if lit else 0.0)
    rows = slice(WHEEL * height, None)
    _paint_wheel(paint[rows], heat_c[rows], climate, driven=driven)
    heat_c = cv2.GaussianBlur(heat_c, (0, 0), 1.2)
    return Skin(paint=paint, heat_c=np.asarray(heat_c, np.float32))


def _paint_side(sheet: _Sheet, shape: CarShape, climate: Climate, engine: float) -> None:
    rear, roof_rear, roof_front, foot = shape.cabin
    belt, roof = shape.belt + 0.03, max(z for _, z in shape.top) - 0.10
    air = climate.air_c
    if engine:
        sheet.polygon([(0.9, 0.3), (2.3, 0.3), (2.3, 0.8), (0.9, 0.95)], heat_c=air + engine * 0.35)
    rear_top, front_top = (roof_rear + 0.10, roof), (roof_front - 0.02, roof)
    sheet.polygon([(rear + 0.20, belt), rear_top, front_top, (foot - 0.16, belt)], _GLASS, heat_c=air - 1.0)
    pillar = (roof_rear + roof_front) / 2 - 0.05
    sheet.box((pillar - 0.055, belt), (pillar + 0.045, roof), _BLACK)
    for y in (-0.95, pillar, foot - 0.12):
        sheet.box((y - 0.012, 0.33), (y + 0.012, belt), _Look(shade=0.45))  # gaps of the doors
    for y in (pillar - 0.22, pillar + 0.72):
        sheet.box((y - 0.09, belt - 0.15), (y + 0.09, belt - 0.11), _Look(shade=0.4))  # handles
    sheet.box((-2.4, 0), (2.4, 0.31), _BLACK, heat_c=air + engine * 0.2)
    for y in AXLES:
        sheet.disc((y, WHEEL_M), WHEEL_M + 0.07, _BLACK, heat_c=air + (5.0 if engine else 0.5))


def _paint_top(sheet: _Sheet, shape: CarShape, climate: Climate, engine: float) -> None:
    rear, roof_rear, roof_front, foot = shape.cabin
    air = climate.air_c
    if engine:
        for share, inset in ((0.55, 0.0), (0.8, 0.15), (1.0, 0.3)):
            low, high = (foot + inset * 0.5, -0.85 + inset), (2.1 - inset * 0.6, 0.85 - inset)
            sheet.box(low, high, heat_c=air + engine * share)
    bottom, top = foot - 0.04, roof_front + 0.06
    screen = [(bottom, -0.76), (top, -0.64), (top, 0.64), (bottom, 0.76)]
    sheet.polygon(screen, _GLASS, heat_c=air + (3.0 if engine else 0.0))
    bottom, top = rear + 0.06, roof_rear - 0.05
    sheet.polygon([(bottom, -0.72), (top, -0.60), (top, 0.60), (bottom, 0.72)], _GLASS, heat_c=air)


def _paint_front(sheet: _Sheet, climate: Climate, engine: float, glow: float) -> None:
    air = climate.air_c
    sheet.box((-0.9, 0.2), (0.9, 0.9), heat_c=air + engine * 0.5)
    sheet.polygon(
        [(-0.55, 0.56), (0.55, 0.56), (0.5, 0.70), (-0.5, 0.70)], _BLACK, heat_c=air + engine * 1.25
    )
    sheet.polygon([(-0.7, 0.24), (0.7, 0.24), (0.62, 0.38), (-0.62, 0.38)], _BLACK, heat_c=air + engine * 1.1)
    sheet.box((-0.26, 0.42), (0.26, 0.53), _PLATE)
    glass = _Look(colour=(0.85, 0.84, 0.78), glow=glow, gloss=0.3)
    for sign in (-1, 1):
        lamp = [(sign * 0.52, 0.58), (sign * 0.82, 0.62), (sign * 0.80, 0.76), (sign * 0.55, 0.69)]
        sheet.polygon(lamp, glass, heat_c=air + engine * 0.9)


def _paint_rear(sheet: _Sheet, shape: CarShape, climate: Climate, engine: float, glow: float) -> None:
    air, roof = climate.air_c, max(z for _, z in shape.top)
    if roof > 1.5:  # the rear window of an upright tail faces backwards, else it is seen from above
        bottom, top = shape.belt + 0.08, roof - 0.12
        sheet.polygon([(-0.68, bottom), (0.68, bottom), (0.56, top), (-0.56, top)], _GLASS, heat_c=air)
    sheet.box((-0.9, 0.2), (0.9, 0.36), _BLACK, heat_c=air + engine * 0.25)
    sheet.box((-0.26, 0.6), (0.26, 0.71), _PLATE)
    glass = _Look(colour=(0.55, 0.02, 0.015), glow=glow, gloss=0.2)
    for sign in (-1, 1):
        lamp = [(sign * 0.58, 0.72), (sign * 0.84, 0.70), (sign * 0.84, 0.90), (sign * 0.62, 0.88)]
        sheet.polygon(lamp, glass, heat_c=air + (4.0 if engine else 0.0))
    if engine:
        sheet.disc((0.55, 0.26), 0.07, heat_c=air + 48.0)  # exhaust


def _paint_wheel(paint: Floats, heat_c: Floats, climate: Climate, *, driven: bool) -> None:
    height, width = heat_c.shape
    row, column = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = (column + 0.5 - width / 2) / (height / 0.8), (row + 0.5 - height / 2) / (height / 0.8)
    radius, turn = np.hypot(x, y), np.arctan2(y, x)
    rim = radius < 0.205
    paint[..., :3], paint[..., 4] = 0.018, 0.0
    spokes = rim & ((np.cos(5 * turn) > -0.1) | (radius < 0.06) | (radius > 0.175))
    paint[spokes, :3], paint[spokes, 4] = 0.32, 0.2
    heat_c[:] = climate.air_c + (11.0 if driven else 0.4)
    heat_c[rim] = climate.air_c + (7.0 if driven else 0.2)
    heat_c[radius < 0.10] = climate.air_c + (16.0 if driven else 0.2)  # brake and hub
