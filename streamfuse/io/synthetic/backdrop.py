"""What stands still, as each camera sees it, and how moving light falls on it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from streamfuse.io.synthetic.arrays import Floats, floats
from streamfuse.io.synthetic.cameras import Camera
from streamfuse.io.synthetic.canvas import Canvas
from streamfuse.io.synthetic.climate import Climate
from streamfuse.io.synthetic.facades import RIGHT_X, Building, build_facades, row_of_buildings
from streamfuse.io.synthetic.ground import lay_ground
from streamfuse.io.synthetic.lights import illuminate
from streamfuse.io.synthetic.nature import TREES, lamp_spots, paint_sky, plant_trees, put_posts

__all__ = ["COARSE", "Backdrop", "Street3d", "backdrop"]


COARSE = 8
"""Moving light on the backdrop is worked out for every eighth pixel of every eighth row."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Street3d:
    """The buildings, which also throw shadows."""

    rows: tuple[tuple[Building, ...], ...]
    climate: Climate
    seed: int

    @classmethod
    def from_seed(cls, seed: int, climate: Climate) -> Street3d:
        """Left, right and end row."""
        rng = np.random.default_rng((seed, 4))
        rows = (
            row_of_buildings(rng, 0.5, 62.0),
            row_of_buildings(rng, 0.5, 62.0),
            row_of_buildings(rng, -45, 40),
        )
        return cls(rows=rows, climate=climate, seed=seed)

    def sun_share(self, points: Floats) -> Floats:
        """0 where the right row or a tree takes the sun from a point (Nx3), 1 where it shines."""
        sx, sy, sz = self.climate.sun_towards
        x, y, z = points.T
        steps = (RIGHT_X - x) / sx
        row = self.rows[1]
        edges = np.array([house.start for house in row] + [row[-1].end])
        heights = np.array([0.0, *(house.height for house in row), 0.0], np.float32)
        house = np.searchsorted(edges, y + steps * sy)
        share = np.clip((z + steps * sz - heights[house]) / 0.25, 0, 1)
        for tx, ty in TREES:
            rise = (5.6 - z) / sz
            dx, dy = x + rise * sx - tx, y + rise * sy - ty
            dapple = 0.25 * np.sin(dx * 9.1 + np.sin(dy * 7.7)) * np.sin(dy * 8.3 + np.sin(dx * 6.1))
            edge = np.hypot(dx, dy) / 1.9 + dapple
            share = share * np.where((z < 3.0) & (steps > 0), np.clip((edge - 0.72) / 0.2, 0.12, 1), 1.0)
        return np.asarray(share, np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Backdrop:
    """The still scene of one camera."""

    radiance: Floats
    """HxWx3, linear."""
    albedo: Floats
    """HxWx3."""
    heat_c: Floats
    """HxW."""
    inverse_depth: Floats
    """HxW, 1/m; 0 is the sky."""
    coarse_points: Floats
    """Nx3: world points of the coarse grid, row by row."""
    coarse_normals: Floats
    coarse_wh: tuple[int, int]


def backdrop(street: Street3d, camera: Camera, *, supersampling: int) -> Backdrop:
    """Render everything that stands still, with that many samples a pixel along each axis."""
    climate = street.climate
    rngs = [np.random.default_rng((street.seed, 5, k)) for k in range(4)]
    canvas = Canvas(camera, supersampling)
    build_facades(canvas, rngs[1], street.rows, climate)
    lay_ground(canvas, rngs[0], climate)
    plant_trees(canvas, rngs[2], climate)
    put_posts(canvas, climate)
    paint_sky(canvas, rngs[3], climate)
    points, normals = canvas.pick(canvas.points()), canvas.pick(canvas.normals)
    albedo = canvas.resolve(canvas.albedo)
    light, sunny = _light(street, points, normals)
    radiance = albedo * light + canvas.resolve(canvas.glow)
    warmth = climate.sun_warms_c * sunny * (0.4 + 0.6 * np.clip(normals[..., 2], 0, 1))
    coarse = np.s_[COARSE // 2 :: COARSE, COARSE // 2 :: COARSE]
    return Backdrop(
        radiance=np.ascontiguousarray(radiance, np.float32),
        albedo=albedo,
        heat_c=(canvas.resolve(canvas.heat_c) + warmth).astype(np.float32),
        inverse_depth=np.ascontiguousarray(canvas.resolve(1.0 / canvas.depth), np.float32),
        coarse_points=np.ascontiguousarray(points[coarse].reshape(-1, 3)),
        coarse_normals=np.ascontiguousarray(normals[coarse].reshape(-1, 3)),
        coarse_wh=(points[coarse].shape[1], points[coarse].shape[0]),
    )


def _light(street: Street3d, points: Floats, normals: Floats) -> tuple[Floats, Floats]:
    """Irradiance HxWx3 of sky, sun and lamps, and how much sun there is, HxW."""
    climate, shape = street.climate, points.shape
    flat, facing = points.reshape(-1, 3), normals.reshape(-1, 3)
    open_sky = 0.5 + 0.5 * facing[:, 2:]
    # Facades and cars keep the light of the sky from the foot of the walls.
    corner = np.clip(np.minimum(flat[:, 0] + 8.3, 7.4 - flat[:, 0]) / 2.5, 0.0, 1.0)
    height = np.clip(flat[:, 2] / 5.0, 0.0, 1.0)
    open_sky = open_sky * np.maximum(0.55 + 0.45 * corner, height)[:, None]
    light = floats(climate.ambient) * open_sky
    sunny = np.zeros(len(flat), np.float32)
    if climate.sunlit:
        sunny = np.clip(facing @ floats(climate.sun_towards), 0, 1) * street.sun_share(flat)
        light = light + floats(climate.sun) * sunny[:, None]
    if climate.lit:
        light = light + illuminate(
            np.ascontiguousarray(flat), np.ascontiguousarray(facing), lamp_spots(climate)
        )
    soft = cv2.blur(light.reshape(shape).astype(np.float32), (2, 2))
    return np.asarray(soft, np.float32), sunny.reshape(shape[:2])
