"""Where the middles of disks are: centroids on a levelled ground, corrected for perspective.

The centroid of the picture of a disk is the centre of an ellipse, which is not the picture of the disk's
middle unless the disk is seen head-on. Both follow from the homography of the board and the radius.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from streamfuse.geometry.boards.board import Floats
from streamfuse.geometry.boards.plane import homography, mapped, stretch

__all__ = ["measured_disks"]

Single = npt.NDArray[np.float32]

_ROUNDS: Final = 3
_FAINT: Final = 0.1
"""Weights below this are noise of the ground."""


def measured_disks(
    image: Single, plane: Floats, pixels: Floats, *, reach: float
) -> tuple[Floats, float, float] | None:
    """Middles of the disks of a grid.

    Args:
        image: HxW float32, of any range.
        plane: Nx2, the disks on the board, in spacings.
        pixels: Nx2, about where they are.
        reach: how far from its middle, in spacings, a disk has the ground for itself.

    Returns:
        Nx2 pixels, the radius in spacings, and how much brighter than the ground the disks are, in units of
        the picture; None if one of them has no clear shape or reaches out of the picture.
    """
    centroids, matrix = pixels, homography(plane, pixels)
    for _ in range(_ROUNDS):
        if matrix is None:
            return None
        found = [
            _centroid(image, centre, local, reach=reach)
            for centre, local in zip(centroids, stretch(matrix, plane), strict=True)
        ]
        whole = [one for one in found if one is not None]
        if len(whole) < len(plane):
            return None
        centroids = np.array([one[0] for one in whole])
        matrix = homography(plane, centroids)
    _, radii, differences = zip(*whole, strict=True)
    if matrix is None or np.ptp(np.sign(differences)) != 0:
        return None
    radius = float(np.median(radii))
    shift = mapped(matrix, plane) - _ellipse_centres(matrix, plane, radius)
    return centroids + shift, radius, float(np.median(differences))


def _centroid(
    image: Single, centre: Floats, local: Floats, *, reach: float
) -> tuple[Floats, float, float] | None:
    """Centroid, radius in spacings and difference to the ground of one disk; ``local`` as of ``stretch``."""
    half = np.ceil(np.abs(local).sum(axis=1) * reach).astype(int) + 1
    left, top = (np.round(centre) - half).astype(int)
    right, bottom = (np.round(centre) + half + 1).astype(int)
    if min(left, top) < 0 or right > image.shape[1] or bottom > image.shape[0]:
        return None
    y, x = np.mgrid[top:bottom, left:right].reshape(2, -1).astype(np.float64)
    values = image[top:bottom, left:right].ravel().astype(np.float64)
    distance = np.linalg.norm((np.column_stack((x, y)) - centre) @ np.linalg.inv(local).T, axis=1)
    ground, core = (distance > 0.8 * reach) & (distance <= reach), distance < 0.15 * reach
    if ground.sum() < 8 or not core.any():
        return None
    basis = np.column_stack((np.ones_like(x), x - centre[0], y - centre[1]))
    values -= basis @ np.linalg.lstsq(basis[ground], values[ground], rcond=None)[0]
    difference = float(np.median(values[core]))
    if abs(difference) < 3 * float(np.std(values[ground])):
        return None
    weights = np.where(distance <= reach, np.clip(values / difference, 0.0, 1.0), 0.0)
    weights[weights < _FAINT] = 0.0
    area = weights.sum() / abs(np.linalg.det(local))
    middle = np.array((weights @ x, weights @ y)) / weights.sum()
    return middle, float(np.sqrt(area / np.pi)), difference


def _ellipse_centres(matrix: Floats, centres: Floats, radius: float) -> Floats:
    """Centres of the ellipses that circles become: the pole of the line at infinity, by the dual conic."""
    homogeneous = np.column_stack((centres, np.ones(len(centres))))
    dual = np.diag((radius**2, radius**2, 0.0)) - homogeneous[:, :, None] * homogeneous[:, None, :]
    moved = matrix @ dual @ matrix.T
    poles: Floats = moved[:, :2, 2] / moved[:, 2:, 2]
    return poles
