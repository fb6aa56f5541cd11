"""Whether found points are the board that was asked for: regular, alternating, and ending where it should."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from streamfuse.geometry.boards.board import Floats
from streamfuse.geometry.boards.plane import homography, mapped

__all__ = ["Colours", "colours_of", "is_regular", "least_spacing", "right_handed"]

Single = npt.NDArray[np.float32]

_ROUGH: Final = 0.06
"""RMS distance, in spacings, of the points from a smooth map of the board, above which it is no board."""
_FAR: Final = 0.3
"""The same for a single point."""
_PROBE: Final = 0.2
"""Radius around the middle of a square, in spacings, over which its colour is taken."""
_SAME: Final = 0.55
"""A line beyond the board that alternates with this part of its contrast belongs to a larger board."""
_ALTERNATING: Final = 0.85
"""Part of all neighbouring squares that must differ in the right direction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Colours:
    """The squares of a chessboard as a picture shows them."""

    alternate: bool
    """They do, as those of a chessboard must."""
    inverted: bool
    """The outer square at point 0 is bright."""
    difference: float
    """Of neighbouring squares, median, in units of the picture."""
    goes_on: bool
    """The pattern does not end where the board should."""


def right_handed(grid: Floats) -> Floats:
    """A grid of pixels (rows x columns x 2) with its rows in the order that shows the front of the board."""
    across, down = (np.diff(grid, axis=axis).mean(axis=(0, 1)) for axis in (1, 0))
    return grid if across[0] * down[1] - across[1] * down[0] > 0 else grid[::-1]


def least_spacing(grid: Floats) -> float:
    """Shortest way between neighbours of a grid (rows x columns x 2), pixels."""
    return min(float(np.linalg.norm(np.diff(grid, axis=axis), axis=2).min()) for axis in (0, 1))


def is_regular(plane: Floats, pixels: Floats, *, spacing_px: float) -> bool:
    """Whether a homography and a lens could map the points of a plane (Nx2, unit spacing) to these pixels.

    The lens is a polynomial in the plane, of a degree that the number of points supports (three at most).
    """
    matrix = homography(plane, pixels)
    if matrix is None:
        return False
    residual = pixels - mapped(matrix, plane)
    degree = 3 if len(plane) >= 30 else 2 if len(plane) >= 12 else 0
    x, y = ((plane - plane.mean(axis=0)) / np.ptp(plane)).T
    powers = [x**i * y**j for i in range(degree + 1) for j in range(degree + 1 - i)]
    basis = np.column_stack(powers)
    left = residual - basis @ np.linalg.lstsq(basis, residual, rcond=None)[0]
    distance = np.hypot(*left.T)
    unit = max(spacing_px, 8.0)
    return bool(np.sqrt(np.mean(distance**2)) <= _ROUGH * unit and distance.max() <= _FAR * unit)


def colours_of(image: Single, grid: Floats) -> Colours:
    """What lies between the corners of a chessboard.

    Args:
        image: HxW float32, surface removed.
        grid: rows x columns x 2, pixels of the inner corners.
    """
    rows, columns = grid.shape[:2]
    values = _squares(image, _extended(_extended(grid)))
    signs = (-1.0) ** np.add.outer(np.arange(rows + 3), np.arange(columns + 3))
    signed = values * signs
    inside, inside_signs = values[2:-2, 2:-2], signs[2:-2, 2:-2]
    steps = np.concatenate(
        [(np.diff(inside, axis=axis) * _first(inside_signs, axis)).ravel() for axis in (0, 1)]
    )
    steps = steps[np.isfinite(steps)]
    if steps.size == 0:
        return Colours(alternate=False, inverted=False, difference=0.0, goes_on=False)
    middle = float(np.median(steps))
    dark_first = middle > 0
    agreeing = float(np.mean(steps * np.sign(middle) > 0))
    lines = (signed[0, 1:-1], signed[-1, 1:-1], signed[1:-1, 0], signed[1:-1, -1])
    return Colours(
        alternate=middle != 0 and agreeing >= _ALTERNATING,
        inverted=not dark_first,
        difference=abs(middle),
        goes_on=any(_goes_on(line, -middle) for line in lines),
    )


def _goes_on(signed: Floats, difference: float) -> bool:
    """Whether squares along a line, each times its sign, alternate as those inside do.

    A square minus the mean of its two neighbours is one step of the pattern; a slope does not count.
    """
    signs = (-1.0) ** np.arange(signed.size)
    values = signed * signs
    steps = (values[1:-1] - (values[:-2] + values[2:]) / 2) * signs[1:-1]
    steps = steps[np.isfinite(steps)]
    if steps.size < 2:
        return False
    relative = steps / difference
    return bool(np.median(relative) > _SAME and np.mean(relative > 0) > 0.8)


def _extended(grid: Floats) -> Floats:
    """One more line on each side, as far as the last one."""
    for axis in (0, 1):
        ends = np.take(grid, (0, -1), axis)
        beyond = 2 * ends - np.take(grid, (1, -2), axis)
        first, last = np.split(beyond, 2, axis)
        grid = np.concatenate((first, grid, last), axis)
    return grid


def _squares(image: Single, grid: Floats) -> Floats:
    """Mean colour in the middle of each square between the points; NaN outside of the picture."""
    middles = (grid[:-1, :-1] + grid[1:, :-1] + grid[:-1, 1:] + grid[1:, 1:]) / 4
    size = 2 * max(int(_PROBE * least_spacing(grid)), 0) + 1
    blurred = cv2.blur(image, (size, size))
    x, y = np.moveaxis(middles, 2, 0).astype(np.float32)
    values = cv2.remap(blurred, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=np.nan)
    return np.asarray(values, np.float64)


def _first(signs: Floats, axis: int) -> Floats:
    """The sign of the first of each two neighbours."""
    return signs[:-1] if axis == 0 else signs[:, :-1]
