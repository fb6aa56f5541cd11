"""The synthetic street as a source of frames."""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np

from streamfuse.clock import NS_PER_MS, NS_PER_S
from streamfuse.frames import ColorMatrix, ColorRange, Image, ImageSpec, PixelFormat, StreamName
from streamfuse.io.source import SourceFrame, SourceInfo
from streamfuse.io.synthetic.spec import StreetSpec
from streamfuse.io.synthetic.street import Street

__all__ = ["SyntheticSource"]


class SyntheticSource:
    """One of the two streams of a street, frame by frame, as fast as it is read.

    Frame ``i`` has ``pts_ns = round(i * 1e9 / fps)``, infrared plus the skew, and shows the scene at exactly
    that time. Visible frames are YUV420P, limited range BT.601; infrared ones are GRAY8 or GRAY16.

    Raises:
        SourceError: the URI asks for something the street does not have.
    """

    def __init__(self, uri: str, *, stream: StreamName) -> None:
        spec = StreetSpec.from_uri(uri)
        self._stream = stream = StreamName(stream)
        self._spec = spec
        visible = stream is StreamName.VISIBLE
        self._fps = spec.fps if visible else spec.infrared_rate
        self._skew_ns = 0 if visible else round(spec.skew_ms * NS_PER_MS)
        self._count = round(spec.duration_s * self._fps) if spec.duration_s else None
        self._next = 0
        self._info = SourceInfo(
            spec=_image_spec(spec, stream), fps=self._fps, frame_count=self._count, live=False
        )

    @property
    def info(self) -> SourceInfo:
        """What every frame has in common."""
        return self._info

    def read(self) -> SourceFrame | None:
        """The next frame, or None when the duration is over."""
        if self._count is not None and self._next >= self._count:
            return None
        pts_ns = round(self._next * NS_PER_S / self._fps) + self._skew_ns
        self._next += 1
        return SourceFrame(image=self._image(pts_ns / NS_PER_S), pts_ns=pts_ns)

    def skip(self, count: int) -> None:
        """Go on at frame number ``count``."""
        self._next = count

    def close(self) -> None:
        """Nothing is held open; a street without end ends here."""
        self._count = 0

    @cached_property
    def _street(self) -> Street:
        """The scene, built for the first frame: whoever only asks for ``info`` does not wait for it."""
        return Street(self._spec)

    def _image(self, t_s: float) -> Image:
        if self._stream is StreamName.INFRARED:
            return Image.from_gray(self._street.infrared(t_s))
        planar = np.ascontiguousarray(
            cv2.cvtColor(self._street.visible(t_s), cv2.COLOR_RGB2YUV_I420), np.uint8
        )
        return Image.from_buffer(self._info.spec, planar.data.cast("B"))


def _image_spec(spec: StreetSpec, stream: StreamName) -> ImageSpec:
    if stream is StreamName.VISIBLE:
        return ImageSpec(
            format=PixelFormat.YUV420P,
            size_wh=spec.size_wh,
            range=ColorRange.LIMITED,
            matrix=ColorMatrix.BT601,
        )
    kind = PixelFormat.GRAY16 if spec.gray16 else PixelFormat.GRAY8
    return ImageSpec(format=kind, size_wh=spec.infrared_wh)
