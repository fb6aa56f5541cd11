"""A picture of everything that stands still, built surface by surface, nearest wins."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamfuse.io.synthetic.arrays import Floats, Mask, Point3, floats
from streamfuse.io.synthetic.cameras import CAMERA_XYZ, Camera

__all__ = ["Canvas", "Patch"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patch:
    """Samples of a canvas where a plane would be the nearest thing."""

    index: NDArray[np.intp]
    """Which samples of the canvas."""
    depth: Floats
    points: Floats
    """Nx3, world."""

    def where(self, mask: Mask) -> Patch:
        """Only some of the samples."""
        return Patch(index=self.index[mask], depth=self.depth[mask], points=self.points[mask])


class Canvas:
    """What each sample of a camera shows: colour, own light, warmth, place and facing.

    Samples lie on a grid ``supersampling`` times finer than the pixels, row by row.
    """

    def __init__(self, camera: Camera, supersampling: int) -> None:
        self.camera = camera
        self.supersampling = supersampling
        self.rays = camera.rays(supersampling).reshape(-1, 3)
        count = len(self.rays)
        self.depth = np.full(count, np.inf, np.float32)
        self.albedo = np.zeros((count, 3), np.float32)
        self.glow = np.zeros((count, 3), np.float32)
        self.heat_c = np.zeros(count, np.float32)
        self.normals = np.zeros((count, 3), np.float32)

    def plane(self, axis: int, offset: float, within: tuple[tuple[float, float], ...]) -> Patch:
        """Where the plane ``coordinate[axis] = offset`` shows, inside bounds (low, high) of x, y and z."""
        candidates = self._candidates(axis, offset, within)
        ray = self.rays[candidates, axis]
        gap = np.float32(offset - CAMERA_XYZ[axis])
        index = candidates[(ray * gap > 0) & (abs(gap) < self.depth[candidates] * np.abs(ray))]
        depth = gap / self.rays[index, axis]
        points = self.rays[index] * depth[:, None] + floats(CAMERA_XYZ)
        inside = np.ones(len(index), bool)
        for k, (low, high) in enumerate(within):
            if k != axis:
                inside &= (points[:, k] >= low) & (points[:, k] <= high)
        return Patch(index=index, depth=depth, points=points).where(inside)

    def _candidates(
        self, axis: int, offset: float, within: tuple[tuple[float, float], ...]
    ) -> NDArray[np.intp]:
        """Samples in the frame around a bounded rectangle; all of them when it reaches behind the camera."""
        width, height = (side * self.supersampling for side in self.camera.size_wh)
        bounds = [(offset, offset) if k == axis else within[k] for k in range(3)]
        seen = self.camera.project(np.array(list(itertools.product(*bounds))))
        low, high = np.array([0, 0]), np.array([width, height])
        if (seen[:, 2] > 0.3).all():
            low = np.clip((seen[:, :2].min(axis=0) - 1) * self.supersampling, 0, high).astype(int)
            high = np.clip((seen[:, :2].max(axis=0) + 2) * self.supersampling, low, high).astype(int)
        rows = np.arange(low[1], high[1]) * width
        return np.asarray((rows[:, None] + np.arange(low[0], high[0])).ravel())

    def put(
        self,
        patch: Patch,
        albedo: Floats,
        heat_c: Floats,
        *,
        normal: Point3,
        glow: Floats | None = None,
    ) -> None:
        """Show a surface: colours Nx3, temperatures N, and its own light Nx3 if any."""
        self.depth[patch.index] = patch.depth
        self.albedo[patch.index] = albedo
        self.heat_c[patch.index] = heat_c
        self.normals[patch.index] = floats(normal)
        self.glow[patch.index] = 0.0 if glow is None else glow

    def points(self) -> Floats:
        """World points of all samples, Nx3; those of the sky lie 1 km away."""
        return np.asarray(self.rays * np.minimum(self.depth, 1000.0)[:, None] + floats(CAMERA_XYZ))

    def resolve(self, samples: Floats) -> Floats:
        """Means over the samples of each pixel: HxW or HxWxC from N or NxC."""
        width, height = self.camera.size_wh
        s = self.supersampling
        blocks = samples.reshape(height, s, width, s, -1)
        return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float32).squeeze())

    def pick(self, samples: Floats) -> Floats:
        """One sample of each pixel: HxW or HxWxC from N or NxC."""
        width, height = self.camera.size_wh
        s = self.supersampling
        blocks = samples.reshape(height * s, width * s, -1)
        return np.ascontiguousarray(blocks[s // 2 :: s, s // 2 :: s].squeeze())
