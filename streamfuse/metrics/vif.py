"""VIF: visual information fidelity in the pixel domain."""

from __future__ import annotations

import numba
import numpy as np

from streamfuse.metrics.arrays import Doubles, Gray, Sources, doubles
from streamfuse.metrics.convention import Convention
from streamfuse.metrics.filters import gaussian, smooth

__all__ = ["visual_information_fidelity"]

_SCALES = (17, 9, 5, 3)
"""Window sizes from the finest scale to the coarsest; sigma is a fifth of each."""
_NOISE = 2.0
"""Variance of the eye's own noise, in grey levels squared."""
_TINY = 1e-10


def visual_information_fidelity(sources: Sources, fused: Gray, *, convention: Convention) -> float:
    """VIF(A, F) + VIF(B, F): the share of each source's information that the fused image keeps.

    0 = nothing; a source kept whole counts 1, a source seen with more contrast more than 1. Per source, over
    four scales and all windows, sum log(1 + g^2 s^2 / (v + n)) / sum log(1 + s^2 / n): s^2 is the variance
    of the source in the window, g and v the gain and the residual variance of the fused image given the
    source, n = 2 (H. R. Sheikh, A. C. Bovik: Image information and visual quality, 2006; its pixel-domain
    form). nan where a source is constant.

    PUBLISHED: at the finest scale the products A^2, F^2 and A F clip at 255.
    """
    top = 255.0 if convention is Convention.PUBLISHED else np.inf
    return sum(_fidelity(doubles(source), doubles(fused), top) for source in sources)


def _fidelity(reference: Doubles, fused: Doubles, top: float) -> float:
    """The share for one source; products at the finest scale are at most ``top``."""
    kept = held = 0.0
    for scale, size in enumerate(_SCALES):
        taps = gaussian(size, size / 5.0)
        if scale > 0:
            top = np.inf
            reference = np.ascontiguousarray(smooth(reference, taps)[::2, ::2])
            fused = np.ascontiguousarray(smooth(fused, taps)[::2, ::2])
        products = (reference * reference, fused * fused, reference * fused)
        squares = [smooth(np.minimum(product, top), taps) for product in products]
        kept_here, held_here = _information(smooth(reference, taps), smooth(fused, taps), *squares)
        kept, held = kept + kept_here, held + held_here
    return kept / held if held > 0.0 else float("nan")


@numba.njit(cache=True, error_model="numpy")
def _information(
    mean_r: Doubles, mean_f: Doubles, square_r: Doubles, square_f: Doubles, product: Doubles
) -> tuple[float, float]:
    """Information (in decades) that the fused image keeps and that the reference holds, from window means."""
    kept = held = 0.0
    for y in range(mean_r.shape[0]):
        for x in range(mean_r.shape[1]):
            mr, mf = mean_r[y, x], mean_f[y, x]
            variance_r = max(0.0, square_r[y, x] - mr * mr)
            variance_f = max(0.0, square_f[y, x] - mf * mf)
            covariance = product[y, x] - mr * mf
            if variance_r < _TINY:
                continue  # a flat window holds nothing
            held += np.log10(1.0 + variance_r / _NOISE)
            gain = covariance / (variance_r + _TINY)
            if gain < 0.0 or variance_f < _TINY:
                continue
            residual = max(_TINY, variance_f - gain * covariance)
            kept += np.log10(1.0 + gain * gain * variance_r / (residual + _NOISE))
    return kept, held
