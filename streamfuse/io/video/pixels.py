"""The form in which an encoder takes an image: 4:2:0 for eyes, or every bit for thermometers."""

from __future__ import annotations

from types import MappingProxyType

import av

from streamfuse.frames import Image, ImageSpec, PixelFormat
from streamfuse.io.av_pixels import tag, to_av

__all__ = ["frame_of", "pixels_of"]

# FFV1 has RGB as BGR0: the same bytes in another order.
_LOSSLESS = MappingProxyType(
    {
        PixelFormat.GRAY8: "gray",
        PixelFormat.GRAY16: "gray16le",
        PixelFormat.YUV420P: "yuv420p",
        PixelFormat.RGB24: "bgr0",
    }
)


def pixels_of(spec: ImageSpec, *, lossless: bool) -> str:
    """FFmpeg's name of the pixels that :func:`frame_of` makes of ``spec``."""
    return _LOSSLESS[spec.format] if lossless else "yuv420p"


def frame_of(image: Image, *, lossless: bool) -> av.VideoFrame:
    """A copy of ``image`` that an encoder takes.

    Not lossless, it is ``yuv420p`` (see :func:`streamfuse.io.av_pixels.to_av`); lossless, it has the very
    samples of ``image``.

    Raises:
        ValueError: 16-bit samples, not lossless.
    """
    spec = image.spec
    if not lossless or spec.format is PixelFormat.YUV420P:
        return to_av(image)
    if spec.format is PixelFormat.RGB24:
        return av.VideoFrame.from_ndarray(image.planes[0], format="rgb24").reformat(format="bgr0")
    frame = av.VideoFrame.from_ndarray(image.planes[0], format=_LOSSLESS[spec.format])
    tag(frame, spec)
    return frame
