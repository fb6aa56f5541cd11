"""Cameras with GenICam (GigE Vision, USB3 Vision) through Aravis."""

from __future__ import annotations

import logging
import threading
from typing import Any, Final
from urllib.parse import unquote

from streamfuse.clock import NS_PER_S, SystemClock
from streamfuse.config.sources import InfraredSource, SourceConfig
from streamfuse.core.clockfit import Stamp, TimeSource
from streamfuse.errors import SourceError, UsageError
from streamfuse.frames import DropCause, ImageSpec, StreamName
from streamfuse.io.cameras.aravis import find_camera, load
from streamfuse.io.cameras.genicam_pixels import choose_format, image_of
from streamfuse.io.cameras.genicam_settings import set_feature
from streamfuse.io.source import SourceFrame, SourceInfo
from streamfuse.io.unused import refuse_unused

__all__ = ["GenicamSource", "missing_between"]

_LOG = logging.getLogger(__name__)

_BUFFERS: Final = 8
_SLICE_NS: Final = NS_PER_S // 4
"""Longest wait in the library, so that the loss of the camera is seen soon."""
_FRAME_IDS: Final = 65_535
"""GigE Vision counts frames from 1 to this and begins again; 0 is not used."""
_DEFAULT_FPS: Final = 25.0
_UNUSED: Final = ("transport", "decode", "loop", "keys", "force_index")


class GenicamSource:
    """The camera ``genicam://ID`` by Aravis' device id, serial number or IP address; without ID the only one.

    ``input_format`` is a GenICam pixel format (``mono16``, ``bayerrg8``); an infrared stream with
    ``format: gray16`` takes the deepest grey by itself. ``options`` are features of the camera by their
    GenICam names, and ``exposure`` (µs) and ``gain`` for whatever this camera calls them. The stamp of
    a frame is the camera's own. Frames that did not arrive, or not whole, are counted.

    Args:
        config: The stream's block of the pipeline file.
        stream: Which stream of the pair it is.

    Raises:
        MachineError: Aravis is not installed.
        SourceError: no such camera, or it refuses control, or sends nothing within ``timeout_s``.
        UsageError: a key, pixel format or feature that it does not have.
    """

    def __init__(self, config: SourceConfig, *, stream: StreamName) -> None:
        self._label = f"{stream}: {config.uri}"
        refuse_unused(config, _UNUSED, label=self._label, kind="a GenICam camera")
        self._config = config
        self._clock = SystemClock()
        self._library = load()
        self._gone = threading.Event()
        self._answers = True
        self._stream: Any = None
        self._camera: Any = None
        self._first: SourceFrame | None = None
        self._last_id: int | None = None
        self._underruns = 0
        self._origin_ns: int | None = None
        self._last_pts_ns = -1
        try:
            self._begin()
        except self._library.error as error:
            self.close()
            raise self._failure(error) from error
        except (SourceError, UsageError):
            self.close()
            raise

    @property
    def info(self) -> SourceInfo:
        """Spec of the first frame; the rate as the camera tells it."""
        return self._info

    def read(self) -> SourceFrame | None:
        """The next whole frame; a camera has no end that is not an error.

        Raises:
            SourceError: none came within ``timeout_s``, the camera is gone, or changed its picture.
        """
        if self._first is not None:
            frame, self._first = self._first, None
            return frame
        frame = self._next()
        if frame.image.spec != self._info.spec:
            raise SourceError(
                f"{self._label}: the picture changed from {_words(self._info.spec)} to "
                f"{_words(frame.image.spec)}; it is opened anew"
            )
        return frame

    def skip(self, count: int) -> None:
        """A camera has no past to skip."""

    def close(self) -> None:
        """Stop the camera and give it back; may be called twice."""
        camera, self._camera, self._stream = self._camera, None, None
        if camera is None or not self._answers:  # to each command, a dead one is waited for by seconds
            return
        try:
            camera.stop_acquisition()
        except self._library.error as error:  # it is gone, so there is nothing to stop
            _LOG.debug("%s: %s", self._label, error)

    def _begin(self) -> None:
        wanted = unquote(self._config.uri.partition("://")[2]).rstrip("/")
        api = self._library.api
        self._camera = api.Camera.new(find_camera(self._library, wanted, label=self._label))
        self._camera.get_device().connect("control-lost", _teller(self._gone))
        self._set_up()
        self._stream = self._camera.create_stream(None, None)
        if self._stream is None:
            raise SourceError(f"{self._label}: gives no stream; another program may hold it")
        payload = self._camera.get_payload()
        for _ in range(_BUFFERS):
            self._stream.push_buffer(api.Buffer.new_allocate(payload))
        rate = self._camera.get_frame_rate() if self._camera.is_frame_rate_available() else 0.0
        fps = rate or self._config.fps or _DEFAULT_FPS
        self._camera.start_acquisition()
        self._first = self._next()
        self._info = SourceInfo(spec=self._first.image.spec, fps=fps, frame_count=None, live=True)
        self._tell_difference()

    def _set_up(self) -> None:
        """Pixel format first, because the sizes that a camera offers depend on it."""
        config, camera = self._config, self._camera
        raw = isinstance(config, InfraredSource) and config.format == "gray16"
        try:
            name = choose_format(
                config.input_format, camera.dup_available_pixel_formats_as_strings(), raw=raw
            )
        except ValueError as error:
            raise UsageError(f"{self._label}: {error}") from error
        if name is not None:
            camera.set_pixel_format_from_string(name)
        if config.size is not None:
            camera.set_region(0, 0, *config.size)
        if config.fps is not None and camera.is_frame_rate_available():
            camera.set_frame_rate(config.fps)
        for feature, value in config.options.items():
            set_feature(self._library, camera, feature, value, label=self._label)

    def _tell_difference(self) -> None:
        asked_wh, asked_fps = self._config.size, self._config.fps
        size_wh, fps = self._info.spec.size_wh, self._info.fps
        told = []
        if asked_wh is not None and asked_wh != size_wh:
            told.append(f"{size_wh[0]}x{size_wh[1]} instead of {asked_wh[0]}x{asked_wh[1]}")
        if asked_fps is not None and abs(asked_fps - fps) > 0.01 * asked_fps:
            told.append(f"{fps:g} instead of {asked_fps:g} fps")
        if told:
            _LOG.warning("%s: the camera gives %s; set what it offers", self._label, " and ".join(told))

    def _next(self) -> SourceFrame:
        deadline_ns = self._clock.now_ns() + round(self._config.timeout_s * NS_PER_S)
        damaged = 0
        while True:
            buffer = self._pop(deadline_ns, damaged)
            if buffer.get_status() is self._library.api.BufferStatus.SUCCESS:
                frame = self._frame(buffer)
                self._stream.push_buffer(buffer)
                return frame
            damaged += 1  # it is missing in the row of the frame numbers
            self._stream.push_buffer(buffer)

    def _pop(self, deadline_ns: int, damaged: int) -> Any:
        """The next buffer, whole or not."""
        while (left_ns := deadline_ns - self._clock.now_ns()) > 0:
            if self._gone.is_set():
                self._answers = False
                raise SourceError(f"{self._label}: control was lost: the camera is gone or another took it")
            buffer = self._stream.timeout_pop_buffer(min(left_ns, _SLICE_NS) // 1000 + 1)
            if buffer is not None:
                return buffer
        self._answers = damaged > 0
        hurt = f", {damaged} damaged ones did: look at the packet size (GevSCPSPacketSize)" if damaged else ""
        raise SourceError(
            f"{self._label}: no whole frame came for {self._config.timeout_s:g} s{hurt}; "
            "check network and trigger"
        )

    def _frame(self, buffer: Any) -> SourceFrame:
        size_wh = (buffer.get_image_width(), buffer.get_image_height())
        try:
            image = image_of(buffer.get_data(), int(buffer.get_image_pixel_format()), size_wh)
        except ValueError as error:
            raise SourceError(f"{self._label}: {error}; set input_format") from error
        time_ns = buffer.get_timestamp()
        return SourceFrame(
            image=image,
            pts_ns=self._pts_ns(time_ns or self._clock.now_ns()),
            stamp=Stamp(source=TimeSource.DEVICE, time_ns=time_ns) if time_ns else None,
            lost=self._lost(buffer.get_frame_id()),
        )

    def _lost(self, frame_id: int) -> dict[DropCause, int]:
        """What is missing before this frame: for want of a free buffer, the others on the way."""
        missing = 0 if self._last_id is None else missing_between(self._last_id, frame_id)
        self._last_id = frame_id
        # By the base class: streams of GigE Vision have another method of this name.
        underruns = self._library.api.Stream.get_statistics(self._stream).n_underruns
        skipped = min(missing, underruns - self._underruns)
        self._underruns = underruns
        lost = {DropCause.SKIPPED: skipped, DropCause.NETWORK: missing - skipped}
        return {cause: count for cause, count in lost.items() if count}

    def _pts_ns(self, time_ns: int) -> int:
        """Time since the first frame; rises even where the camera's does not."""
        if self._origin_ns is None:
            self._origin_ns = time_ns
        self._last_pts_ns = max(self._last_pts_ns + 1, time_ns - self._origin_ns)
        return self._last_pts_ns

    def _failure(self, error: Exception) -> SourceError:
        text = getattr(error, "message", str(error))
        return SourceError(f"{self._label}: {text}; check that no other program holds the camera")


def missing_between(last: int, this: int) -> int:
    """Frames between two frame numbers of 16 bits that leave out 0, or of 64 bits that do not wrap."""
    step = this - last if this > last else (this - last) % _FRAME_IDS
    return max(0, step - 1)


def _teller(gone: threading.Event) -> Any:
    """A signal's handler that holds nothing but the event."""
    return lambda *_: gone.set()


def _words(spec: ImageSpec) -> str:
    width, height = spec.size_wh
    return f"{width}x{height} {spec.format}"
