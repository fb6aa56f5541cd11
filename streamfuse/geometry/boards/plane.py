"""The homography of a flat board: where it maps points, and how it stretches the board there."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from streamfuse.geometry.boards.board import Floats

__all__ = ["homography", "mapped", "stretch"]

_STEP: Final = 1e-3
"""Of the derivative, in spacings."""


def homography(plane: Floats, pixels: Floats) -> Floats | None:
    """3x3, the best for all points (Nx2, in spacings; Nx2); None if there is none in front of the camera."""
    matrix = np.asarray(cv2.findHomography(plane, pixels)[0], np.float64)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        return None
    depth = plane @ matrix[2, :2] + matrix[2, 2]
    return matrix if depth.min() * depth.max() > 0 else None


def mapped(matrix: Floats, plane: Floats) -> Floats:
    """Pixels (Nx2) of points of the board (Nx2)."""
    homogeneous = np.column_stack((plane, np.ones(len(plane)))) @ matrix.T
    return np.asarray(homogeneous[:, :2] / homogeneous[:, 2:], np.float64)


def stretch(matrix: Floats, plane: Floats) -> Floats:
    """Nx2x2: the pixels that one spacing along x (first column) and along y (second) is at these points."""
    sides = [
        (mapped(matrix, plane + step) - mapped(matrix, plane - step)) / (2 * _STEP)
        for step in np.eye(2) * _STEP
    ]
    return np.stack(sides, axis=2)
