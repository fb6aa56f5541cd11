"""The pixels of steady contrast: what :mod:`streamfuse.core.steady` asks about an image, and what it decides.

The published chain stretches red, green and blue alike. On luma and chroma that is one gain for both and
an offset for luma, so video is stretched in the form it has.
"""

from __future__ import annotations

from typing import Final

import numba
import numpy as np
import numpy.typing as npt

from streamfuse.core.convert import image_to_rgb
from streamfuse.core.steady import LEVELS, Limits, Survey
from streamfuse.frames import ColorRange, Image, PixelFormat, Plane

__all__ = ["stretched", "survey"]

Bytes = npt.NDArray[np.uint8]

_TILES: Final = (12, 16)
"""Rows and columns of the sketch; fewer in images with fewer pixels."""
_ROW_STEP: Final = 2
"""Every other row is counted: an extreme less than two rows high decides nothing."""
_NEUTRAL: Final = 128
"""Code of no colour in a chroma plane."""
_LUMA: Final = {ColorRange.FULL: (0, 255), ColorRange.LIMITED: (16, 235)}
_CHROMA: Final = {ColorRange.FULL: (0, 255), ColorRange.LIMITED: (16, 240)}
"""Lowest and highest code of a plane."""


def survey(image: Image) -> Survey:
    """Count the levels of an image as they are seen, in RGB, and sketch it.

    Args:
        image: YUV420P, RGB24 or GRAY8 of any range.

    Raises:
        ValueError: the image is GRAY16.
    """
    rgb = image_to_rgb(image)
    rows, columns = (min(tiles, side) for tiles, side in zip(_TILES, rgb.shape[:2], strict=True))
    dark, bright = np.zeros((2, LEVELS), np.int64)
    sketch = np.empty((rows, columns), np.float32)
    _count(rgb, dark, bright, sketch)
    return Survey(dark=dark, bright=bright, sketch=sketch)


def stretched(image: Image, limits: Limits) -> Image:
    """The image with the levels of ``limits`` as black and white, rounded; beyond them it is clamped.

    Luma gets gain and offset, chroma the same gain around its neutral code, each within its own range: on
    RGB that is the published stretch.

    Args:
        image: YUV420P, RGB24 or GRAY8 of any range.
        limits: full-range levels, ``low`` below ``high``.

    Returns:
        The same form; ``image`` itself where the limits are 0 and 255 to half a level.

    Raises:
        ValueError: limits that do not rise, or a GRAY16 image.
    """
    spec = image.spec
    if not limits.low < limits.high:
        raise ValueError(f"limits must rise, got {limits.low} and {limits.high}")
    if spec.format is PixelFormat.GRAY16:
        raise ValueError("a gray16 image has no brightness of its own; expected 8 bits, after AGC")
    gain = (LEVELS - 1) / (limits.high - limits.low)
    black, white = _LUMA[spec.range]
    dark_code = black + limits.low * (white - black) / (LEVELS - 1)
    luma = _table(origin=dark_code, gain=gain, codes=(black, white), image_of_origin=black)
    if (luma[black : white + 1] == np.arange(black, white + 1)).all():
        return image
    chroma = _table(origin=_NEUTRAL, gain=gain, codes=_CHROMA[spec.range], image_of_origin=_NEUTRAL)
    first, *colour = image.planes
    return Image(spec, (_mapped(first, luma), *(_mapped(plane, chroma) for plane in colour)))


def _table(*, origin: float, gain: float, codes: tuple[int, int], image_of_origin: int) -> Bytes:
    """``image_of_origin`` + gain (code - origin) for each of the 256 codes, within ``codes``."""
    line = image_of_origin + gain * (np.arange(LEVELS) - origin)
    table: Bytes = np.clip(np.rint(line), *codes).astype(np.uint8)
    return table


def _mapped(plane: Plane, table: Bytes) -> Bytes:
    codes = np.ascontiguousarray(plane, np.uint8)
    out = np.empty_like(codes)
    _look_up(codes.reshape(-1), table, out.reshape(-1))
    return out


@numba.njit(cache=True, nogil=True)
def _look_up(codes: Bytes, table: Bytes, out: Bytes) -> None:
    for index in range(codes.size):
        out[index] = table[codes[index]]


@numba.njit(cache=True, nogil=True)
def _count(
    rgb: Bytes, dark: npt.NDArray[np.int64], bright: npt.NDArray[np.int64], sketch: npt.NDArray[np.float32]
) -> None:
    height, width = rgb.shape[:2]
    rows, columns = sketch.shape
    for row in range(rows):
        top, bottom = row * height // rows, (row + 1) * height // rows
        for column in range(columns):
            left, right = column * width // columns, (column + 1) * width // columns
            light = np.int64(0)
            seen = 0
            for y in range(top, bottom, _ROW_STEP):
                for x in range(left, right):
                    red, green, blue = rgb[y, x, 0], rgb[y, x, 1], rgb[y, x, 2]
                    dark[min(red, green, blue)] += 1
                    bright[max(red, green, blue)] += 1
                    light += np.int64(red) + 2 * np.int64(green) + np.int64(blue)
                seen += right - left
            sketch[row, column] = light / (4 * seen)
