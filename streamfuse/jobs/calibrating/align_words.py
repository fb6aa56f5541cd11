"""A registration in words that a person can check by looking at the two cameras."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from streamfuse.config.rig import PlaneConfig, RigConfig

__all__ = ["describe"]

Floats = npt.NDArray[np.float64]

_FAIR: Final = 3 / 640
"""Share of the longer side of the visible picture; what is expected to be off by more gets a warning."""


def describe(rig: RigConfig, plane: PlaneConfig, *, confidence: float, residual_px: float) -> tuple[str, ...]:
    """What a plane says: shift, rotation and scale in the middle of the infrared picture, and how sure it is.

    Args:
        rig: with the sizes of both cameras.
        plane: one of its planes.
        confidence: 0 to 1.
        residual_px: in visible pixels.

    Raises:
        ValueError: the rig lacks a size.
    """
    if rig.visible_size_wh is None or rig.infrared_size_wh is None:
        raise ValueError("describe takes a rig with the sizes of both cameras, got one without")
    matrix = np.array(plane.H_visible_from_infrared)
    middle = (np.array(rig.infrared_size_wh) - 1) / 2
    place, jacobian = _near(matrix, middle)
    scale = math.sqrt(abs(np.linalg.det(jacobian)))
    angle = math.degrees(math.atan2(jacobian[1, 0] - jacobian[0, 1], jacobian[0, 0] + jacobian[1, 1]))
    right, down = place - (np.array(rig.visible_size_wh) - 1) / 2
    fit = (
        f"confidence {confidence:.2f} that this is the right solution and not another one; it may be off by "
        f"{residual_px:.1f} px (residual)"
    )
    lies = (
        f"The middle of the infrared picture lies {_off(right, 'right', 'left')} of and "
        f"{_off(down, 'below', 'above')} the middle of the visible one; it is turned by {abs(angle):.1f}° "
        f"{'clockwise' if angle >= 0 else 'counterclockwise'}, and one of its pixels is {scale:.3f} visible "
        "ones."
    )
    words = (lies, f"Plane at {_metres(plane.distance_m)}: {fit}{_order(rig, plane)}")
    if residual_px <= _FAIR * max(rig.visible_size_wh):
        return words
    warning = (
        f"Warning: the corners may be off by {residual_px:.1f} px or more; give several pairs of scenes that "
        "have edges everywhere, at the distance that counts, and look at `streamfuse calibrate report`."
    )
    return (*words, warning)


def _near(matrix: Floats, pixel: Floats) -> tuple[Floats, Floats]:
    """Where a homography takes a pixel, and its derivative there (2x2)."""
    x, y, w = matrix @ (*pixel, 1.0)
    place = np.array((x, y)) / w
    return place, (matrix[:2, :2] - np.outer(place, matrix[2, :2])) / w


def _off(shift_px: float, positive: str, negative: str) -> str:
    return f"{abs(shift_px):.1f} px {positive if shift_px >= 0 else negative}"


def _metres(distance_m: float) -> str:
    return "infinity (all that is far away)" if math.isinf(distance_m) else f"{distance_m:g} m"


def _order(rig: RigConfig, plane: PlaneConfig) -> str:
    if len(rig.planes) == 1:
        return "."
    if rig.planes[0].distance_m == plane.distance_m:
        return f"; the first of {len(rig.planes)} planes, used where a pipeline names no distance."
    return f"; one of {len(rig.planes)} planes: where a pipeline names no distance the farthest is used."
