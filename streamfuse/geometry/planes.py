"""Planes of a rig: a homography with a smooth correction, and what lies between two of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from streamfuse.config.rig import DenseConfig, PlaneConfig
from streamfuse.errors import UsageError

__all__ = ["Dense", "Plane", "between", "through"]

Floats = npt.NDArray[np.float64]

_ROUNDS: Final = 30
_CLOSE_PX: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dense:
    """Offsets of visible pixels, bilinear between nodes at multiples of ``step_px``."""

    step_px: int
    offsets_px: Floats
    """Rows x columns x 2 (x and y), visible pixels."""

    @classmethod
    def of(cls, config: DenseConfig) -> Self:
        """From the rig file."""
        return cls(step_px=config.step_px, offsets_px=np.stack((config.dx_px, config.dy_px), axis=-1))

    def config(self) -> DenseConfig:
        """For the rig file, to a thousandth of a pixel."""
        dx, dy = np.moveaxis(self.offsets_px.round(3), -1, 0).tolist()
        dx_px, dy_px = (tuple(map(tuple, grid)) for grid in (dx, dy))
        return DenseConfig(step_px=self.step_px, dx_px=dx_px, dy_px=dy_px)

    def at(self, pixels: Floats) -> Floats:
        """Offsets (Nx2) of pixels (Nx2); outside of the nodes, those at the edge. NaN stays NaN."""
        last = np.array(self.offsets_px.shape[1::-1]) - 1
        places = np.clip(np.where(np.isnan(pixels), 0.0, pixels) / self.step_px, 0, last)
        x, y = (low := np.minimum(places.astype(np.intp), np.maximum(last - 1, 0))).T
        right, below = np.minimum(low + 1, last).T
        across, down = (places - low).T[..., None]
        upper = self.offsets_px[y, x] * (1 - across) + self.offsets_px[y, right] * across
        lower = self.offsets_px[below, x] * (1 - across) + self.offsets_px[below, right] * across
        unknown = np.isnan(pixels).any(axis=1, keepdims=True)
        return np.where(unknown, np.nan, upper * (1 - down) + lower * down)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plane:
    """Registration at one distance: visible pixel p shows ``H^-1(p + d(p))``, d the sum of ``dense``."""

    distance_m: float
    H: Floats
    """3x3, to visible pixels; positive third coordinates are in front."""
    dense: tuple[tuple[float, Dense], ...] = ()
    """Smooth corrections, each with its weight."""

    @classmethod
    def of(cls, config: PlaneConfig) -> Self:
        """From the rig file."""
        dense = () if config.dense is None else ((1.0, Dense.of(config.dense)),)
        return cls(distance_m=config.distance_m, H=np.array(config.H_visible_from_infrared), dense=dense)

    def back(self, pixels: npt.ArrayLike) -> Floats:
        """Where visible pixels (Nx2) come from; NaN beyond the horizon."""
        given = np.asarray(pixels, np.float64).reshape(-1, 2)
        return through(_inverse(self.H), given + self._offsets(given))

    def ahead(self, pixels: npt.ArrayLike) -> Floats:
        """The inverse of :meth:`back`."""
        moved = through(self.H, np.asarray(pixels, np.float64).reshape(-1, 2))
        if not self.dense:
            return moved
        found = moved
        for _ in range(_ROUNDS):  # smooth offsets change by far less than a pixel from one pixel to the next
            before, found = found, moved - self._offsets(found)
            if np.nanmax(np.abs(found - before), initial=0.0) < _CLOSE_PX:
                break
        return found

    def _offsets(self, pixels: Floats) -> Floats:
        offsets: Floats = np.zeros(pixels.shape)
        for weight, dense in self.dense:
            offsets = offsets + weight * dense.at(pixels)
        return offsets


def _inverse(matrix: Floats) -> Floats:
    return np.asarray(np.linalg.inv(matrix), np.float64)


def through(matrix: Floats, pixels: Floats) -> Floats:
    """Pixels (Nx2) through a homography; NaN where the third coordinate is not positive."""
    mapped = pixels @ matrix[:, :2].T + matrix[:, 2]
    third = mapped[:, 2:]
    ahead = third > 0
    return np.where(ahead, mapped[:, :2] / np.where(ahead, third, 1.0), np.nan)


def between(planes: Sequence[Plane], distance_m: float, *, middle: tuple[float, float]) -> Plane:
    """The plane at a distance, from those that were measured.

    ``H^-1`` is linear in the inverse of the distance when cameras stand side by side (homography of a plane:
    Hartley, Zisserman, eq. 13.2), and so it is interpolated. Beyond the last plane it goes on by as much
    again as the last two are apart, then stays: their errors would grow larger than what is gained.

    Args:
        planes: at least one, of different distances.
        distance_m: wanted.
        middle: of the image that the matrices map from: there all look ahead.

    Raises:
        UsageError: planes contradict each other.
    """
    scaled = [_scaled(plane, middle, planes[0]) for plane in planes]
    ordered = sorted(scaled, key=lambda plane: 1.0 / plane.distance_m)
    if len(ordered) == 1:
        return Plane(distance_m=distance_m, H=ordered[0].H, dense=ordered[0].dense)
    nearness = [1.0 / plane.distance_m for plane in ordered]
    index = int(np.clip(np.searchsorted(nearness, 1.0 / distance_m), 1, len(ordered) - 1))
    far, near = ordered[index - 1], ordered[index]
    share = (1.0 / distance_m - nearness[index - 1]) / (nearness[index] - nearness[index - 1])
    share = min(max(share, -1.0), 2.0)
    matrix = (1.0 - share) * np.linalg.inv(far.H) + share * np.linalg.inv(near.H)
    parts = ((1.0 - share, far), (share, near))
    dense = tuple((part * weight, each) for part, plane in parts for weight, each in plane.dense if part)
    return Plane(distance_m=distance_m, H=np.linalg.inv(matrix), dense=dense)


def _scaled(plane: Plane, middle: tuple[float, float], first: Plane) -> Plane:
    """The plane with ``H^-1`` so scaled that it may be interpolated, and signed so that it looks ahead."""
    ahead = plane.H * np.sign(plane.H[2] @ (*middle, 1.0))
    place = first.H @ (*middle, 1.0)
    third = np.linalg.inv(ahead)[2] @ (place / place[2])
    if not (math.isfinite(third) and third > 0):
        raise UsageError(
            f"rig: the planes at {first.distance_m:g} m and {plane.distance_m:g} m do not fit together; "
            "measure one of them again (`streamfuse calibrate align --distance …`)"
        )
    return Plane(distance_m=plane.distance_m, H=ahead * third, dense=plane.dense)
