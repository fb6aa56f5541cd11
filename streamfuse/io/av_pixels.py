"""Pixels between PyAV and :class:`~streamfuse.frames.Image`, and what the numbers mean.

Planes are copied row by row, because the rows of FFmpeg's planes are padded, and nothing goes
through RGB that did not come as RGB.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange as AvRange
from av.video.reformatter import Colorspace as AvMatrix

from streamfuse.frames import ColorMatrix, ColorRange, Image, ImageSpec, PixelFormat

__all__ = ["HD_HEIGHT", "from_av", "spec_of", "tag", "to_av"]

HD_HEIGHT = 720
"""Untagged video from this height on is BT.709: what players assume, and what HD cameras send."""

_RAW_GRAY16 = frozenset({"gray9le", "gray10le", "gray12le", "gray14le", "gray16le"})
_GRAY16 = _RAW_GRAY16 | {name.replace("le", "be") for name in _RAW_GRAY16}
_PLANAR_420 = frozenset({"yuv420p", "yuvj420p"})
# FFmpeg's numbers: BT.601 has three names (FCC, 625 lines, 525 lines) with one matrix.
_MATRIX = MappingProxyType(
    {1: ColorMatrix.BT709, 4: ColorMatrix.BT601, 5: ColorMatrix.BT601, 6: ColorMatrix.BT601}
)
_AV_MATRIX = MappingProxyType({ColorMatrix.BT709: AvMatrix.ITU709, ColorMatrix.BT601: AvMatrix.ITU601})
_AV_RANGE = MappingProxyType({ColorRange.LIMITED: AvRange.MPEG, ColorRange.FULL: AvRange.JPEG})


def spec_of(frame: av.VideoFrame) -> ImageSpec:
    """What :func:`from_av` makes of ``frame``.

    - 8-bit grey stays GRAY8; grey of 9 to 16 bits becomes GRAY16 with the counts as they are stored.
    - Everything else is YUV420P. Its range is the tagged one; untagged video is limited, as every
      player takes it, but the ``yuvj`` formats and untagged grey are full. RGB becomes limited.
    - Its matrix is the tagged one; untagged (or BT.2020, which streamfuse does not have) is BT.709
      from 720 lines on and BT.601 below.

    Raises:
        ValueError: 4:2:0 is needed and a side is odd.
    """
    name = frame.format.name
    size_wh = (frame.width, frame.height)
    if name in _GRAY16:
        return ImageSpec(format=PixelFormat.GRAY16, size_wh=size_wh)
    if name == "gray":
        limited = frame.color_range == AvRange.MPEG
        range_ = ColorRange.LIMITED if limited else ColorRange.FULL
        return ImageSpec(format=PixelFormat.GRAY8, size_wh=size_wh, range=range_)
    full = not frame.format.is_rgb and (name.startswith("yuvj") or frame.color_range == AvRange.JPEG)
    untagged = ColorMatrix.BT709 if frame.height >= HD_HEIGHT else ColorMatrix.BT601
    return ImageSpec(
        format=PixelFormat.YUV420P,
        size_wh=size_wh,
        range=ColorRange.FULL if full else ColorRange.LIMITED,
        matrix=_MATRIX.get(frame.colorspace, untagged),
    )


def from_av(frame: av.VideoFrame, spec: ImageSpec) -> Image:
    """Copy ``frame`` into an image of ``spec``, which :func:`spec_of` gave for it."""
    ready = frame
    if spec.format is PixelFormat.YUV420P and frame.format.name not in _PLANAR_420:
        ready = frame.reformat(
            format="yuv420p",
            src_color_range=AvRange.JPEG if frame.format.is_rgb else _AV_RANGE[spec.range],
            dst_color_range=_AV_RANGE[spec.range],
            dst_colorspace=_AV_MATRIX[spec.matrix],
        )
    elif spec.format is PixelFormat.GRAY16 and frame.format.name not in _RAW_GRAY16:
        ready = frame.reformat(format="gray16le")
    shapes = spec.plane_shapes
    return Image(
        spec, tuple(_rows(p, s, spec.dtype).copy() for p, s in zip(ready.planes, shapes, strict=True))
    )


def to_av(image: Image) -> av.VideoFrame:
    """Copy an 8-bit image into a tagged ``yuv420p`` frame.

    YUV420P keeps its samples. GRAY8 keeps its samples as luma, with neutral chroma. RGB24 is
    converted with the matrix of its spec to limited range.

    Raises:
        ValueError: 16-bit samples.
    """
    spec = image.spec
    if spec.format is PixelFormat.GRAY16:
        raise ValueError("8-bit video cannot hold 16-bit samples")
    if spec.format is PixelFormat.RGB24:
        rgb = av.VideoFrame.from_ndarray(image.planes[0], format="rgb24")
        frame = rgb.reformat(
            format="yuv420p",
            dst_colorspace=_AV_MATRIX[spec.matrix],
            dst_color_range=AvRange.MPEG,
        )
        tag(frame, spec)
        return frame
    width, height = spec.size_wh
    frame = av.VideoFrame(width, height, "yuv420p")
    for index, plane in enumerate(frame.planes):
        shape = (plane.height, plane.width)
        samples: Any = image.planes[index] if index < len(image.planes) else 128
        np.copyto(_rows(plane, shape, np.dtype(np.uint8)), samples)
    tag(frame, spec)
    return frame


def tag(target: av.VideoFrame | av.VideoCodecContext, spec: ImageSpec) -> None:
    """Write range and matrix of :func:`to_av`'s result for ``spec`` on a frame or an encoder."""
    limited = spec.format is PixelFormat.RGB24 or spec.range is ColorRange.LIMITED
    target.color_range = AvRange.MPEG if limited else AvRange.JPEG
    target.colorspace = _AV_MATRIX[spec.matrix]


def _rows(plane: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """The samples of a padded plane as a view."""
    padded = np.frombuffer(plane, dtype).reshape(-1, plane.line_size // dtype.itemsize)
    return padded[: shape[0], : shape[1]]
