"""How well each block of a picture fits at each small displacement, and the sum of that along a field."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["correlations", "sum_along"]

Singles = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def correlations(fixed: Singles, moved: Singles, block: int, reach: int) -> Singles:
    """Inner products of each block with every displaced one.

    Args:
        fixed: HxWxC.
        moved: (H + 2 reach)x(W + 2 reach)xC; the same place lies ``reach`` further to the right and down.
        block: side in pixels; what is left over at the right and below is not looked at.
        reach: largest displacement.

    Returns:
        (H // block)x(W // block)x(2 reach + 1)x(2 reach + 1): rows, columns, dy, dx.
    """
    height, width, channels = fixed.shape
    rows, columns, span = height // block, width // block, 2 * reach + 1
    found = np.zeros((rows, columns, span, span), np.float32)
    for row in range(rows):
        for column in range(columns):
            for dy in range(span):
                for y in range(block):
                    one = fixed[row * block + y, column * block : (column + 1) * block].reshape(-1)
                    other = moved[row * block + y + dy].reshape(-1)
                    for dx in range(span):
                        first = (column * block + dx) * channels
                        total = np.float32(0)
                        for k in range(one.size):
                            total += one[k] * other[first + k]
                        found[row, column, dy, dx] += total
    return found


@numba.njit(cache=True)
def _spline(t: float, weights: Doubles) -> None:
    """Weights of four samples for value, slope and curvature of the cubic B-spline at t in 0…1."""
    u = 1 - t
    weights[0] = u**3 / 6, (3 * t**3 - 6 * t * t + 4) / 6, (3 * u**3 - 6 * u * u + 4) / 6, t**3 / 6
    weights[1] = -u * u / 2, (3 * t * t - 4 * t) / 2, -(3 * u * u - 4 * u) / 2, t * t / 2
    weights[2] = u, 3 * t - 2, 3 * u - 2, t


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def sum_along(surfaces: Singles, fields: Doubles, a: Doubles) -> tuple[float, Doubles, Doubles]:
    """The sum over blocks of its surface at the displacement ``fields @ a``.

    The surfaces are read as cubic B-splines; a displacement beyond a surface counts nothing.

    Args:
        surfaces: NxSxS, displacement zero in the middle.
        fields: Nx2xP, displacement in x and y for each parameter.
        a: P parameters.

    Returns:
        The sum, its P derivatives, and its PxP second derivatives.
    """
    count, span, _ = surfaces.shape
    n = a.size
    value, gradient, hessian = 0.0, np.zeros(n), np.zeros((n, n))
    wx, wy = np.empty((3, 4)), np.empty((3, 4))
    for b in range(count):
        px = py = (span - 1) / 2
        for k in range(n):
            px += fields[b, 0, k] * a[k]
            py += fields[b, 1, k] * a[k]
        if min(px, py) < 1 or max(px, py) > span - 2.001:
            continue
        ix, iy = int(px), int(py)
        _spline(px - ix, wx)
        _spline(py - iy, wy)
        v = gx = gy = xx = xy = yy = 0.0
        for j in range(4):
            for i in range(4):
                s = surfaces[b, iy - 1 + j, ix - 1 + i]
                v += wy[0, j] * wx[0, i] * s
                gx += wy[0, j] * wx[1, i] * s
                gy += wy[1, j] * wx[0, i] * s
                xx += wy[0, j] * wx[2, i] * s
                xy += wy[1, j] * wx[1, i] * s
                yy += wy[2, j] * wx[0, i] * s
        value += v
        for k in range(n):
            fx, fy = fields[b, 0, k], fields[b, 1, k]
            gradient[k] += fx * gx + fy * gy
            for m in range(n):
                ex, ey = fields[b, 0, m], fields[b, 1, m]
                hessian[k, m] += fx * ex * xx + (fx * ey + fy * ex) * xy + fy * ey * yy
    return value, gradient, hessian
