"""The filters that several metrics share."""

from __future__ import annotations

import numba
import numpy as np

from streamfuse.metrics.arrays import Doubles

__all__ = ["gaussian", "smooth", "sobel"]


def gaussian(size: int, sigma: float) -> Doubles:
    """``size`` taps of a Gaussian that sum to 1; its outer product is MATLAB's ``fspecial('gaussian')``."""
    at = np.arange(size) - (size - 1) / 2.0
    taps = np.exp(-(at**2) / (2.0 * sigma**2))
    return np.asarray(taps / taps.sum())


@numba.njit(cache=True)
def smooth(image: Doubles, taps: Doubles) -> Doubles:
    """Weighted mean along rows, then columns, where the window fits: HxW to (H-n+1)x(W-n+1) for n taps."""
    n = taps.size
    height, width = image.shape[0] - n + 1, image.shape[1] - n + 1
    out = np.zeros((height, width))
    along_columns = np.empty(image.shape[1])
    for y in range(height):  # columns first, row by row: one line of memory, and loops that vectorise
        along_columns[:] = 0.0
        for k in range(n):
            for x in range(image.shape[1]):
                along_columns[x] += taps[k] * image[y + k, x]
        for k in range(n):
            for x in range(width):
                out[y, x] += taps[k] * along_columns[x + k]
    return out


@numba.njit(cache=True)
def sobel(padded: Doubles) -> tuple[Doubles, Doubles]:
    """Sobel's gradients (gx to the right, gy downwards, weights 1 2 1) of an image padded by one pixel.

    The terms are added in the order of MATLAB's ``conv2`` (columns from the last, each from below), which
    decides whether a gradient of values like k/255 comes out as exactly 0.
    """
    height, width = padded.shape[0] - 2, padded.shape[1] - 2
    gx, gy = np.empty((height, width)), np.empty((height, width))
    for y in range(height):
        for x in range(width):
            a, b, c = padded[y, x], padded[y, x + 1], padded[y, x + 2]
            d, f = padded[y + 1, x], padded[y + 1, x + 2]
            g, h, i = padded[y + 2, x], padded[y + 2, x + 1], padded[y + 2, x + 2]
            gx[y, x] = i + 2.0 * f + c - g - 2.0 * d - a
            gy[y, x] = i - c + 2.0 * h - 2.0 * b + g - a
    return gx, gy
