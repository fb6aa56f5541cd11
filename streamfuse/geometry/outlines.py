"""Outlines: a mask as polygons, for those who draw or measure shapes and do not want pixels."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Polygon", "outlines"]

Polygon = tuple[tuple[float, float], ...]
"""Corners, x to the right and y down."""

_LEAST_CORNERS: Final = 3
_AROUND: Final = np.ones((3, 3), np.uint8)


def outlines(
    mask: npt.NDArray[np.bool_], *, offset_xy: tuple[int, int] = (0, 0), tolerance_px: float = 0.75
) -> tuple[Polygon, ...]:
    """The outer outlines of the parts of a mask, the largest first; holes are filled.

    They follow the edges of the pixels (the first pixel spans 0 to 1), as boxes do. Parts that touch at a
    corner are one.

    Args:
        mask: HxW.
        offset_xy: added to all corners, where the mask is a window of a larger one.
        tolerance_px: how far an outline may leave the edges of the pixels to have fewer corners (the
            algorithm of Douglas and Peucker, 1973); 0 keeps every step.

    Raises:
        ValueError: the tolerance is negative.
    """
    if tolerance_px < 0:
        raise ValueError(f"tolerance_px must not be negative, got {tolerance_px}")
    if not mask.any():
        return ()
    height, width = mask.shape
    # On a grid of half pixels the middles are odd and the edges even; OpenCV walks along the edges.
    grid = np.zeros((2 * height + 1, 2 * width + 1), np.uint8)
    grid[1::2, 1::2] = mask
    found, _ = cv2.findContours(cv2.dilate(grid, _AROUND), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    parts = sorted(found, key=cv2.contourArea, reverse=True)
    smooth = (_simplified(part, 2 * tolerance_px)[:, 0] / 2 + offset_xy for part in parts)
    return tuple(tuple(map(tuple, corners.tolist())) for corners in smooth)


def _simplified(contour: cv2.typing.MatLike, tolerance: float) -> cv2.typing.MatLike:
    """With fewer corners, but never a line: what is too small for the tolerance stays as it is."""
    simpler = cv2.approxPolyDP(contour, tolerance, closed=True)
    return simpler if len(simpler) >= _LEAST_CORNERS else contour
