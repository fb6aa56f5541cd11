"""How alike two images are, differentiable: structural similarity and the correlation of differences."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["MIN_SIDE_PX", "correlation_of_differences", "structural_similarity"]

MIN_SIDE_PX = 11
"""Side of the window of :func:`structural_similarity`; smaller images hold none."""

_SIGMA_PX = 1.5
_C1, _C2 = 0.01**2, 0.03**2
_FLAT = 1e-4
"""Variance below which an image has nothing to correlate with, a standard deviation of 2.5 grey levels."""


def structural_similarity(first: Tensor, second: Tensor) -> Tensor:
    """Mean SSIM of two images, a scalar in -1..1; 1 = equal.

    Windows of 11x11 pixels under a Gaussian of 1.5 pixels, only where they fit whole; constants for a
    range of 0..1. Source: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error
    visibility to structural similarity", IEEE TIP 13 (2004) 600-612, eq. 13.

    Args:
        first: (B, 1, H, W) floating point in 0..1, both sides at least :data:`MIN_SIDE_PX`.
        second: same shape and range.
    """
    moments = torch.cat((first, second, first * first, second * second, first * second), dim=1)
    mean_a, mean_b, square_a, square_b, product = _window_means(moments).unbind(dim=1)
    both = mean_a * mean_b
    squares = mean_a * mean_a + mean_b * mean_b
    luminance = (2 * both + _C1) / (squares + _C1)
    structure = (2 * (product - both) + _C2) / (square_a + square_b - squares + _C2)
    return (luminance * structure).mean()


def correlation_of_differences(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """What one source added correlates with that source: ``r(F - I, V) + r(F - V, I)``, in -2..2.

    ``r`` is Pearson's correlation over each image, averaged over the batch. Source: Aslantas, Bendes, "A
    new image quality metric for image fusion: the sum of the correlations of differences", AEU 69 (2015)
    1890-1896.

    Args:
        fused: (B, 1, H, W) floating point in 0..1.
        visible: same shape and range.
        infrared: same shape and range.
    """
    return (_correlation(fused - infrared, visible) + _correlation(fused - visible, infrared)).mean()


def _correlation(first: Tensor, second: Tensor) -> Tensor:
    """Pearson's correlation of each image pair of a batch, (B,); near 0 where one of them is flat."""
    first, second = (x - x.mean(dim=(1, 2, 3), keepdim=True) for x in (first, second))
    covariance = (first * second).mean(dim=(1, 2, 3))
    variances = (first * first).mean(dim=(1, 2, 3)) * (second * second).mean(dim=(1, 2, 3))
    return covariance / torch.sqrt(variances + _FLAT**2)


def _window_means(planes: Tensor) -> Tensor:
    """Gaussian means of every channel over whole windows, (B, C, H, W) to (B, C, H - 10, W - 10).

    Two products with band matrices: for crops many times faster than a convolution of one channel.
    """
    rows, columns = (_band(side, like=planes) for side in planes.shape[-2:])
    return rows @ planes @ columns.mT


def _band(side: int, *, like: Tensor) -> Tensor:
    """The Gaussian window at every place where it fits a line of ``side`` pixels, (side - 10, side)."""
    offsets = torch.arange(MIN_SIDE_PX, device=like.device, dtype=like.dtype) - MIN_SIDE_PX // 2
    kernel = torch.exp(-(offsets**2) / (2 * _SIGMA_PX**2))
    places = side - MIN_SIDE_PX + 1
    band = torch.zeros(places, side, device=like.device, dtype=like.dtype)
    for shift, share in enumerate(kernel / kernel.sum()):
        band.diagonal(shift).fill_(share)
    return band
