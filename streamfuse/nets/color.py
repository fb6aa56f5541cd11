"""Colour arithmetic around a luma-fusing network, exactly as the published SeAFusion chain does it.

Full-range luma and colour differences, all in 0..1::

    Y = .299 R + .587 G + .114 B      Cr = .713 (R - Y) + .5      Cb = .564 (B - Y) + .5

The network replaces Y; Cr and Cb of the visible image are kept as they are. The way back uses the
published coefficients, which are rounded: RGB -> YCrCb -> RGB returns within 0.002 of the input.
Two ways end the chain: :func:`reference_postprocess` repeats the published one to the grey level, and
:func:`stream_postprocess` is the one for video, where a gain that changes from frame to frame flickers.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["reference_postprocess", "rgb_to_ycrcb", "stream_postprocess", "ycrcb_to_rgb"]


def rgb_to_ycrcb(rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Split RGB into luma and colour differences.

    Args:
        rgb: (B, 3, H, W) floating point in 0..1.

    Returns:
        Y, Cr, Cb in this order, each (B, 1, H, W) in 0..1.
    """
    red, green, blue = rgb[:, 0:1], rgb[:, 1:2], rgb[:, 2:3]
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return luma, (red - luma) * 0.713 + 0.5, (blue - luma) * 0.564 + 0.5


def ycrcb_to_rgb(luma: Tensor, cr: Tensor, cb: Tensor) -> Tensor:
    """Join luma and colour differences.

    Args:
        luma: (B, 1, H, W) floating point in 0..1.
        cr: red difference, same shape, 0.5 = none.
        cb: blue difference, same shape, 0.5 = none.

    Returns:
        (B, 3, H, W); colours that RGB cannot show lie outside 0..1 (both endings clamp).
    """
    cr, cb = cr - 0.5, cb - 0.5
    return torch.cat((luma + 1.403 * cr, luma - 0.714 * cr - 0.344 * cb, luma + 1.773 * cb), dim=1)


def reference_postprocess(rgb: Tensor) -> Tensor:
    """Clamp, stretch each image to 0..1 by its own extremes, then truncate to 8 bit.

    One minimum and one maximum are taken over all channels of an image. A flat image has no contrast
    to stretch and is only clamped.

    Args:
        rgb: (B, C, H, W) or (B, H, W, C) floating point.

    Returns:
        Same shape, uint8.
    """
    clamped = rgb.clamp(0.0, 1.0)
    low = clamped.amin(dim=(1, 2, 3), keepdim=True)
    high = clamped.amax(dim=(1, 2, 3), keepdim=True)
    # A runtime that divides by multiplying may miss 1 by a rounding, which truncation makes a whole level.
    stretched = torch.where(clamped < high, (clamped - low) / (high - low), 1.0)
    return (torch.where(low < high, stretched, clamped) * 255.0).to(torch.uint8)


def stream_postprocess(rgb: Tensor) -> Tensor:
    """Clamp and round to 8 bit; nothing depends on the rest of the image.

    Args:
        rgb: (B, C, H, W) or (B, H, W, C) floating point.

    Returns:
        Same shape, uint8.
    """
    return (rgb.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8)
