"""An image seen at other places than its pixels, fast: the way of every pixel is computed once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

from streamfuse.geometry.gray import Codes
from streamfuse.geometry.kernels import GAIN_ONE, ONE, interpolate

__all__ = ["Resampler"]

Plane = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Resampler:
    """Samples of images of one size, for every pixel of a picture."""

    width: int
    """Of the images."""
    corners: npt.NDArray[np.int32]
    """HxW, where in the flat image the upper left neighbour is; -1: the place is not in the image."""
    weights: npt.NDArray[np.int16]
    """HxWx2, of the right and of the lower neighbour, in 1/1024."""
    nearest: npt.NDArray[np.int32] = field(init=False)
    """HxW, where the nearest pixel is; 0 for places that are not in the image."""

    def __post_init__(self) -> None:
        right, below = np.moveaxis(self.weights > ONE // 2, -1, 0)
        nearest = np.maximum(self.corners + right + below * np.int32(self.width), 0)
        object.__setattr__(self, "nearest", nearest)

    @classmethod
    def of(
        cls, places: npt.NDArray[np.float64], seen: npt.NDArray[np.bool_], size_wh: tuple[int, int]
    ) -> Self:
        """For places in images of a size.

        Args:
            places: HxWx2, x and y.
            seen: HxW, whether the place lies between the centres of the image's outermost pixels.
            size_wh: of the images, 2x2 at least.
        """
        width, height = size_wh
        fixed = np.rint(np.where(seen[..., None], places, 0.0) * ONE).astype(np.int32)
        first = np.minimum(fixed // ONE, np.array((width - 2, height - 2), np.int32))
        corners = np.where(seen, first[..., 1] * width + first[..., 0], -1)
        return cls(
            width=width, corners=corners.astype(np.int32), weights=(fixed - first * ONE).astype(np.int16)
        )

    def interpolated(self, image: Codes, instead: Codes) -> Plane:
        """Bilinear samples, full range, within a level of exact ones.

        Args:
            image: of the size.
            instead: HxW, seen where the image has nothing.
        """
        out = np.empty(self.corners.shape, np.uint8)
        flat = np.ascontiguousarray(image.plane).reshape(-1)
        maps = self.width, self.corners, self.weights
        interpolate(flat, _scale(image), *maps, instead.plane, _scale(instead), out)
        return out

    def picked(self, image: Counts) -> Counts:
        """The values of the nearest pixels."""
        return np.ascontiguousarray(image).reshape(-1)[self.nearest]


def _scale(image: Codes) -> tuple[int, int]:
    return image.black, round(image.gain * GAIN_ONE)
