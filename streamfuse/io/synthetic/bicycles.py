"""Bicycles: frame, wheels, cranks and lamps. A bicycle faces +y, its wheels stand on z = 0."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from streamfuse.io.synthetic.arrays import Floats, Point3
from streamfuse.io.synthetic.climate import Climate
from streamfuse.io.synthetic.mesh import Mesh, Skin, grid, join, tube

__all__ = ["bicycle", "bicycle_frames", "lacquer"]


WHEEL_M = 0.335
_AXLES = (0.56, -0.48)
_CRANK = (0.02, 0.29)

_FRAME_V, _TYRE_V, _METAL_V, _LAMP_V, _TAIL_V = ((row + 0.5) / 5 for row in range(5))


def bicycle(*, first_bone: int, part: int) -> Mesh:
    """The mesh, its bones counted from ``first_bone``, its triangles of the given part of the actor."""
    bottom, saddle, head = (0.0, *_CRANK), (0.0, -0.18, 0.82), (0.0, 0.40, 0.86)
    fork, rear = (0.0, _AXLES[0], WHEEL_M), (0.0, _AXLES[1], WHEEL_M)
    frame = [
        _rod(bottom, saddle, 0.017, _FRAME_V),
        _rod(saddle, head, 0.016, _FRAME_V),
        _rod(bottom, head, 0.02, _FRAME_V),
        _rod(rear, saddle, 0.011, _FRAME_V),
        _rod(rear, bottom, 0.012, _FRAME_V),
        _rod(head, fork, 0.014, _FRAME_V),
        _rod((0, 0.38, 0.84), (0, 0.36, 1.02), 0.014, _METAL_V),
        _rod((-0.28, 0.36, 1.02), (0.28, 0.36, 1.02), 0.014, _METAL_V),
        _rod((0, -0.32, 0.93), (0, -0.06, 0.93), 0.055, _TYRE_V, sides=6),
        _rod((0, -0.19, 0.8), (0, -0.2, 0.92), 0.013, _METAL_V),
        _rod((0, -0.62, 0.72), (0, -0.30, 0.72), 0.05, _METAL_V, sides=6),
        _rod((0, 0.44, 0.88), (0, 0.50, 0.88), 0.04, _LAMP_V, sides=6),
        _rod((0, -0.66, 0.66), (0, -0.63, 0.66), 0.035, _TAIL_V, sides=6),
    ]
    cranks = [
        _rod((0.06, 0, 0), (0.07, 0, 0.17), 0.012, _METAL_V),
        _rod((0.07, 0, 0.17), (0.16, 0, 0.17), 0.02, _TYRE_V),
        _rod((-0.06, 0, 0), (-0.07, 0, -0.17), 0.012, _METAL_V),
        _rod((-0.16, 0, -0.17), (-0.07, 0, -0.17), 0.02, _TYRE_V),
    ]
    pieces = [piece.on(first_bone, part) for piece in frame]
    pieces += [_wheel().on(first_bone + 1 + index, part) for index in (0, 1)]
    pieces += [piece.on(first_bone + 3, part) for piece in cranks]
    return join(pieces)


def _rod(start: Point3, end: Point3, radius: float, v: float, *, sides: int = 3) -> Mesh:
    """A thin rod between two points, in one colour of the skin."""
    a, b = np.array(start, np.float32), np.array(end, np.float32)
    length = float(np.linalg.norm(b - a))
    rod = tube([(0.0, radius, radius, 0.0), (-length, radius, radius, 0.0)], sides=sides, patch=(0, v, 1, v))
    down = (b - a) / length
    aside = np.cross(down, (1.0, 0.0, 0.0) if abs(down[0]) < 0.9 else (0.0, 1.0, 0.0))
    aside /= np.linalg.norm(aside)
    turn = np.stack([aside, np.cross(-down, aside), -down], axis=1).astype(np.float32)
    return replace(rod, corners=rod.corners @ turn.T + a, normals=rod.normals @ turn.T)


def _wheel() -> Mesh:
    """A tyre with a few pairs of spokes, about its own x axis."""
    turn = np.linspace(0, 2 * np.pi, 21, dtype=np.float32)
    around = np.linspace(0, 2 * np.pi, 4, dtype=np.float32)[:, None]
    radius = WHEEL_M - 0.018 + 0.02 * np.cos(around)
    x = np.broadcast_to(0.02 * np.sin(around), (4, turn.size))
    points = np.stack([x, radius * np.cos(turn), radius * np.sin(turn)], axis=-1)[::-1].astype(np.float32)
    tyre = grid(points, np.broadcast_to(np.array([0.5, _TYRE_V], np.float32), (*points.shape[:2], 2)))
    spokes = []
    for angle in np.arange(0, 2 * np.pi, np.pi / 5):
        rim = (0.0, float(np.cos(angle)) * (WHEEL_M - 0.02), float(np.sin(angle)) * (WHEEL_M - 0.02))
        spokes.append(_rod((0.0, 0.0, 0.0), rim, 0.0035, _METAL_V))
    return join([tyre, _rod((-0.05, 0, 0), (0.05, 0, 0), 0.025, _METAL_V), *spokes])


def bicycle_frames(distance_m: float, crank_turns: float) -> Floats:
    """Bones (4x3x4, metres) after rolling a distance: frame, front wheel, rear wheel, cranks."""
    places = [(0.0, 0.0), (_AXLES[0], WHEEL_M), (_AXLES[1], WHEEL_M), _CRANK]
    roll = -distance_m / WHEEL_M
    rows = []
    for angle, (y, z) in zip((0.0, roll, roll, -2 * math.pi * crank_turns), places, strict=True):
        c, s = math.cos(angle), math.sin(angle)
        rows.append(((1.0, 0.0, 0.0, 0.0), (0.0, c, -s, y), (0.0, s, c, z)))
    return np.array(rows, np.float32)


def lacquer(rng: np.random.Generator, climate: Climate) -> Skin:
    """Colours and temperatures: tyres and frame near the air, lamps lit when it is dark."""
    colours = np.array(
        [(0.25, 0.02, 0.02), (0.02, 0.06, 0.2), (0.3, 0.3, 0.3), (0.02, 0.02, 0.02), (0.05, 0.2, 0.1)]
    )
    paint = np.zeros((5, 1, 5), np.float32)
    paint[:, 0, :3] = [rng.choice(colours), (0.02,) * 3, (0.35,) * 3, (0.95, 0.95, 0.9), (0.6, 0.02, 0.02)]
    paint[:, 0, 4] = (0.12, 0.0, 0.2, 0.2, 0.2)
    lit = climate.lit
    paint[3, 0, 3], paint[4, 0, 3] = (6.0, 2.5) if lit else (0.0, 0.0)
    heat_c = np.float32(climate.air_c) + np.array([[0.3], [3.5], [-0.5], [2.5], [1.0]], np.float32)
    return Skin(paint=paint, heat_c=heat_c)
