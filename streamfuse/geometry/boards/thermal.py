"""What shows a faint pattern: the surface taken off, the contrast evened out.

In a thermal picture of a heated board the warmth of the sheet itself changes far more from one end to the
other than from a dark square to a bright one. A wide blur follows that surface; the difference to it is the
pattern.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["SURFACES", "Gray", "Picture", "contrast_range", "detail", "levelled", "pictures_to_search"]

Gray = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Picture = npt.NDArray[np.uint8]
Single = npt.NDArray[np.float32]

SURFACES: Final = (1 / 90, 1 / 130, 1 / 45)
"""Widths of the surface that is taken off thermal pictures, in parts of the long side."""
_SMALL: Final = 800
"""Long side in pixels at which boards are looked for first; they are measured at full size in any case."""
_REACH: Final = 4.0
"""Over how many surface widths the contrast is measured."""
_SMOOTH: Final = 1 / 10
"""Sigma of the blur against noise in parts of the surface width."""
_QUIET: Final = 0.25
"""Contrast below this part of the picture's usual one is not raised further: it is noise."""
_FULL: Final = 2.0
"""How many times the local contrast (RMS) fills the range of eight bits, up and down."""


def pictures_to_search(
    gray: Gray, *, thermal: bool, quick: bool = False, surfaces: tuple[float, ...] = SURFACES
) -> Iterator[tuple[str, Picture, float]]:
    """Pictures in which a board should stand out, the likeliest first.

    Args:
        gray: HxW, uint8 or uint16.
        thermal: take off surfaces of several widths; else only the size changes.
        quick: the first only.
        surfaces: those widths, in parts of the long side.

    Yields:
        What it is called, the eight-bit picture, and how many pixels of ``gray`` one of its pixels is wide.
    """
    longest = max(gray.shape)
    if thermal:
        for part in surfaces[:1] if quick else surfaces:
            yield (
                f"surface of {part * longest:.0f} px removed",
                levelled(gray, surface_px=part * longest),
                1.0,
            )
        return
    picture = _stretched(gray)
    if longest > _SMALL:
        factor = math.ceil(longest / _SMALL)
        height, width = (side // factor for side in picture.shape)
        cut = picture[: height * factor, : width * factor]
        small = cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA)
        yield f"1/{factor} size", np.asarray(small, np.uint8), float(factor)
        if quick:
            return
    yield "full size", picture, 1.0


def detail(gray: Gray, *, surface_px: float, smooth_px: float = 0.7) -> Single:
    """The picture minus its surface.

    Args:
        gray: HxW, any depth.
        surface_px: sigma of the blur that follows the surface; a third to a half of a square is a good width.
        smooth_px: sigma of the blur against noise.

    Returns:
        HxW float32, in the units of the picture, around 0.
    """
    image = gray.astype(np.float32)
    smooth = cv2.GaussianBlur(image, (0, 0), smooth_px)
    return np.asarray(smooth - _blurred(image, surface_px), np.float32)


def levelled(gray: Gray, *, surface_px: float) -> Picture:
    """Eight bits in which a faint pattern has about the contrast of a strong one: detail over local RMS."""
    difference = detail(gray, surface_px=surface_px, smooth_px=max(surface_px * _SMOOTH, 0.7))
    usual = float(np.median(np.abs(difference))) + np.finfo(np.float32).tiny
    bounded = np.clip(difference, -20 * usual, 20 * usual)
    local = np.sqrt(_blurred(bounded * bounded, _REACH * surface_px))
    scaled = bounded / np.maximum(local, _QUIET * float(np.median(local)) + np.finfo(np.float32).tiny)
    return np.clip(128.0 + scaled * (127.0 / _FULL), 0, 255).astype(np.uint8)


def _blurred(image: Single, sigma_px: float) -> Single:
    """A Gaussian blur; a wide one is made of a smaller picture, which costs little and looks the same."""
    factor = max(int(sigma_px / 4), 1)
    if factor == 1 or min(image.shape) < 4 * factor:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px), np.float32)
    height, width = image.shape
    small = cv2.resize(image, (-(-width // factor), -(-height // factor)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma_px / factor)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _stretched(gray: Gray) -> Picture:
    """Eight bits of any depth: itself, or the range that all but the darkest and brightest 0.5 % fill."""
    if gray.dtype == np.uint8:
        return gray.astype(np.uint8, copy=False)
    scale = 255.0 / contrast_range(gray)
    darkest = np.percentile(gray, 0.5)
    return np.asarray(np.clip((gray.astype(np.float32) - darkest) * scale, 0, 255), np.uint8)


def contrast_range(gray: Gray) -> float:
    """The range that all but the darkest and brightest 0.5 % of a picture fill, at least 1."""
    low, high = np.percentile(gray, (0.5, 99.5))
    return max(float(high - low), 1.0)
