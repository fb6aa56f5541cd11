"""The images of a fused frame as JPEGs, straight from YUV where that is possible.

A JPEG holds full-range BT.601 luma and chroma (JFIF 1.02, "Color Space"), so BT.601 video needs no
way through RGB: at most its range is stretched. The only file that knows simplejpeg.
"""

from __future__ import annotations

import enum
from typing import Final

import numpy as np
import numpy.typing as npt
import simplejpeg

from streamfuse.core.convert import image_to_rgb
from streamfuse.frames import ColorMatrix, ColorRange, FusedFrame, Image, Layer, PixelFormat, Plane
from streamfuse.io.overlay import draw_overlay

__all__ = ["Look", "image_of", "jpeg_of", "look_jpeg"]

Codes = npt.NDArray[np.uint8]


class Look(enum.StrEnum):
    """What of a frame can be looked at."""

    FUSED = "fused"
    VISIBLE = "visible"
    INFRARED = "infrared"


_LAYERS: Final = {Look.VISIBLE: Layer.VISIBLE, Look.INFRARED: Layer.INFRARED}


def _table(low: int, high: int) -> Codes:
    """Codes ``low``..``high`` to 0..255; what lies outside is cut off."""
    stretched = np.rint((np.arange(256) - low) * (255 / (high - low)))
    table: Codes = np.clip(stretched, 0, 255).astype(np.uint8)
    return table


_LUMA: Final = _table(16, 235)
_CHROMA: Final = _table(16, 240)
"""Keeps grey: code 128 is (128 - 16) * 255/224 = 127.5, which rint takes to 128."""


def image_of(frame: FusedFrame, look: Look) -> Image | None:
    """That image of a frame, or None where the pair has none."""
    return frame.image if look is Look.FUSED else frame.layers.get(_LAYERS[look])


def look_jpeg(frame: FusedFrame, look: Look, *, overlay: bool, quality: int) -> bytes | None:
    """One image of a frame as a JPEG, or None where the pair has none.

    Args:
        frame: with 8-bit images.
        look: which of its images.
        overlay: whether what was found and counted is drawn into it; all three images have their geometry.
        quality: 1 (small) to 100 (exact but for rounding).
    """
    image = image_of(frame, look)
    if image is None:
        return None
    if overlay:
        picture = draw_overlay(image_to_rgb(image), frame.detections, counts=frame.counts, areas=frame.areas)
        image = Image.from_rgb(picture)
    return jpeg_of(image, quality)


def jpeg_of(image: Image, quality: int) -> bytes:
    """An image as a JPEG file; colours have half the resolution, as in video.

    Args:
        image: YUV420P, RGB24 or GRAY8.
        quality: 1 (small) to 100 (exact but for rounding).

    Raises:
        ValueError: the image is GRAY16, whose counts mean no brightness before AGC.
    """
    spec = image.spec
    if spec.format is PixelFormat.GRAY8:
        return _planar(_full(image.planes[0], spec.range, _LUMA), None, None, quality)
    if spec.format is PixelFormat.YUV420P and spec.matrix is ColorMatrix.BT601:
        luma, u, v = (
            _full(plane, spec.range, table)
            for plane, table in zip(image.planes, (_LUMA, _CHROMA, _CHROMA), strict=True)
        )
        return _planar(luma, u, v, quality)
    rgb = np.ascontiguousarray(image_to_rgb(image))
    return bytes(
        simplejpeg.encode_jpeg(rgb, quality=quality, colorspace="RGB", colorsubsampling="420", fastdct=True)
    )


def _planar(luma: Codes, u: Codes | None, v: Codes | None, quality: int) -> bytes:
    return bytes(simplejpeg.encode_jpeg_yuv_planes(luma, u, v, quality, fastdct=True))


def _full(plane: Plane, color_range: ColorRange, table: Codes) -> Codes:
    """A plane with full range, in one piece of memory."""
    return np.asarray(table[plane] if color_range is ColorRange.LIMITED else plane, np.uint8, order="C")
