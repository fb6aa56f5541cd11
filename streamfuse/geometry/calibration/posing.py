"""Where a board is, seen by a camera whose lens is known; and a first guess of the lens where it is not."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from streamfuse.geometry.boards.board import BoardView, Floats, SizeWH
from streamfuse.geometry.calibration.lens import project
from streamfuse.geometry.camera import Camera, LensModel
from streamfuse.geometry.pose import Pose

__all__ = ["FEWEST_CORNERS", "first_camera", "is_thin", "numbers_of", "place_board", "pose_of"]

_FOCAL_SHARES: Final = np.geomspace(0.25, 12.0, 13)
"""Focal lengths to begin with, in parts of the wider side: from 127 degrees across to 5."""
FEWEST_CORNERS: Final = 8
_LEAST_WIDTH: Final = 0.05
_WORST_PX: Final = 50.0
"""A view that fits no better tells nothing, and should not outvote the others."""


def place_board(camera: Camera, view: BoardView) -> tuple[Floats, float]:
    """Where a board is in camera coordinates, and its RMS: a rotation vector, and a translation in metres.

    Of the two poses that explain a small or distant board (Collins and Bartoli, "Infinitesimal plane-based
    pose estimation", 2014) the better one, refined. The RMS is infinite where the lens cannot have taken the
    picture.
    """
    rays = camera.normalise(view.pixels)
    away = (np.array([0.0, 0.0, 0.0, 0.0, 0.0, 1.0]), float("inf"))
    if is_thin(view) or not np.isfinite(rays).all() or np.abs(rays).max() > 1e3:
        return away
    board = view.object_points
    _, turns, shifts, _ = cv2.solvePnPGeneric(board, rays[:, None], np.eye(3), None, flags=cv2.SOLVEPNP_IPPE)
    found = [away]
    for turn, shift in zip(turns, shifts, strict=True):
        finer = cv2.solvePnPRefineLM(board, rays[:, None], np.eye(3), None, turn, shift)
        pose = np.concatenate([np.asarray(part, np.float64).ravel() for part in finer])
        if np.isfinite(pose).all() and pose[5] > 0:
            off = view.pixels - project(camera, pose, board)[0]
            found.append((pose, float(np.sqrt(np.mean(np.sum(off**2, axis=1))))))
    return min(found, key=lambda each: each[1])


def is_thin(view: BoardView) -> bool:
    """Whether a view has too few corners to tell a pose, or all of them nearly in one line."""
    if len(view.ids) < FEWEST_CORNERS:
        return True
    plane = view.object_points[:, :2]
    longest, widest = np.linalg.svd(plane - plane.mean(axis=0), compute_uv=False)
    return bool(widest < _LEAST_WIDTH * longest)


def first_camera(views: list[BoardView], size_wh: SizeWH, model: LensModel) -> Camera:
    """An ideal lens with the principal point in the middle, and the focal length of a few that fits best."""
    width, height = size_wh

    def misfit(camera: Camera) -> float:
        return sum(min(place_board(camera, view)[1], _WORST_PX) for view in views)

    return min(
        (
            Camera(
                size_wh=size_wh,
                fx=focal,
                fy=focal,
                cx=(width - 1) / 2,
                cy=(height - 1) / 2,
                model=model,
            )
            for focal in (_FOCAL_SHARES * max(size_wh)).tolist()
        ),
        key=misfit,
    )


def pose_of(numbers: Floats) -> Pose:
    """Six numbers as a pose."""
    a, b, c, x, y, z = numbers.tolist()
    return Pose(rotation_vector=(a, b, c), translation_m=(x, y, z))


def numbers_of(pose: Pose) -> Floats:
    """A pose as six numbers."""
    return np.array((*pose.rotation_vector, *pose.translation_m))
