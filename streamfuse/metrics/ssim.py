"""Structural similarity, at one scale (SSIM) and at five (MS-SSIM)."""

from __future__ import annotations

import numba
import numpy as np

from streamfuse.metrics.arrays import Doubles, Gray, Sources, doubles
from streamfuse.metrics.filters import gaussian, smooth

__all__ = ["multiscale_structural_similarity", "structural_similarity"]

_TAPS = gaussian(11, 1.5)
_C1 = (0.01 * 255.0) ** 2
_C2 = (0.03 * 255.0) ** 2
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the five scales, finest first, as the paper measured them."""


def structural_similarity(sources: Sources, fused: Gray) -> float:
    """SSIM: mean of SSIM(F, A) and SSIM(F, B), -1..1, 1 = the same.

    Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli: Image quality assessment: from error visibility to
    structural similarity, 2004. 11x11 Gaussian windows of sigma 1.5 that fit into the image, K = .01
    and .03, grey levels 0..255. Papers that report values up to 2 give the sum.
    """
    f = doubles(fused)
    return sum(_similarity(f, doubles(source))[0] for source in sources) / 2.0


def multiscale_structural_similarity(sources: Sources, fused: Gray) -> float:
    """MS-SSIM: mean of MS-SSIM(F, A) and MS-SSIM(F, B), 0..1, 1 = the same.

    Z. Wang, E. P. Simoncelli, A. C. Bovik: Multi-scale structural similarity for image quality assessment,
    2003. The product over five scales of contrast-structure^w, with SSIM itself at the coarsest; each
    scale is the last one averaged over 2x2 pixels. A factor below 0 (a source inside out) counts as 0.
    """
    return sum(_multiscale(doubles(fused), doubles(source)) for source in sources) / 2.0


def _multiscale(first: Doubles, second: Doubles) -> float:
    product = 1.0
    for weight in _WEIGHTS[:-1]:
        _, contrast_structure = _similarity(first, second)
        product *= max(0.0, contrast_structure) ** weight
        first, second = _halved(first), _halved(second)
    similarity, _ = _similarity(first, second)
    return float(product * max(0.0, similarity) ** _WEIGHTS[-1])


def _halved(image: Doubles) -> Doubles:
    """Means of 2x2 pixels; the last row and column of an odd size are doubled before."""
    rows, columns = image.shape
    even = np.pad(image, ((0, rows % 2), (0, columns % 2)), mode="edge")
    return np.asarray(even[::2, ::2] + even[::2, 1::2] + even[1::2, ::2] + even[1::2, 1::2]) / 4.0


def _similarity(first: Doubles, second: Doubles) -> tuple[float, float]:
    """Mean over the windows of SSIM and of its contrast-structure part alone."""
    products = (first * first, second * second, first * second)
    squares = [smooth(product, _TAPS) for product in products]
    return _mean_similarity(smooth(first, _TAPS), smooth(second, _TAPS), *squares)


@numba.njit(cache=True, error_model="numpy")
def _mean_similarity(
    mean_1: Doubles, mean_2: Doubles, square_1: Doubles, square_2: Doubles, product: Doubles
) -> tuple[float, float]:
    similarity = contrast_structure = 0.0
    for y in range(mean_1.shape[0]):
        for x in range(mean_1.shape[1]):
            m1, m2 = mean_1[y, x], mean_2[y, x]
            spread = square_1[y, x] - m1 * m1 + square_2[y, x] - m2 * m2
            shared = (2.0 * (product[y, x] - m1 * m2) + _C2) / (spread + _C2)
            contrast_structure += shared
            similarity += shared * (2.0 * m1 * m2 + _C1) / (m1 * m1 + m2 * m2 + _C1)
    return similarity / mean_1.size, contrast_structure / mean_1.size
