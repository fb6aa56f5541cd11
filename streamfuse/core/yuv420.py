"""4:2:0 pixels to RGB, compiled; apart from :mod:`streamfuse.core.convert`, for numba takes long to load."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numba
import numpy as np
import numpy.typing as npt

from streamfuse.frames import Plane

__all__ = ["yuv420_to_rgb"]

_BITS: Final = 16
"""Fraction bits of the fixed-point coefficients: errors stay below 1/100 of a code."""


def yuv420_to_rgb(planes: Sequence[Plane], gains: Sequence[float]) -> npt.NDArray[np.uint8]:
    """HxWx3 uint8 in the order R, G, B, full range; chroma is repeated over its 2x2 pixels.

    Args:
        planes: luma HxW, U and V (H/2)x(W/2), all uint8.
        gains: of :func:`streamfuse.core.convert.yuv_gains`.
    """
    luma, u, v = planes
    black, *others = gains
    coefficients = np.array([black, *(round(gain * (1 << _BITS)) for gain in others)], np.int64)
    rgb = np.empty((*luma.shape, 3), np.uint8)
    _convert(luma, u, v, coefficients, rgb)
    return rgb


@numba.njit(cache=True, nogil=True)
def _convert(
    luma: Plane,
    u: Plane,
    v: Plane,
    coefficients: npt.NDArray[np.int64],
    rgb: npt.NDArray[np.uint8],
) -> None:
    black, gain, red_v, green_u, green_v, blue_u = coefficients
    half = 1 << (_BITS - 1)
    for row in range(u.shape[0]):
        for column in range(u.shape[1]):
            cu, cv = np.int64(u[row, column]) - 128, np.int64(v[row, column]) - 128
            red, green, blue = red_v * cv + half, green_u * cu + green_v * cv + half, blue_u * cu + half
            for corner in range(4):  # the four pixels that share this chroma
                y, x = 2 * row + (corner >> 1), 2 * column + (corner & 1)
                light = (np.int64(luma[y, x]) - black) * gain
                rgb[y, x, 0] = min(max((light + red) >> _BITS, 0), 255)
                rgb[y, x, 1] = min(max((light + green) >> _BITS, 0), 255)
                rgb[y, x, 2] = min(max((light + blue) >> _BITS, 0), 255)
