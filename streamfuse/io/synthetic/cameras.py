"""The two cameras: where they stand, how they see, and the homography between them.

World frame: metres, x to the right across the street, y along it, away from the cameras, z up; the
ground is z = 0. A camera is a 3x4 matrix from homogeneous world points to pixels times depth, pixel
centres at integers. Both cameras share one centre, so one homography maps every pixel at any distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamfuse.io.synthetic.arrays import Doubles, Floats, floats

__all__ = ["CAMERA_XYZ", "Camera", "homography_visible_from_infrared", "infrared_camera", "visible_camera"]

CAMERA_XYZ = (3.35, 0.0, 2.35)
_YAW_DEG = 7.0  # to the left
_PITCH_DEG = 3.2  # downwards
_FOCAL_PER_WIDTH = 0.86  # 60 degrees across

_NORMALISED_H = np.array([[1.058, -0.0135, 0.016], [0.0125, 1.049, -0.011], [0.006, -0.004, 1.0]])
"""Visible from infrared, in coordinates that run from -1 to 1 across the width of each image."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Camera:
    """A projective camera of the street."""

    size_wh: tuple[int, int]
    matrix: Doubles
    """3x4: pixels times depth in metres, from homogeneous world points."""

    def rays(self, supersampling: int) -> Floats:
        """World directions (not of unit length) of all pixels of a grid ``supersampling`` times finer."""
        width, height = (side * supersampling for side in self.size_wh)
        x = (np.arange(width) + 0.5) / supersampling - 0.5
        y = (np.arange(height) + 0.5) / supersampling - 0.5
        back = np.linalg.inv(self.matrix[:, :3])
        rows = y[:, None] * back[:, 1] + back[:, 2]
        return floats(x[None, :, None] * back[:, 0] + rows[:, None, :])

    def project(self, points: NDArray[np.floating]) -> Doubles:
        """Pixels and depth, Nx3, of world points Nx3; pixels mean nothing where the depth is not positive."""
        homogeneous = points @ self.matrix[:, :3].T + self.matrix[:, 3]
        depth = homogeneous[:, 2:]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.concatenate([homogeneous[:, :2] / depth, depth], axis=1)


def visible_camera(size_wh: tuple[int, int]) -> Camera:
    """The visible camera: on the kerb of the near pavement, looking along the street."""
    yaw, pitch = np.deg2rad(_YAW_DEG), np.deg2rad(_PITCH_DEG)
    forward = np.array([-np.sin(yaw) * np.cos(pitch), np.cos(yaw) * np.cos(pitch), -np.sin(pitch)])
    right = np.array([np.cos(yaw), np.sin(yaw), 0.0])
    rotation = np.stack([right, np.cross(forward, right), forward])
    focal = _FOCAL_PER_WIDTH * size_wh[0]
    intrinsics = np.array(
        [[focal, 0, (size_wh[0] - 1) / 2], [0, focal, (size_wh[1] - 1) / 2], [0, 0, 1]], np.float64
    )
    centre = np.array(CAMERA_XYZ)
    pose = np.concatenate([rotation, -(rotation @ centre)[:, None]], axis=1)
    return Camera(size_wh=size_wh, matrix=intrinsics @ pose)


def infrared_camera(visible: Camera, size_wh: tuple[int, int], *, turned_px: float = 0.0) -> Camera:
    """The infrared camera: slightly wider, turned and tilted against the visible one.

    Args:
        visible: the other camera.
        size_wh: of the infrared image.
        turned_px: turned further to the right, by so many pixels of the visible image.
    """
    H = homography_visible_from_infrared(visible.size_wh, size_wh)  # noqa: N806 - H names a matrix
    turned = np.array([[1.0, 0.0, turned_px], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    matrix = np.linalg.inv(turned @ H) @ visible.matrix
    # Scaled so that the third row is metres again: the axis keeps unit length.
    return Camera(size_wh=size_wh, matrix=matrix / np.linalg.norm(matrix[2, :3]))


def homography_visible_from_infrared(visible_wh: tuple[int, int], infrared_wh: tuple[int, int]) -> Doubles:
    """3x3, maps homogeneous infrared pixels to visible pixels; last element 1."""
    H = _to_pixels(visible_wh) @ _NORMALISED_H @ np.linalg.inv(_to_pixels(infrared_wh))  # noqa: N806
    return np.asarray(H / H[2, 2])


def _to_pixels(size_wh: tuple[int, int]) -> Doubles:
    half = size_wh[0] / 2
    return np.array([[half, 0, (size_wh[0] - 1) / 2], [0, half, (size_wh[1] - 1) / 2], [0, 0, 1]])
