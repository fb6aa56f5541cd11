"""CV: how visible the differences to the sources are, region by region."""

from __future__ import annotations

import numpy as np

from streamfuse.metrics.arrays import Doubles, Gray, Sources, doubles
from streamfuse.metrics.filters import sobel

__all__ = ["visible_difference"]

_SIDE = 16
"""Rows and columns of a region."""
_SALIENCE = 5
"""Power of the gradient by which a region counts."""


def visible_difference(sources: Sources, fused: Gray) -> float:
    """CV (also Q_CV): the difference to the sources as the eye sees it, in grey levels squared; 0 = none.

    sum (s_A D_A + s_B D_B) / sum (s_A + s_B) over regions of 16x16 pixels: s = sum of the source's Sobel
    gradient^5, D = mean square of F - A after the eye's contrast sensitivity (H. Chen, P. K. Varshney: A
    human perception inspired quality metric for image fusion based on regional information, 2007). As in the
    field's common code, each image is first stretched to 0..255, what is missing of a last region counts as
    0, and the image fills four degrees of the eye. nan where no source has a gradient.
    """
    a, b, f = [_stretched(image) for image in (*sources, fused)]
    seen = weights = 0.0
    for source in (a, b):
        gx, gy = sobel(np.pad(source, 1))
        salience = _region_sums(np.hypot(gx, gy) ** _SALIENCE)
        difference = _region_sums(_as_seen(source - f) ** 2) / _SIDE**2
        seen += float(np.sum(salience * difference))
        weights += float(np.sum(salience))
    return seen / weights if weights > 0.0 else float("nan")


def _stretched(image: Gray) -> Doubles:
    """From its own minimum and maximum to whole numbers 0..255; a constant image gives 0."""
    levels = doubles(image) - float(image.min())
    return np.asarray(np.floor(levels / max(1.0, levels.max()) * 255.0 + 0.5))


def _as_seen(difference: Doubles) -> Doubles:
    """Weighted by J. L. Mannos and D. J. Sakrison's contrast sensitivity, periodic at the borders."""
    rows, columns = difference.shape
    # Cycles per image / 4 = cycles per degree.
    down = np.fft.fftfreq(rows, 1.0 / rows) / 4.0
    along = np.fft.rfftfreq(columns, 1.0 / columns) / 4.0
    r = 0.144 * np.hypot(down[:, None], along)
    sensitivity = 2.6 * (0.0192 + r) * np.exp(-(r**1.1))
    return np.asarray(np.fft.irfft2(np.fft.rfft2(difference) * sensitivity, s=difference.shape))


def _region_sums(image: Doubles) -> Doubles:
    rows, columns = -(-image.shape[0] // _SIDE), -(-image.shape[1] // _SIDE)
    padded = np.zeros((rows * _SIDE, columns * _SIDE))
    padded[: image.shape[0], : image.shape[1]] = image
    return np.asarray(padded.reshape(rows, _SIDE, columns, _SIDE).sum(axis=(1, 3)))
