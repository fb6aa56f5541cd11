"""How much moves in an image, and where: a few numbers a frame, alike for visible and infrared cameras."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["CHANNELS", "Energy", "MotionEnergy"]

Energy = npt.NDArray[np.float32]
"""Mean absolute change in each band of the image, as its square root; shape ``(CHANNELS,)``."""

_ROWS, _COLUMNS = 12, 16
"""Bands across and bands down: they see where something moves, without a need to be registered exactly."""
_TALL, _WIDE = 5, 5
"""Samples in a band."""

CHANNELS: Final = _ROWS + _COLUMNS


class MotionEnergy:
    """Compares each image of one stream with the one before, on a grid of 60 by 80 samples.

    A sample is the mean of a few neighbours in one row, so that noise and compression matter less than
    edges that move. What light and gain do to all of the image is the business of whoever compares.
    """

    def __init__(self) -> None:
        self._before: npt.NDArray[np.float32] | None = None

    def of(self, plane: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> Energy | None:
        """The motion since the last image; None for the first one and for an exact repeat.

        Args:
            plane: HxW luma or thermal counts, or HxWx3 RGB, of which green is taken.

        Raises:
            ValueError: an array of another shape.
        """
        if plane.ndim == 3 and plane.shape[2] == 3:
            plane = plane[..., 1]
        if plane.ndim != 2:
            raise ValueError(f"motion needs an HxW or HxWx3 image, got shape {plane.shape}")
        now, before = _coarse(plane), self._before
        if before is None:
            self._before = now
            return None
        change = np.abs(now - before)
        if not change.any():
            return None
        self._before = now
        across = change.reshape(_ROWS, -1).mean(axis=1)
        down = change.mean(axis=0).reshape(_COLUMNS, -1).mean(axis=1)
        energy: Energy = np.sqrt(np.concatenate([across, down]))
        return energy


def _coarse(plane: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """60x80 samples of an image of any size, each the mean of its neighbours to the right."""
    height, width = plane.shape
    high, wide = _ROWS * _TALL, _COLUMNS * _WIDE
    rows = (np.arange(high) * height + height // 2) // high
    run = width // wide
    if run == 0:
        return plane[np.ix_(rows, np.arange(wide) * width // wide)].astype(np.float32)
    left = (width - run * wide) // 2
    samples = plane[rows, left : left + run * wide].astype(np.float32).reshape(high, wide, run)
    mean: npt.NDArray[np.float32] = samples @ np.full(run, 1 / run, np.float32)  # far faster than mean()
    return mean
