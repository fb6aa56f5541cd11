"""Contrast and sharpness of the fused image alone: SD, SF and AG."""

from __future__ import annotations

import numpy as np

from streamfuse.metrics.arrays import Gray, doubles
from streamfuse.metrics.convention import Convention

__all__ = ["average_gradient", "spatial_frequency", "standard_deviation"]


def standard_deviation(fused: Gray, *, convention: Convention) -> float:
    """SD: spread of the grey levels around their mean, in grey levels.

    sqrt(mean (F - mean F)^2) (Y.-J. Rao: In-fibre Bragg grating sensors, 1997, as the field cites it).
    PUBLISHED: in saturating uint8: what is below the mean counts as 0, and a square as at most 255; that is
    no standard deviation.
    """
    deviation = doubles(fused) - fused.mean()
    if convention is Convention.PUBLISHED:
        deviation = np.maximum(np.floor(deviation + 0.5), 0.0)
        return float(np.sqrt(np.minimum(deviation**2, 255.0).mean()))
    return float(np.sqrt(np.mean(deviation**2)))


def spatial_frequency(fused: Gray, *, convention: Convention) -> float:
    """SF: root mean square step between neighbours, in grey levels; PUBLISHED: on [0, 1].

    sqrt(mean dx^2 + mean dy^2), dx and dy the differences between a pixel and the next one (A. M. Eskicioglu,
    P. S. Fisher: Image quality measures and their performance, 1995).
    """
    image = doubles(fused)
    if convention is Convention.PUBLISHED:
        image /= 255.0
    squares = [np.mean(np.diff(image, axis=axis) ** 2) for axis in (0, 1)]
    return float(np.sqrt(sum(squares)))


def average_gradient(fused: Gray) -> float:
    """AG: mean strength of the gradient, in grey levels per pixel.

    sum sqrt((gx^2 + gy^2) / 2) / ((rows - 1) (columns - 1)) with central differences, one-sided at the border
    (G. Cui et al.: Detail preserved fusion of visible and infrared images using regional saliency extraction
    and multi-scale image decomposition, 2015).
    """
    rows, columns = fused.shape
    gy, gx = np.gradient(doubles(fused))
    return float(np.sqrt((gx**2 + gy**2) / 2.0).sum() / ((rows - 1) * (columns - 1)))
