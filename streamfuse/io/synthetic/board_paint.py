"""Drawing a board as a lens and a blur show it, without a pixel grid on the board.

The value of a pixel is the pattern, averaged with a Gaussian of ``blur`` around the ray through the pixel's
centre. On the straight edge of a half-plane that is the normal distribution function of the distance, and
where two such edges cross their product: point-symmetric, so the corner stays where it is for any blur.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from streamfuse.io.synthetic.arrays import Doubles, Floats
from streamfuse.io.synthetic.board_pattern import BoardPattern

__all__ = ["paint_board"]

_Codes = NDArray[np.uint8]
_Sizes = tuple[float, float, float, float, float, float, float]
"""Metres: of a spacing, of a marker, of a dot's radius; left, top, right and bottom of the board."""


def paint_board(
    pattern: BoardPattern, board_from_ray: Doubles, rays: Floats, *, blur: float
) -> tuple[Floats, Floats, Floats]:
    """What each pixel sees.

    Args:
        pattern: what is printed.
        board_from_ray: 3x3, from homogeneous rays to metres on the board; the third row is positive where a
            ray meets the board in front of the camera.
        rays: HxWx2, where the ray of each pixel crosses the plane z = 1.
        blur: standard deviation of the Gaussian, in the units of ``rays``.

    Returns:
        Light (0..1), how much of the pixel is board (0..1), and where on the board it lies, from -1 to 1
        across and down (HxWx2; only where there is board).
    """
    shape = rays.shape[:2]
    light, share, place = np.ones(shape, np.float32), np.zeros(shape, np.float32), np.zeros_like(rays)
    _paint(
        board_from_ray,
        rays,
        blur,
        (pattern.cells, pattern.marker_of, pattern.markers),
        (pattern.spacing_m, pattern.marker_m, pattern.dot_radius_m, *pattern.bounds_m),
        pattern.dots,
        (light, share, place),
    )
    return light, share, place


@numba.njit(cache=True)
def _before(distance: float, sigma: float) -> float:
    """How much of a Gaussian lies before an edge at this distance behind its centre."""
    z = distance / sigma
    if z > 4.0:
        return 1.0
    if z < -4.0:
        return 0.0
    return 0.5 * math.erfc(-z * 0.7071067811865476)


@numba.njit(cache=True)
def _cell(cells: _Codes, row: int, column: int) -> float:
    inside = 0 <= row < cells.shape[0] and 0 <= column < cells.shape[1]
    return float(cells[row, column]) if inside else 1.0


@numba.njit(cache=True)
def _grid(cells: _Codes, x: float, y: float, sigma_x: float, sigma_y: float) -> float:
    """Cells of side 1, the first from (0, 0) to (1, 1), light all around; one edge each way counts."""
    column, row = math.floor(x + 0.5), math.floor(y + 0.5)
    left, above = _before(column - x, sigma_x), _before(row - y, sigma_y)
    upper = left * _cell(cells, row - 1, column - 1) + (1 - left) * _cell(cells, row - 1, column)
    lower = left * _cell(cells, row, column - 1) + (1 - left) * _cell(cells, row, column)
    return above * upper + (1 - above) * lower


@numba.njit(cache=True)
def _squares(
    printed: tuple[_Codes, NDArray[np.int32], _Codes],
    sizes: _Sizes,
    at: tuple[float, float],
    sigma: tuple[float, float],
) -> float:
    cells, marker_of, markers = printed
    spacing, marker = sizes[0], sizes[1]
    x, y = at[0] / spacing + 1.0, at[1] / spacing + 1.0  # point 0 is the lower right corner of the first cell
    light = _grid(cells, x, y, sigma[0] / spacing, sigma[1] / spacing)
    column, row = math.floor(x), math.floor(y)
    if markers.shape[0] and 0 <= row < cells.shape[0] and 0 <= column < cells.shape[1]:
        number = marker_of[row, column]
        if number >= 0:
            module = marker / markers.shape[1]
            u = ((x - column - 0.5) * spacing + marker / 2) / module
            v = ((y - row - 0.5) * spacing + marker / 2) / module
            light *= _grid(markers[number], u, v, sigma[0] / module, sigma[1] / module)
    return light


@numba.njit(cache=True)
def _dot(
    dots: tuple[int, int, int],
    sizes: _Sizes,
    at: tuple[float, float],
    sigma: tuple[float, float],
) -> float:
    """Light around the nearest dot."""
    columns, rows, shifted = dots
    spacing, radius = sizes[0], sizes[2]
    step = 2.0 if shifted else 1.0
    row = min(max(math.floor(at[1] / spacing + 0.5), 0), rows - 1)
    shift = row % 2 if shifted else 0
    column = min(max(math.floor((at[0] / spacing - shift) / step + 0.5), 0), columns - 1)
    x, y = at[0] - (step * column + shift) * spacing, at[1] - row * spacing
    far = math.hypot(x, y)
    if far == 0.0:
        return 0.0
    return _before(far - radius, math.hypot(x * sigma[0], y * sigma[1]) / far)


@numba.njit(cache=True)
def _paint(
    board_from_ray: Doubles,
    rays: Floats,
    blur: float,
    printed: tuple[_Codes, NDArray[np.int32], _Codes],
    sizes: _Sizes,
    dots: tuple[int, int, int],
    out: tuple[Floats, Floats, Floats],
) -> None:
    light, share, place = out
    m = board_from_ray
    left, top, right, bottom = sizes[3:]
    for row in range(rays.shape[0]):
        for column in range(rays.shape[1]):
            a, b = float(rays[row, column, 0]), float(rays[row, column, 1])
            w = m[2, 0] * a + m[2, 1] * b + m[2, 2]
            if w <= 1e-9:
                continue
            x = (m[0, 0] * a + m[0, 1] * b + m[0, 2]) / w
            y = (m[1, 0] * a + m[1, 1] * b + m[1, 2]) / w
            # How the place on the board moves with the ray: what the blur of the picture is there.
            sx = blur / w * math.hypot(m[0, 0] - x * m[2, 0], m[0, 1] - x * m[2, 1])
            sy = blur / w * math.hypot(m[1, 0] - y * m[2, 0], m[1, 1] - y * m[2, 1])
            across = _before(x - left, sx) * _before(right - x, sx)
            board = across * _before(y - top, sy) * _before(bottom - y, sy)
            if board == 0.0:
                continue
            share[row, column] = board
            place[row, column, 0] = 2 * (x - left) / (right - left) - 1
            place[row, column, 1] = 2 * (y - top) / (bottom - top) - 1
            if dots[0]:
                light[row, column] = _dot(dots, sizes, (x, y), (sx, sy))
            else:
                light[row, column] = _squares(printed, sizes, (x, y), (sx, sy))
