"""What pictures of a flat thing tell of the camera, without a calibration.

The focal length follows Zhang, "A flexible new technique for camera calibration", PAMI 2000, with the
principal point in the middle and square pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["guess_focal", "plane_homography"]

Floats = npt.NDArray[np.float64]

_PRIOR: Final = 0.01, 1.0
"""Weight of the guess before there are views, and the focal length guessed, in sides of the picture."""
_FOCAL_RANGE: Final = 0.25, 6.0


def plane_homography(plane: Floats, picture: Floats) -> Floats | None:
    """3x3 of four or more points (Nx2 and Nx2, both of unit size); None where they do not determine it.

    Direct linear transform (Hartley and Zisserman, "Multiple View Geometry", algorithm 4.1).
    """
    x, y = plane.T
    u, v = picture.T
    one, zero = np.ones_like(x), np.zeros_like(x)
    rows = np.concatenate(
        [
            np.column_stack((x, y, one, zero, zero, zero, -u * x, -u * y, -u)),
            np.column_stack((zero, zero, zero, x, y, one, -v * x, -v * y, -v)),
        ]
    )
    _, values, vectors = np.linalg.svd(rows)
    homography: Floats = vectors[-1].reshape(3, 3)
    if values[7] < 1e-6 * values[0] or abs(homography[2, 2]) < 1e-9:
        return None
    scaled: Floats = homography / homography[2, 2]
    return scaled


def guess_focal(homographies: Iterable[Floats]) -> float:
    """The focal length for which the axes of all boards are perpendicular and of equal length.

    Args:
        homographies: from planes with equal units across and down to a picture, from its middle in longer
            sides. Views without tilt say nothing.

    Returns:
        In longer sides of the picture; 1 where nothing tells.
    """
    weight, guess = _PRIOR
    top, bottom = weight / guess**2, weight
    for homography in homographies:
        (a1, a2), (b1, b2), (c1, c2) = homography[:, :2] / np.linalg.norm(homography[:2, :2]) * math.sqrt(2)
        for seen, lost in ((a1 * a2 + b1 * b2, c1 * c2), (a1**2 + b1**2 - a2**2 - b2**2, c1**2 - c2**2)):
            top -= seen * lost
            bottom += seen**2
    low, high = _FOCAL_RANGE
    return 1 / math.sqrt(min(max(top / bottom, high**-2), low**-2))
