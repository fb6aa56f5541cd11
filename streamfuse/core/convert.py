"""From the form an image travels in to RGB, for those who need RGB: the detector, the viewer, overlays."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from streamfuse.frames import ColorMatrix, ColorRange, Image, PixelFormat

__all__ = ["image_to_rgb", "yuv_gains"]

# Weights of red and blue in luma: ITU-R BT.601-7 section 2.5.1 and BT.709-6 section 3.2.
_RED_BLUE: Final = {ColorMatrix.BT601: (0.299, 0.114), ColorMatrix.BT709: (0.2126, 0.0722)}


def image_to_rgb(image: Image) -> npt.NDArray[np.uint8]:
    """The image as an HxWx3 uint8 array in the order R, G, B, full range.

    4:2:0 chroma is repeated over its 2x2 pixels. The result of an RGB24 image is its own plane, not
    a copy; all others are new memory.

    Args:
        image: YUV420P of any range and matrix, RGB24, or GRAY8 (grey in all three channels).

    Raises:
        ValueError: the image is GRAY16, whose counts mean no brightness before AGC.
    """
    spec = image.spec
    match spec.format:
        case PixelFormat.RGB24:
            return image.planes[0].astype(np.uint8, copy=False)
        case PixelFormat.YUV420P:
            from streamfuse.core.yuv420 import yuv420_to_rgb  # noqa: PLC0415 - numba takes long to load

            return yuv420_to_rgb(image.planes, yuv_gains(spec.range, spec.matrix))
        case PixelFormat.GRAY8:
            gray = _stretched(image.planes[0]) if spec.range is ColorRange.LIMITED else image.planes[0]
            return np.repeat(gray[..., None], 3, axis=2).astype(np.uint8, copy=False)
        case PixelFormat.GRAY16:
            raise ValueError("a gray16 image has no brightness of its own; expected 8 bits, after AGC")


def _stretched(luma: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
    table: npt.NDArray[np.uint8] = np.clip(np.rint((np.arange(256) - 16) * (255 / 219)), 0, 255).astype(
        np.uint8
    )
    return table[luma]


def yuv_gains(color_range: ColorRange, matrix: ColorMatrix) -> tuple[float, ...]:
    """Code of black, gain of luma above it, then R from V, G from U, G from V and B from U around 128."""
    red, blue = _RED_BLUE[matrix]
    green = 1.0 - red - blue
    limited = color_range is ColorRange.LIMITED
    luma, chroma = (255 / 219, 255 / 224) if limited else (1.0, 1.0)
    return (
        16.0 if limited else 0.0,
        luma,
        2 * (1 - red) * chroma,
        -2 * (1 - blue) * blue / green * chroma,
        -2 * (1 - red) * red / green * chroma,
        2 * (1 - blue) * chroma,
    )
