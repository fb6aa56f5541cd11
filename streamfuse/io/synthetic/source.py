"""The synthetic scenes as sources of frames: the street, and a calibration board that somebody moves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import cv2
import numpy as np
from numpy.typing import NDArray

from streamfuse.clock import NS_PER_MS, NS_PER_S
from streamfuse.errors import SourceError
from streamfuse.frames import ColorMatrix, ColorRange, Image, ImageSpec, PixelFormat, StreamName
from streamfuse.io.source import SourceFrame, SourceInfo
from streamfuse.io.synthetic.board_spec import BoardSpec
from streamfuse.io.synthetic.spec import StreetSpec

if TYPE_CHECKING:  # with numba: whoever only asks what a scene is does not wait for it
    from streamfuse.io.synthetic.board_scene import BoardCamera
    from streamfuse.io.synthetic.street import Street

__all__ = ["BoardSource", "SceneSource", "SyntheticSource", "open_scene"]


class SceneSource(ABC):
    """One of the two streams of a scene, frame by frame, as fast as it is read.

    Frame ``i`` has ``pts_ns = round(i * 1e9 / fps) + skew`` and shows the scene at exactly that time. Visible
    frames are YUV420P, limited range BT.601; infrared ones are GRAY8 or GRAY16.
    """

    def __init__(self, spec: ImageSpec, *, fps: float, duration_s: float, skew_ms: float) -> None:
        self._fps = fps
        self._skew_ns = round(skew_ms * NS_PER_MS)
        self._count = round(duration_s * fps) if duration_s else None
        self._next = 0
        self._info = SourceInfo(spec=spec, fps=fps, frame_count=self._count, live=False)

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
        """Nothing is held open; a scene without end ends here."""
        self._count = 0

    @abstractmethod
    def _image(self, t_s: float) -> Image:
        """What the camera sees at a time."""

    def _planar(self, rgb: NDArray[np.uint8]) -> Image:
        planar = np.ascontiguousarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420), np.uint8)
        return Image.from_buffer(self._info.spec, planar.data.cast("B"))


class SyntheticSource(SceneSource):
    """A stream of the street.

    Raises:
        SourceError: the URI asks for something the street does not have.
    """

    def __init__(self, uri: str, *, stream: StreamName) -> None:
        self._spec = spec = StreetSpec.from_uri(uri)
        self._visible = StreamName(stream) is StreamName.VISIBLE
        super().__init__(
            _visible_spec(spec.size_wh) if self._visible else _infrared_spec(spec.infrared_wh, spec.gray16),
            fps=spec.fps if self._visible else spec.infrared_rate,
            duration_s=spec.duration_s,
            skew_ms=0 if self._visible else spec.skew_ms,
        )

    @cached_property
    def _street(self) -> Street:
        """The scene, built for the first frame: whoever only asks for ``info`` does not wait for it."""
        from streamfuse.io.synthetic.street import Street  # noqa: PLC0415 - see above

        return Street(self._spec)

    def _image(self, t_s: float) -> Image:
        if self._visible:
            return self._planar(self._street.visible(t_s))
        return Image.from_gray(self._street.infrared(t_s))


class BoardSource(SceneSource):
    """A stream of the calibration board; :mod:`streamfuse.io.synthetic.board_truth` knows what is true.

    Raises:
        SourceError: the URI asks for something that the scene does not have.
    """

    def __init__(self, uri: str, *, stream: StreamName) -> None:
        self._spec = spec = BoardSpec.from_uri(uri)
        self._stream = StreamName(stream)
        visible = self._stream is StreamName.VISIBLE
        super().__init__(
            _visible_spec(spec.size_wh) if visible else _infrared_spec(spec.infrared_wh, spec.gray16),
            fps=spec.fps,
            duration_s=spec.duration_s,
            skew_ms=0 if visible else spec.skew_ms,
        )

    @cached_property
    def _camera(self) -> BoardCamera:
        from streamfuse.io.synthetic.board_scene import BoardCamera  # noqa: PLC0415 - see above

        return BoardCamera(self._spec, self._stream)

    def _image(self, t_s: float) -> Image:
        if self._stream is StreamName.VISIBLE:
            return self._planar(self._camera.visible(t_s))
        return Image.from_gray(self._camera.infrared(t_s))


_SCENES: Final = MappingProxyType({"street": SyntheticSource, "board": BoardSource})


def open_scene(uri: str, *, stream: StreamName) -> SceneSource:
    """A stream of ``synthetic://street?…`` or ``synthetic://board?…``.

    Raises:
        SourceError: another scene, or something that the scene does not have.
    """
    scene = urlsplit(uri).netloc
    if scene not in _SCENES:
        raise SourceError(f"the synthetic scenes are {' and '.join(_SCENES)}, got {uri!r}")
    return _SCENES[scene](uri, stream=stream)


def _visible_spec(size_wh: tuple[int, int]) -> ImageSpec:
    return ImageSpec(
        format=PixelFormat.YUV420P,
        size_wh=size_wh,
        range=ColorRange.LIMITED,
        matrix=ColorMatrix.BT601,
    )


def _infrared_spec(size_wh: tuple[int, int], gray16: bool) -> ImageSpec:
    return ImageSpec(format=PixelFormat.GRAY16 if gray16 else PixelFormat.GRAY8, size_wh=size_wh)
