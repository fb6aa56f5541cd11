"""The way between the two images of a rig for objects at one distance, point by point and for all pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from streamfuse.geometry.lenses import Lenses
from streamfuse.geometry.planes import Plane

__all__ = ["Passage", "full_grid", "nodes"]

Floats = npt.NDArray[np.float64]
SizeWH = tuple[int, int]

_EVERY_PX: Final = 4
"""Between them a lens is straight to 0.002 pixels, and following it takes microseconds per pixel."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Passage:
    """The way between the two images for objects at one distance."""

    lenses: Lenses | None
    plane: Plane
    """From infrared pixels to visible ones; with ``lenses``, from where these put a point to where it is."""

    def infrared_from_visible(self, pixels: npt.ArrayLike) -> Floats:
        """Infrared pixels, Nx2 float64, of visible pixels, Nx2; NaN where there is none.

        A pixel may lie outside of the image: it is where the point would be in a larger one.
        """
        before = self.plane.back(pixels)
        return (
            before
            if self.lenses is None
            else self.lenses.infrared_from_visible(before, self.plane.distance_m)
        )

    def visible_from_infrared(self, pixels: npt.ArrayLike) -> Floats:
        """The inverse of :meth:`infrared_from_visible`."""
        given = np.asarray(pixels, np.float64).reshape(-1, 2)
        if self.lenses is not None:
            given = self.lenses.visible_from_infrared(given, self.plane.distance_m)
        return self.plane.ahead(given)

    @property
    def is_identity(self) -> bool:
        """Whether every pixel is itself."""
        plain = self.lenses is None and not self.plane.dense
        return plain and np.allclose(self.plane.H, np.eye(3), atol=1e-9)

    @property
    def H_visible_from_infrared(self) -> Floats:  # noqa: N802 - H names a matrix
        """3x3, last element 1: the best that one matrix can do, smooth corrections apart."""
        matrix = self.plane.H
        if self.lenses is not None:
            matrix = matrix @ self.lenses.homography(self.plane.distance_m)
        scaled: Floats = matrix / matrix[2, 2]
        return scaled


def full_grid(passage: Passage, visible_size_wh: SizeWH) -> Floats:
    """HxWx2: x and y in the infrared image of every visible pixel; NaN where there is none.

    Lenses are followed at every fourth pixel and linear between (:data:`_EVERY_PX`).
    """
    every = 1 if passage.lenses is None else _EVERY_PX
    pixels = nodes(visible_size_wh, every)
    grid = passage.infrared_from_visible(pixels.reshape(-1, 2)).reshape(pixels.shape)
    if every == 1:
        return grid
    for axis, side in ((1, visible_size_wh[0]), (0, visible_size_wh[1])):
        grid = _linear(grid, np.arange(side) / every, axis=axis)
    return grid


def nodes(size_wh: SizeWH, every: int) -> Floats:
    """RxCx2: every so many pixels, until the image is covered."""
    sides = [np.arange(0, side + every - 1, every, dtype=np.float64) for side in size_wh]
    return np.stack(np.meshgrid(*sides), axis=-1)


def _linear(grid: Floats, places: Floats, *, axis: int) -> Floats:
    """Samples between nodes along one axis."""
    low = np.minimum(places.astype(np.intp), grid.shape[axis] - 2)
    share = np.expand_dims(places - low, (1, 2) if axis == 0 else (0, 2))
    samples: Floats = np.take(grid, low, axis) * (1.0 - share) + np.take(grid, low + 1, axis) * share
    return samples
