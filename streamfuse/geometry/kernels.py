"""Loops over pixels, compiled; apart from their callers, for numba takes long to load."""

from __future__ import annotations

from typing import Final

import numba
import numpy as np
import numpy.typing as npt
from numba import types

__all__ = ["GAIN_ONE", "ONE", "interpolate", "largest"]

Plane = npt.NDArray[np.uint8]

_BITS: Final = 10
ONE: Final = 1 << _BITS
"""The unit of weights: a result is off by at most 0.25 levels before it is rounded."""
_GAIN_BITS: Final = 16
GAIN_ONE: Final = 1 << _GAIN_BITS
"""The unit of gains."""
_SHIFT: Final = 2 * _BITS + _GAIN_BITS
_HALF: Final = 1 << (_SHIFT - 1)
_HALF_OF_FULL: Final = np.int32(1 << (2 * _BITS - 1))

# Written out, so that a read-only or strided view of a frame does not start the compiler within a run.
_FLAT: Final = types.Array(types.uint8, 1, "C", readonly=True)
_STRIDED: Final = types.Array(types.uint8, 2, "A", readonly=True)
_SCALE: Final = types.UniTuple(types.int64, 2)  # type: ignore[no-untyped-call]  # numba has no types
_MAPS: Final = (types.int32[:, ::1], types.int16[:, :, ::1])
_INTERPOLATE: Final = types.void(_FLAT, _SCALE, types.intp, *_MAPS, _STRIDED, _SCALE, types.uint8[:, ::1])


@numba.njit(_INTERPOLATE, cache=True, nogil=True)
def interpolate(  # noqa: PLR0913, PLR0917 - one loop over all that a pixel is made of
    source: Plane,
    scale: tuple[int, int],
    width: int,
    corners: npt.NDArray[np.int32],
    weights: npt.NDArray[np.int16],
    instead: Plane,
    instead_scale: tuple[int, int],
    out: Plane,
) -> None:
    """Bilinear samples of an image, and another image where there is none, both as full-range grey.

    Args:
        source: flat, rows of ``width`` pixels.
        scale: its code of black, and the gain above it in 1/``GAIN_ONE``.
        width: of ``source``.
        corners: HxW, where in ``source`` the upper left of the four neighbours is; negative: nowhere.
        weights: HxWx2, of the right and of the lower neighbours, 0 to ``ONE``.
        instead: HxW, seen where there are no neighbours.
        instead_scale: as ``scale``.
        out: HxW.
    """
    black, gain = scale[0] << (2 * _BITS), scale[1]
    is_full = scale == (0, GAIN_ONE)
    rows, columns = corners.shape
    for row in range(rows):
        for column in range(columns):
            if corners[row, column] < 0:
                code = np.int64(instead[row, column]) - instead_scale[0]
                level = (code * instead_scale[1] + GAIN_ONE // 2) >> _GAIN_BITS
            else:
                upper = np.uint32(corners[row, column])  # unsigned: no test for indices from the end
                lower = np.uint32(upper + np.uint32(width))
                across, down = np.int32(weights[row, column, 0]), np.int32(weights[row, column, 1])
                left, left_below = np.int32(source[upper]), np.int32(source[lower])
                right = np.int32(source[np.uint32(upper + np.uint32(1))])
                right_below = np.int32(source[np.uint32(lower + np.uint32(1))])
                above = (left << _BITS) + (right - left) * across
                below = (left_below << _BITS) + (right_below - left_below) * across
                value = (above << _BITS) + (below - above) * down
                if is_full:  # 32 bits are enough
                    out[row, column] = np.uint8((value + _HALF_OF_FULL) >> (2 * _BITS))
                    continue
                level = ((np.int64(value) - black) * gain + _HALF) >> _SHIFT
            out[row, column] = max(0, min(255, int(level)))


@numba.njit(cache=True)
def largest(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Left, top, width and height of the largest rectangle of true pixels.

    Row by row, the largest one under the skyline of true pixels above it, with a stack of rising steps.
    """
    rows, columns = mask.shape
    heights = np.zeros(columns + 1, np.int64)  # the last one stays 0 and ends every step
    starts = np.empty(columns + 1, np.int64)
    steps = np.empty(columns + 1, np.int64)
    best = (0, 0, 0, 0)
    most = 0
    for row in range(rows):
        depth = 0
        for column in range(columns + 1):
            if column < columns:
                heights[column] = heights[column] + 1 if mask[row, column] else 0
            start = column
            while depth and steps[depth - 1] >= heights[column]:
                depth -= 1
                start = starts[depth]
                area = steps[depth] * (column - start)
                if area > most:
                    most = area
                    best = (start, row - steps[depth] + 1, column - start, steps[depth])
            starts[depth], steps[depth] = start, heights[column]
            depth += 1
    return best
