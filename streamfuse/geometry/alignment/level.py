"""Pairs at a lower resolution, and homographies between their pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from streamfuse.geometry.alignment.descriptor import Descriptor, Mask, describe, seen_part

__all__ = ["Floats", "Gray", "Level", "SizeWH", "corners_of", "mapped", "shift"]

Floats = npt.NDArray[np.float64]
Gray = npt.NDArray[np.uint8]
SizeWH = tuple[int, int]


class Level(NamedTuple):
    """One or more pairs of the same two cameras at one resolution."""

    visible: tuple[Descriptor, ...]
    infrared: tuple[Gray, ...]
    infrared_seen: tuple[Mask | None, ...]
    to_visible: Floats
    """3x3, from pixels of this level to those of the full picture."""
    to_infrared: Floats

    @classmethod
    def of(cls, pairs: Sequence[tuple[Gray, Gray]], visible_step: float, infrared_step: float) -> Level:
        """So many pixels of the full picture are one of this level."""
        seen = [seen_part(infrared) for _, infrared in pairs]
        first_visible, first_infrared = pairs[0]
        return cls(
            tuple(describe(_smaller(visible, visible_step)) for visible, _ in pairs),
            tuple(_smaller(infrared, infrared_step) for _, infrared in pairs),
            tuple(
                None if mask is None else _smaller(mask.astype(np.uint8) * np.uint8(255), infrared_step) > 250
                for mask in seen
            ),
            _larger(first_visible, visible_step),
            _larger(first_infrared, infrared_step),
        )

    @property
    def size_wh(self) -> SizeWH:
        """Of the visible pictures."""
        height, width = self.visible[0].shape[:2]
        return width, height

    def down(self, H_infrared_from_visible: Floats) -> Floats:  # noqa: N803 - a homography
        """A homography between full pictures as one between those of this level."""
        return np.asarray(np.linalg.inv(self.to_infrared) @ H_infrared_from_visible @ self.to_visible)

    def up(self, H_infrared_from_visible: Floats) -> Floats:  # noqa: N803 - a homography
        """The way back."""
        return np.asarray(self.to_infrared @ H_infrared_from_visible @ np.linalg.inv(self.to_visible))

    def moved(self, index: int, H_infrared_from_visible: Floats, margin: int) -> tuple[Descriptor, Mask]:  # noqa: N803
        """One infrared picture as the visible camera sees it, with a margin around it.

        Args:
            index: of the pair.
            H_infrared_from_visible: of this level.
            margin: in pixels, on each side.
        """
        width, height = self.size_wh
        size_wh = (width + 2 * margin, height + 2 * margin)
        way = H_infrared_from_visible @ shift(-margin, -margin)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        infrared, mask = self.infrared[index], self.infrared_seen[index]
        gray = cv2.warpPerspective(infrared, way, size_wh, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        there = (
            np.full(infrared.shape, 255, np.uint8) if mask is None else mask.astype(np.uint8) * np.uint8(255)
        )
        seen = np.asarray(cv2.warpPerspective(there, way, size_wh, flags=flags) > 250, np.bool_)
        return describe(gray, seen), seen


def shift(dx: float, dy: float) -> Floats:
    """The homography of a shift."""
    return np.array([[1.0, 0.0, dx], [0.0, 1.0, dy], [0.0, 0.0, 1.0]])


def corners_of(size_wh: SizeWH) -> Floats:
    """4x2: centres of the pixels in the corners."""
    right, bottom = size_wh[0] - 1.0, size_wh[1] - 1.0
    return np.array([[0.0, 0.0], [right, 0.0], [right, bottom], [0.0, bottom]])


def mapped(H: Floats, points: Floats) -> Floats:  # noqa: N803 - a homography
    """Nx2 points through a homography."""
    return np.asarray(cv2.perspectiveTransform(points[None], H)[0], np.float64)


def _smaller(gray: Gray, step: float) -> Gray:
    if step <= 1:
        return gray
    height, width = gray.shape
    size_wh = max(16, round(width / step)), max(16, round(height / step))
    return np.asarray(cv2.resize(gray, size_wh, interpolation=cv2.INTER_AREA), np.uint8)


def _larger(gray: Gray, step: float) -> Floats:
    """From pixels of the smaller picture to those of the full one; pixel centres lie at integers."""
    height, width = gray.shape
    small = _smaller(gray, step)
    across, down = width / small.shape[1], height / small.shape[0]
    return np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1.0]])
