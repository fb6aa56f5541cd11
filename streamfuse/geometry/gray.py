"""One full-range 8-bit grey plane of any image: what is warped, and what the network sees of infrared."""

from __future__ import annotations

from typing import NamedTuple, cast

import cv2
import numpy as np
import numpy.typing as npt

from streamfuse.core.thermal import agc_percentile
from streamfuse.frames import ColorRange, Image, PixelFormat

__all__ = ["Codes", "codes", "gray8"]

Gray = npt.NDArray[np.uint8]

_BLACK, _WHITE = 16, 235
"""Luma codes of limited range."""

_FULL_FROM_LIMITED: Gray = np.clip(
    (np.arange(256) - _BLACK) * (255.0 / (_WHITE - _BLACK)) + 0.5, 0, 255
).astype(np.uint8)


class Codes(NamedTuple):
    """A plane of brightness in codes of its own; :func:`gray8` is ``(code - black) * gain``, rounded."""

    plane: Gray
    black: int
    gain: float


def codes(image: Image) -> Codes:
    """The brightness of an image for those who compute with it anyway, and can widen it on the way."""
    is_plain = image.spec.format in {PixelFormat.GRAY8, PixelFormat.YUV420P}
    if is_plain and image.spec.range is ColorRange.LIMITED:
        return Codes(cast("Gray", image.planes[0]), _BLACK, 255.0 / (_WHITE - _BLACK))
    return Codes(gray8(image), 0, 1.0)


def gray8(image: Image) -> Gray:
    """The brightness of an image.

    Grey and YUV give their first plane, widened where its range is limited; RGB gives BT.601 luma (as
    Pillow's mode ``L``, to one level). 16-bit counts are stretched between two percentiles of this image
    alone: a stream that must not pump brings them to 8 bits before, see :mod:`streamfuse.core.thermal`.

    Returns:
        HxW uint8, full range; the image's own plane where nothing had to be computed.
    """
    if image.spec.format is PixelFormat.GRAY16:
        return agc_percentile(cast("npt.NDArray[np.uint16]", image.planes[0]))
    samples = cast("Gray", image.planes[0])
    if image.spec.format is PixelFormat.RGB24:
        return cast("Gray", cv2.cvtColor(samples, cv2.COLOR_RGB2GRAY))
    if image.spec.range is ColorRange.LIMITED:
        return cast("Gray", cv2.LUT(samples, _FULL_FROM_LIMITED))
    return samples
