"""Where the middles of disks are: centroids on a levelled ground, corrected for perspective.

The centroid of the picture of a disk is the centre of an ellipse, which is not the picture of the disk's
middle unless the disk is seen head-on. Both follow from the homography of the board and the radius.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from streamfuse.geometry.boards.board import Floats
from streamfuse.geometry.boards.plane import homography, mapped, stretch

__all__ = ["Disks", "measured_disks"]

Single = npt.NDArray[np.float32]

_ROUNDS: Final = 3
_WHOLE_ENOUGH: Final = 0.8
"""Of all disks that must be whole in the picture: as many as corners of a chessboard."""
_GROUND: Final = 0.8
"""Parts of the reach from which there is ground only."""
_FAINT: Final = 0.1
"""Weights below this are noise of the ground."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Disks:
    """Measured disks of a grid."""

    rows: npt.NDArray[np.intp]
    """(N,), which ones: those that lie in the picture with some ground around them."""
    pixels: Floats
    """Nx2, their middles."""
    difference: float
    """How much brighter than the ground they are, in units of the picture."""


def measured_disks(image: Single, plane: Floats, pixels: Floats, *, reach: float) -> Disks | None:
    """Middles of the disks of a grid.

    Args:
        image: HxW float32, of any range.
        plane: Nx2, the disks on the board, in spacings.
        pixels: Nx2, about where they are.
        reach: how far from its middle, in spacings, a disk has the ground for itself.

    Returns:
        None if one of the disks has no clear shape, or too many reach out of the picture.
    """
    centroids, matrix = pixels, homography(plane, pixels)
    if matrix is None:
        return None
    rows = np.flatnonzero(_inside(image, pixels, stretch(matrix, plane), reach=_GROUND * reach))
    if len(rows) < _WHOLE_ENOUGH * len(plane):
        return None
    plane, centroids = plane[rows], pixels[rows]
    for _ in range(_ROUNDS):
        if matrix is None:
            return None
        found = [
            _centroid(image, centre, local, reach=reach)
            for centre, local in zip(centroids, stretch(matrix, plane), strict=True)
        ]
        clear = [one for one in found if one is not None]
        if len(clear) < len(plane):
            return None
        centroids = np.array([one[0] for one in clear])
        matrix = homography(plane, centroids)
    _, radii, differences = zip(*clear, strict=True)
    if matrix is None or np.ptp(np.sign(differences)) != 0:
        return None
    shift = mapped(matrix, plane) - _ellipse_centres(matrix, plane, float(np.median(radii)))
    return Disks(rows=rows, pixels=centroids + shift, difference=float(np.median(differences)))


def _inside(image: Single, centres: Floats, local: Floats, *, reach: float) -> npt.NDArray[np.bool_]:
    """Which circles (N) on the board, so many spacings wide from their middle, lie in the picture."""
    half = np.linalg.norm(local, axis=2) * reach
    last = np.array(image.shape[::-1]) - 1
    return np.asarray(((centres >= half) & (centres + half <= last)).all(axis=1))


def _centroid(
    image: Single, centre: Floats, local: Floats, *, reach: float
) -> tuple[Floats, float, float] | None:
    """Centroid, radius in spacings and difference to the ground of one disk; ``local`` as of ``stretch``."""
    half = np.ceil(np.abs(local).sum(axis=1) * reach).astype(int) + 1
    left, top = np.maximum(np.round(centre) - half, 0).astype(int)
    right, bottom = np.minimum(np.round(centre) + half + 1, image.shape[::-1]).astype(int)
    y, x = np.mgrid[top:bottom, left:right].reshape(2, -1).astype(np.float64)
    values = image[top:bottom, left:right].ravel().astype(np.float64)
    distance = np.linalg.norm((np.column_stack((x, y)) - centre) @ np.linalg.inv(local).T, axis=1)
    ground, core = (distance > _GROUND * reach) & (distance <= reach), distance < 0.15 * reach
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
