"""Cars: a lofted body on four wheels. Its paint is in :mod:`~streamfuse.io.synthetic.coats`.

A car faces +y of its own frame, wheels on z = 0. Bone 0 is the body, bones 1 to 4 are the wheels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from streamfuse.io.synthetic.arrays import Floats, floats
from streamfuse.io.synthetic.mesh import Mesh, grid, join

__all__ = [
    "AXLES",
    "CAR_BONES",
    "FRONT",
    "HEIGHT_M",
    "LENGTH_M",
    "REAR",
    "SIDE",
    "TOP",
    "VIEWS",
    "VIEW_PX",
    "WHEEL",
    "WHEEL_M",
    "CarShape",
    "car",
    "car_frames",
    "car_shape",
]


CAR_BONES = 5
WHEEL_M = 0.32
AXLES = (1.32, -1.32)
_HALF_WIDTH = 0.89
_TRACK = 0.80
_SILL = 0.20


@dataclass(frozen=True, slots=True, kw_only=True)
class CarShape:
    """The silhouette of a model: heights of the centre line along the car, in metres."""

    top: tuple[tuple[float, float], ...]
    """(y, z) from the rear to the front bumper."""
    cabin: tuple[float, float, float, float]
    """y of: foot of the rear window, rear of the roof, front of the roof, foot of the windscreen."""
    belt: float
    """Height of the lower edge of the windows."""


_SHAPES: Mapping[str, CarShape] = MappingProxyType(
    {
        "saloon": CarShape(
            top=(
                (-2.22, 0.62),
                (-2.18, 0.92),
                (-2.0, 1.0),
                (-1.6, 1.03),
                (-0.95, 1.39),
                (-0.3, 1.46),
                (0.3, 1.43),
                (1.1, 1.02),
                (1.85, 0.86),
                (2.1, 0.74),
                (2.2, 0.5),
            ),
            cabin=(-1.62, -0.95, 0.32, 1.12),
            belt=0.94,
        ),
        "hatchback": CarShape(
            top=(
                (-1.98, 0.6),
                (-1.95, 0.95),
                (-1.86, 1.08),
                (-1.45, 1.46),
                (-0.5, 1.53),
                (0.25, 1.48),
                (1.12, 1.03),
                (1.75, 0.88),
                (1.95, 0.74),
                (2.03, 0.5),
            ),
            cabin=(-1.87, -1.42, 0.27, 1.14),
            belt=0.97,
        ),
        "van": CarShape(
            top=(
                (-2.25, 0.6),
                (-2.24, 1.0),
                (-2.2, 1.3),
                (-2.05, 1.84),
                (-0.5, 1.92),
                (0.75, 1.86),
                (1.5, 1.2),
                (2.05, 0.98),
                (2.2, 0.8),
                (2.26, 0.5),
            ),
            cabin=(-2.2, -2.02, 0.78, 1.52),
            belt=1.12,
        ),
    }
)


def car_shape(rng: np.random.Generator) -> CarShape:
    """One of the models."""
    return _SHAPES[str(rng.choice(list(_SHAPES), p=(0.4, 0.4, 0.2)))]


SIDE, TOP, FRONT, REAR, WHEEL = range(5)
VIEW_PX = (192, 80)
"""Width and height of each of the views, which lie below one another on the skin."""
VIEWS = 5
LENGTH_M, HEIGHT_M = 4.8, 2.0
"""Extent of a view; across the car it is 2 m."""


def car(shape: CarShape) -> Mesh:
    """Body and wheels."""
    stations = np.unique(
        np.concatenate([np.linspace(shape.top[0][0], shape.top[-1][0], 19), [y for y, _ in shape.top]])
    )
    rings = np.stack([_ring(shape, float(y)) for y in stations])
    ends = [np.repeat(rings[i][:, :].mean(axis=0)[None], rings.shape[1], axis=0) for i in (0, -1)]
    points = np.concatenate([ends[0][None], rings, ends[1][None]]).astype(np.float32)
    smooth = grid(points, np.zeros((*points.shape[:2], 2), np.float32))
    return join([_unfold(smooth), *(_wheel(index) for index in range(4))])


def _ring(shape: CarShape, y: float) -> Floats:
    """Cross section at y: closed, from the middle of the floor over the left side, roof and right side."""
    ys, zs = np.array(shape.top).T
    top = float(np.interp(y, ys, zs))
    end = abs(y) / max(abs(ys[0]), abs(ys[-1]))
    half = _HALF_WIDTH * (1 - 0.20 * end**7 - 0.03 * end**2)
    sill = _SILL + 0.10 * max(0.0, end - 0.85) / 0.15
    belt = min(shape.belt, top - 0.03)
    narrow = 0.40 * (top - belt)
    roof = half * 0.97 - narrow
    side = [
        (0.0, sill),
        (half * 0.86, sill),
        (half * 0.97, sill + 0.08),
        (half, (sill + belt) / 2 + 0.05),
        (half * 0.985, belt - 0.02),
        (half * 0.965, belt + 0.01),
        (half * 0.97 - narrow * 0.5, (top + belt) / 2 + 0.01),
        (roof, top - 0.07 * min(1, narrow * 8 + 0.4)),
        (roof * 0.9, top - 0.025),
        (roof * 0.5, top - 0.004),
        (0.0, top),
    ]
    left = [(-x, y, z) for x, z in side]
    right = [(x, y, z) for x, z in reversed(side[1:-1])]
    return np.array([*left, *right, left[0]], np.float32)


def _unfold(mesh: Mesh) -> Mesh:
    """Cut the mesh into the views of the skin; where two views meet, the body has a crease."""
    corners = mesh.corners[mesh.triangles]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    solid = np.linalg.norm(flat, axis=1) > 1e-6
    flat = flat[solid] / np.linalg.norm(flat[solid], axis=1, keepdims=True)
    view = np.full(len(flat), SIDE)
    view[flat[:, 2] > 0.5] = TOP
    view[(flat[:, 1] > 0.62) & (flat[:, 2] <= 0.6)] = FRONT
    view[(flat[:, 1] < -0.50) & (flat[:, 2] <= 0.8)] = REAR
    keys, triangles = np.unique(mesh.triangles[solid] * VIEWS + view[:, None], return_inverse=True)
    triangles = triangles.reshape(-1, 3)
    corner, side = np.divmod(keys, VIEWS)
    facing = np.zeros((len(keys), 3), np.float32)
    np.add.at(facing, triangles.ravel(), np.repeat(flat, 3, axis=0))
    normals = facing / np.linalg.norm(facing, axis=1, keepdims=True) + 0.6 * mesh.normals[corner]
    x, y, z = mesh.corners[corner].T
    u = np.where((side == FRONT) | (side == REAR), x / 2 + 0.5, y / LENGTH_M + 0.5)
    v = np.where(side == TOP, x / 2 + 0.5, 1 - z / HEIGHT_M)
    return Mesh(
        corners=mesh.corners[corner],
        normals=floats(normals / np.linalg.norm(normals, axis=1, keepdims=True)),
        uv=floats(np.stack([u, (np.clip(v, 0.005, 0.995) + side) / VIEWS], axis=1)),
        bones=np.zeros(len(keys), np.int32),
        triangles=triangles.astype(np.int32),
        parts=np.zeros(len(triangles), np.int32),
    )


def _wheel(index: int) -> Mesh:
    """A wheel about its own x axis; the view's polar coordinates hold tread, wall and rim."""
    turn = np.linspace(0, 2 * np.pi, 15, dtype=np.float32)
    profile = [
        (0.11, 0.0),
        (0.11, 0.20),
        (0.115, 0.29),
        (0.09, WHEEL_M),
        (-0.09, WHEEL_M),
        (-0.115, 0.29),
        (-0.11, 0.2),
    ]
    x = np.array([x for x, _ in profile], np.float32)[:, None]
    radius = np.array([r for _, r in profile], np.float32)[:, None]
    points = np.stack(
        [np.broadcast_to(x, (len(profile), turn.size)), radius * np.cos(turn), radius * np.sin(turn)], axis=-1
    )
    sign = 1.0 if index % 2 else -1.0
    if sign < 0:
        points = (points * np.array([-1, -1, 1], np.float32)).astype(np.float32)
    u = (0.5 + 0.5 * radius / 0.4 * np.cos(turn) * VIEW_PX[1] / VIEW_PX[0]) + 0 * x
    v = (0.5 + 0.5 * radius / 0.4 * np.sin(turn) + WHEEL) / VIEWS + 0 * x
    return grid(points, np.stack([u, v], axis=-1)).on(1 + index)


def car_frames(distance_m: float, steer: float) -> Floats:
    """Bones (5x3x4, metres) after rolling a distance with the front wheels turned left by an angle."""
    roll = -distance_m / WHEEL_M
    c, s = math.cos(roll), math.sin(roll)
    turns = [(math.cos(angle), math.sin(angle), y) for angle, y in zip((steer, 0.0), AXLES, strict=True)]
    wheels = [
        ((ct, -st * c, st * s, x), (st, ct * c, -ct * s, y), (0.0, s, c, WHEEL_M))
        for ct, st, y in turns
        for x in (-_TRACK, _TRACK)
    ]
    return floats([((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0)), *wheels])
