"""Rows of buildings along both sides and across the end of the street."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamfuse.io.synthetic.arrays import Floats, Mask, Point3, floats
from streamfuse.io.synthetic.canvas import Canvas, Patch
from streamfuse.io.synthetic.climate import Climate
from streamfuse.io.synthetic.noise import fractal, fractal_at

__all__ = ["END_Y", "LEFT_X", "RIGHT_X", "Building", "build_facades", "row_of_buildings"]


LEFT_X, RIGHT_X, END_Y = -8.3, 7.4, 77.0
_CORNER_Y = 62.0
_WALLS = np.array(
    [
        (0.34, 0.29, 0.22),
        (0.40, 0.37, 0.32),
        (0.25, 0.12, 0.085),
        (0.30, 0.17, 0.12),
        (0.45, 0.40, 0.30),
        (0.28, 0.30, 0.31),
    ],
    np.float32,
)
_BRICK = frozenset({2, 3})
_SIGNS = np.array(
    [(0.22, 0.02, 0.02), (0.015, 0.06, 0.17), (0.02, 0.11, 0.05), (0.2, 0.15, 0.03), (0.03, 0.03, 0.03)]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Building:
    """One house of a row."""

    start: float
    """Metres along the row."""
    end: float
    floors: int
    wall: int
    """Which of the wall colours."""
    bay_m: float
    """From one window to the next."""
    shop: bool
    seed: int

    @property
    def height(self) -> float:
        """Metres to the edge of the roof."""
        return 3.8 + 3.05 * self.floors + 0.7


def row_of_buildings(rng: np.random.Generator, start: float, end: float) -> tuple[Building, ...]:
    """Houses of 9 to 15 m side by side."""
    row = []
    while start < end:
        stop = min(end, start + float(rng.uniform(9, 15)))
        stop = end if end - stop < 6 else stop
        row.append(
            Building(
                start=start,
                end=stop,
                floors=int(rng.integers(2, 5)),
                wall=int(rng.integers(len(_WALLS))),
                bay_m=float(rng.uniform(2.3, 3.1)),
                shop=bool(rng.random() < 0.55),
                seed=int(rng.integers(2**32)),
            )
        )
        start = stop
    return tuple(row)


def build_facades(
    canvas: Canvas, rng: np.random.Generator, rows: tuple[tuple[Building, ...], ...], climate: Climate
) -> None:
    """Left row, right row and end row, in this order."""
    tile = fractal(rng, 7, first=4, gain=0.75)
    sides = (
        (0, LEFT_X, 1, (1.0, 0.0, 0.0)),
        (0, RIGHT_X, 1, (-1.0, 0.0, 0.0)),
        (1, END_Y, 0, (0.0, -1.0, 0.0)),
    )
    for (axis, offset, along, normal), row in zip(sides, rows, strict=True):
        for building in row:
            bounds = [(-80.0, 80.0), (0.5, 90.0), (0.0, building.height)]
            bounds[along] = (max(bounds[along][0], building.start), building.end)
            patch = canvas.plane(axis, offset, tuple(bounds))
            if len(patch.index):
                _Facade(building, tile, climate, patch, along).put_on(canvas, normal)


class _Facade:
    """The face of one building on the samples that show it."""

    def __init__(self, building: Building, tile: Floats, climate: Climate, patch: Patch, along: int) -> None:
        self._rng = np.random.default_rng(building.seed)
        self._building, self._climate, self._patch = building, climate, patch
        self._across, self._up = patch.points[:, along] - np.float32(building.start), patch.points[:, 2]
        self._grain = fractal_at(tile, patch.points[:, along] / 2.1, self._up / 2.1) - 0.5
        self._stain = fractal_at(tile, patch.points[:, along] / 23.0, self._up / 15.0) - 0.5
        count = len(patch.index)
        self._albedo = np.empty((count, 3), np.float32)
        self._heat_c = np.empty(count, np.float32)
        self._glow = np.zeros((count, 3), np.float32)

    def put_on(self, canvas: Canvas, normal: Point3) -> None:
        self._wall()
        self._windows()
        (self._shop if self._building.shop else self._entrance)()
        canvas.put(self._patch, self._albedo, self._heat_c, normal=normal, glow=self._glow)

    def _wall(self) -> None:
        building, up = self._building, self._up
        tone = 1 + 0.5 * self._stain + 0.35 * self._grain
        if building.wall in _BRICK:
            course = np.floor(up / 0.075)
            joint = (up / 0.075 % 1 < 0.16) | ((self._across / 0.22 + 0.5 * (course % 2)) % 1 < 0.06)
            near = np.clip(16.0 / self._patch.depth, 0, 1)
            tone = tone * (1 + near * (0.35 * joint + 0.5 * self._grain))
        tone = tone * np.where(up < 0.7, 0.6, 1.0) * (0.8 + 0.2 * np.clip(up / 3.0, 0, 1))
        cornice = (building.height - up < 0.5) | (np.abs(up - 3.75) < 0.14)
        tone = np.where(cornice, tone * 1.25, tone)
        under = ((building.height - up > 0.5) & (building.height - up < 0.8)) | ((up > 3.3) & (up < 3.61))
        tone = np.where(under, tone * 0.66, tone)
        self._albedo[:] = _WALLS[building.wall] * tone[:, None]
        self._heat_c[:] = self._climate.facade_c + 1.3 * self._stain + 0.5 * self._grain - 0.06 * up
        self._heat_c[cornice] -= 1.0
        self._heat_c += 0.8 * np.exp(-(((up - 3.7) / 0.3) ** 2))  # the floor slab, a thermal bridge

    def _windows(self) -> None:
        building = self._building
        bays = max(1, int((building.end - building.start - 1.0) / building.bay_m))
        margin = (building.end - building.start - bays * building.bay_m) / 2
        u = self._across - margin
        v = self._up - 4.1
        bay, floor = np.floor(u / building.bay_m).astype(int), np.floor(v / 3.05).astype(int)
        x, z = u - (bay + 0.5) * building.bay_m, v - floor * 3.05 - 0.65
        valid = (bay >= 0) & (bay < bays) & (floor >= 0) & (floor < building.floors)
        which = np.where(valid, floor * bays + bay, 0)
        surround = valid & (np.abs(x) < 0.72) & (z > -0.12) & (z < 1.72)
        self._albedo[surround] = np.minimum(self._albedo[surround] * 1.35 + 0.05, 0.6)
        hole = valid & (np.abs(x) < 0.58) & (z > 0) & (z < 1.6)
        self._heat_c[valid & (np.abs(x) < 0.5) & (z < -0.1) & (z > -0.65)] += (
            1.1  # the radiator behind the wall
        )
        frame = hole & (
            (np.abs(x) > 0.52) | (np.abs(x) < 0.03) | (z < 0.06) | (z > 1.54) | (np.abs(z - 1.12) < 0.025)
        )
        glass = hole & ~frame
        self._glaze(glass, which, x, z, building.floors * bays)
        self._albedo[frame] = 0.42
        self._albedo[hole & (z > 1.45)] *= 0.35  # the shade of the lintel
        self._heat_c[frame] += 0.6
        sill = valid & (np.abs(x) < 0.68) & (z < 0) & (z > -0.09)
        self._albedo[sill] = 0.36

    def _glaze(self, glass: Mask, which: NDArray[np.int_], x: Floats, z: Floats, count: int) -> None:
        """Dark glass that mirrors the sky, or a lit room behind curtains."""
        rng, climate = self._rng, self._climate
        lit = rng.random(count) < 0.42 * (climate.lit)
        warm = np.array([(1.0, 0.62, 0.30), (1.0, 0.75, 0.45), (0.85, 0.9, 1.0)])[
            rng.choice(3, count, p=(0.5, 0.35, 0.15))
        ]
        power = rng.uniform(0.12, 0.75, count) * min(1.0, 0.25 + climate.lamps)
        colour = (warm * (power * lit)[:, None]).astype(np.float32)
        curtain = rng.uniform(0.0, 0.5, count).astype(np.float32)
        pick = which[glass]
        drawn = np.abs(x[glass]) > 0.52 - curtain[pick]
        room = (
            (0.45 + 0.55 * np.clip(z[glass] / 1.2, 0, 1))
            * np.where(drawn, 0.45, 1.0)
            * (1 + self._grain[glass])
        )
        mirrored = climate.sky_towards(np.clip(0.15 + 0.25 * z[glass], 0, 1).astype(np.float32))
        self._glow[glass] = colour[pick] * room[:, None] + 0.16 * mirrored * (1 + self._stain[glass])[:, None]
        self._albedo[glass] = np.where(drawn, 0.22, 0.02)[:, None]
        leak = rng.uniform(-3.0, 0.5, count).astype(np.float32) + 3.2 * lit
        self._heat_c[glass] = climate.facade_c + leak[pick] - 0.5 + 0.8 * drawn

    def _shop(self) -> None:
        """Wide panes with wares behind, a sign above."""
        rng, up = self._rng, self._up
        width = self._building.end - self._building.start
        pane = (up > 0.55) & (up < 2.75) & (self._across > 0.6) & (self._across < width - 0.6)
        x = (self._across - 0.6) % 2.3
        frame = pane & ((x < 0.07) | (up < 0.63) | (up > 2.68))
        glass = pane & ~frame
        open_late = (
            self._climate.lamps * float(rng.uniform(0.25, 1.0)) * (0.34 if rng.random() < 0.55 else 0.02)
        )
        light = np.array([(1.0, 0.8, 0.55), (1.0, 0.9, 0.75), (0.8, 0.95, 1.0)][int(rng.integers(3))])
        shelves = self._wares(self._across[glass], up[glass])
        mirrored = 0.13 * self._climate.sky_towards(np.full(int(glass.sum()), 0.2, np.float32))
        self._glow[glass] = light * shelves * open_late + mirrored * (0.6 + 0.8 * shelves)
        self._albedo[glass] = 0.03
        self._heat_c[glass] = self._climate.facade_c - 1.2 + 3.0 * open_late
        self._albedo[frame] = 0.05
        sign = (up > 2.85) & (up < 3.35) & (self._across > 0.5) & (self._across < width - 0.5)
        colour = _SIGNS[int(rng.integers(len(_SIGNS)))]
        letters = sign & (np.abs(up - 3.1) < 0.13) & (np.abs(self._across - width / 2) < 1.6)
        letters &= np.sin(self._across * 23) + np.sin(self._across * 57) > -0.2
        self._albedo[sign], self._glow[sign] = colour, colour * open_late * 0.5
        self._albedo[letters], self._glow[letters] = 0.7, 1.1 * open_late
        self._heat_c[sign] += 1.5 * open_late

    def _wares(self, across: Floats, up: Floats) -> Floats:
        """What stands in a shop window, Nx3 around 1: goods on shelves before a bright wall."""
        rng = self._rng
        tone = rng.uniform(0.04, 0.6, (64, 1)) ** 1.4
        goods = (tone * (1 + 0.5 * rng.uniform(-1, 1, (64, 3)))).astype(np.float32)
        wide, high = float(rng.uniform(0.18, 0.5)), float(rng.uniform(0.35, 0.6))
        column, shelf = np.floor(across / wide).astype(int), np.floor(up / high).astype(int)
        which = (column * 31 + shelf * 17 + column * shelf * 7) % 64
        u, v = (across / wide) % 1.0 - 0.5, (up / high) % 1.0
        ware = (np.abs(u) < 0.28 + 0.004 * which) & (v > 0.08) & (v < 0.45 + 0.006 * which) & (which % 5 > 0)
        wall = (0.18 + 0.6 * np.clip(up / 2.7, 0, 1) ** 2) * np.where(v < 0.08, 0.45, 1.0)
        wall *= 0.7 + 0.6 * self._rng.random(16)[np.floor(across / 1.15).astype(int) % 16]
        return floats(np.where(ware[:, None], goods[which] * (1.1 - np.abs(u))[:, None], wall[:, None]))

    def _entrance(self) -> None:
        """A door with a step, and small windows."""
        rng, up = self._rng, self._up
        width = self._building.end - self._building.start
        door = (np.abs(self._across - width / 2) < 0.55) & (up < 2.3)
        self._albedo[door] = np.array(_SIGNS[int(rng.integers(len(_SIGNS)))]) * 0.4 + 0.02
        self._heat_c[door] += 1.6
        self._albedo[(np.abs(self._across - width / 2) < 0.7) & (up > 2.3) & (up < 2.42)] = 0.4
        panes = (up > 1.2) & (up < 2.5) & (np.abs(self._across % 3.1 - 1.3) < 0.5)
        panes &= np.abs(self._across - width / 2) > 1.4
        self._albedo[panes] = 0.03
        lit = self._climate.lamps * float(rng.uniform(0, 0.4))
        self._glow[panes] = floats((1.0, 0.7, 0.4)) * lit * (0.8 + 0.3 * self._grain[panes])[:, None]
        self._heat_c[panes] -= 1.0
