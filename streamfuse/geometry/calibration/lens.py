"""The numbers of a camera as a vector that a solver may change, and the derivatives of its pixels by them."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from streamfuse.geometry.boards.board import Floats
from streamfuse.geometry.camera import Camera, LensModel

__all__ = ["BASE", "TERMS", "columns", "numbers_of", "project", "with_numbers"]

BASE: Final = ("f", "cx", "cy")
"""What is always determined; ``f`` is fx and fy together: square pixels."""
TERMS: Final[dict[LensModel, tuple[str, ...]]] = {
    "pinhole": ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3"),
    "fisheye": ("fx", "fy", "cx", "cy", "k1", "k2", "k3", "k4"),
}
"""The numbers of each model, in the order of the vector."""
_COUNT: Final[dict[LensModel, int]] = {"pinhole": 5, "fisheye": 4}


def numbers_of(camera: Camera) -> Floats:
    """fx, fy, cx, cy and all the coefficients that the model is solved for (or that this camera has)."""
    bent = np.zeros(max(_COUNT[camera.model], len(camera.distortion)))
    bent[: len(camera.distortion)] = camera.distortion
    return np.concatenate(([camera.fx, camera.fy, camera.cx, camera.cy], bent))


def with_numbers(camera: Camera, numbers: Floats) -> Camera:
    """The camera with other numbers.

    Raises:
        ValueError: numbers that no camera has; a solver has gone astray.
    """
    fx, fy, cx, cy, *bent = numbers.tolist()
    return Camera(
        size_wh=camera.size_wh, fx=fx, fy=fy, cx=cx, cy=cy, model=camera.model, distortion=tuple(bent)
    )


def columns(camera: Camera, free: tuple[str, ...]) -> Floats:
    """Matrix from steps of the free terms to steps of all numbers."""
    names = TERMS[camera.model]
    chosen = np.zeros((len(numbers_of(camera)), len(free)))
    for column, term in enumerate(free):
        for name in ("fx", "fy") if term == "f" else (term,):
            chosen[names.index(name), column] = 1.0
    return chosen


def project(camera: Camera, board_pose: Floats, points: Floats) -> tuple[Floats, Floats, Floats]:
    """Pixels of points of a board, and how they move.

    Args:
        camera: What sees them.
        board_pose: Six numbers: rotation vector and translation of the board in camera coordinates.
        points: Nx3, metres, on the board.

    Returns:
        Pixels Nx2; derivatives by the pose 2Nx6; derivatives by :func:`numbers_of` 2NxM.
    """
    rotation, shift, bent = board_pose[:3], board_pose[3:], numbers_of(camera)[4:]
    if camera.model == "fisheye":
        found, slopes = cv2.fisheye.projectPoints(points[:, None], rotation, shift, camera.matrix, bent)
        pose_columns, lens_columns = slice(8, 14), slice(0, 8)
    else:
        found, slopes = cv2.projectPoints(points, rotation, shift, camera.matrix, bent)
        pose_columns, lens_columns = slice(0, 6), slice(6, None)
    pixels, derivatives = np.asarray(found, np.float64).reshape(-1, 2), np.asarray(slopes, np.float64)
    return pixels, derivatives[:, pose_columns], derivatives[:, lens_columns]
