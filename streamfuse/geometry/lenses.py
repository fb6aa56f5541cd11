"""Two cameras with their lenses: pixels of one in the other, for a plane in front of them."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from streamfuse.errors import CalibrationError
from streamfuse.geometry.camera import Camera
from streamfuse.geometry.pose import Pose

__all__ = ["Lenses", "plane_homography", "within"]

Floats = npt.NDArray[np.float64]

_FITTED_WH: Final = (41, 31)
"""Pixels across and down that a homography is fitted to."""
_LEAST_COMMON: Final = 16
"""Of them, both cameras must see so many."""
_LEAST_SLOPE: Final = 1e-3
"""By how much a lens must still spread rays, relative to its middle; beyond, its image folds back."""
_MOST_OFF_PX: Final = 0.01
"""A pixel whose ray does not come back to it lies beyond what the lens can picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lenses:
    """The whole model of a rig. The plane at a distance is z = distance, parallel to the visible sensor."""

    visible: Camera
    infrared: Camera
    T_visible_from_infrared: Pose

    def infrared_from_visible(self, pixels: npt.ArrayLike, distance_m: float) -> Floats:
        """Infrared pixels, Nx2, of what visible pixels, Nx2, show of the plane; NaN where there is none."""
        back = self.T_visible_from_infrared.inverse
        # In units of the distance the plane is z = 1, also where it is infinitely far away.
        points = _homogeneous(_rays(self.visible, pixels))
        return _pixels(self.infrared, points @ back.rotation.T + back.translation / distance_m)

    def visible_from_infrared(self, pixels: npt.ArrayLike, distance_m: float) -> Floats:
        """The inverse of :meth:`infrared_from_visible`."""
        pose = self.T_visible_from_infrared
        towards = _homogeneous(_rays(self.infrared, pixels)) @ pose.rotation.T
        centre = pose.translation / distance_m
        with np.errstate(divide="ignore", invalid="ignore"):
            along = (1.0 - centre[2]) / towards[:, 2:]
        points = np.where(along > 0, towards * np.where(along > 0, along, 0.0) + centre, np.nan)
        return _pixels(self.visible, points)

    def homography(self, distance_m: float) -> Floats:
        """See :func:`plane_homography`."""
        return plane_homography(self.visible, self.infrared, self.T_visible_from_infrared, distance_m)


def plane_homography(visible: Camera, infrared: Camera, pose: Pose, distance_m: float) -> Floats:
    """The matrix that takes infrared pixels to the visible ones that show the same point of a plane.

    Exact for ideal lenses: the inverse of ``K_infrared (R + t n^T / d) K_visible^-1`` (Hartley, Zisserman:
    Multiple View Geometry, 2nd edition, eq. 13.2). With bent ones it is the best over the common field in the
    sense of least squares of visible pixels.

    Args:
        visible: camera.
        infrared: camera.
        pose: ``T_visible_from_infrared``.
        distance_m: of the plane, parallel to the visible sensor; ``inf`` for far away.

    Returns:
        3x3, last element 1.

    Raises:
        CalibrationError: hardly anything is seen by both cameras.
    """
    across, down = (
        np.linspace(0, side - 1, count) for side, count in zip(visible.size_wh, _FITTED_WH, strict=True)
    )
    seen = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)
    lenses = Lenses(visible=visible, infrared=infrared, T_visible_from_infrared=pose)
    there = lenses.infrared_from_visible(seen, distance_m)
    common = within(there, infrared.size_wh)
    if common.sum() < _LEAST_COMMON:
        raise CalibrationError(
            f"at {distance_m:g} m hardly anything is seen by both cameras; check the pose between them, its "
            "translation is in metres"
        )
    if (
        not any(visible.distortion)
        and not any(infrared.distortion)
        and infrared.model == visible.model == "pinhole"
    ):
        back = pose.inverse
        motion = back.rotation + np.outer(back.translation, (0.0, 0.0, 1.0)) / distance_m
        matrix = np.linalg.inv(infrared.matrix @ motion @ np.linalg.inv(visible.matrix))
    else:
        matrix = np.asarray(cv2.findHomography(there[common], seen[common])[0], np.float64)
    scaled: Floats = matrix / matrix[2, 2]
    return scaled


def within(pixels: Floats, size_wh: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Which pixels (…x2) lie between the centres of the outermost pixels of an image; NaN does not."""
    return np.asarray(((pixels >= 0) & (pixels <= np.subtract(size_wh, 1))).all(axis=-1), np.bool_)


def _homogeneous(rays: Floats) -> Floats:
    return np.append(rays, np.ones_like(rays[:, :1]), axis=1)


def _rays(camera: Camera, pixels: npt.ArrayLike) -> Floats:
    """Where the rays of pixels cross z = 1, Nx2; NaN for pixels that the lens does not reach."""
    given = np.asarray(pixels, np.float64).reshape(-1, 2)
    rays = camera.normalise(given)
    if any(camera.distortion) or camera.model == "fisheye":
        off = np.abs(camera.project(_homogeneous(rays)) - given).max(axis=1)
        rays[~((off < _MOST_OFF_PX) & (np.hypot(*rays.T) <= _reach(camera)))] = np.nan
    return rays


def _pixels(camera: Camera, points: Floats) -> Floats:
    """Pixels of points in camera coordinates; NaN for those beyond the part of the lens that is described."""
    pixels = camera.project(points)
    if any(camera.distortion):
        with np.errstate(divide="ignore", invalid="ignore"):
            off_axis = np.hypot(*points[:, :2].T) / points[:, 2]
        pixels[~(off_axis <= _reach(camera))] = np.nan
    return pixels


@functools.lru_cache(maxsize=16)
def _reach(camera: Camera) -> float:
    """Tangent of the angle from the axis up to which rays farther out come to lie farther out.

    Distortion is a polynomial fitted to what was seen; farther out it bends back, and what is far beside the
    camera would appear in its image.
    """
    k = np.zeros(14)
    k[: len(camera.distortion)] = camera.distortion
    if camera.model == "fisheye":
        angle = np.linspace(0.0, math.pi / 2, 2001)[:-1]
        radius, bent = np.tan(angle), angle * np.polyval([*k[3::-1], 1.0], angle**2)
        slope = np.gradient(bent, angle)
    else:
        radius = np.linspace(0.0, 8.0, 4001)
        square = radius**2
        bent = (
            radius * np.polyval([k[4], k[1], k[0], 1.0], square) / np.polyval([k[7], k[6], k[5], 1.0], square)
        )
        slope = np.gradient(bent, radius)
    folds = np.flatnonzero(~(slope > _LEAST_SLOPE))
    return float(radius[folds[0] - 1]) if folds.size else math.inf
