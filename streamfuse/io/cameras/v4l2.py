"""Cameras of the Linux kernel (V4L2: UVC webcams, Y16 thermal cameras) through PyAV's demuxer.

FFmpeg's demuxer waits for the driver without end. So it is opened non-blocking, and the waiting is
done here, by ``poll`` with a limit.
"""

from __future__ import annotations

import logging
import os
import select
from pathlib import Path
from typing import Any, Final

import av
from av.container import InputContainer

from streamfuse.clock import NS_PER_MS, NS_PER_S, SystemClock
from streamfuse.config.sources import SourceConfig
from streamfuse.core.clockfit import Stamp, TimeSource
from streamfuse.errors import SourceError
from streamfuse.frames import DropCause, ImageSpec, StreamName
from streamfuse.io.av_pixels import from_av, spec_of
from streamfuse.io.cameras.v4l2_query import V4L2_LINKS, offered
from streamfuse.io.cameras.v4l2_request import asked_format, failure, options, refuse
from streamfuse.io.source import SourceFrame, SourceInfo

__all__ = ["V4l2Source"]

_LOG = logging.getLogger(__name__)

_PROBE_S: Final = 0.2
"""Longest probing of a compressed stream. FFmpeg spins meanwhile; the first frame is waited for here."""
_OLDEST_STAMP_NS: Final = 10 * NS_PER_S
_NEWEST_STAMP_NS: Final = NS_PER_MS
_DEFAULT_FPS: Final = 30.0


class V4l2Source:
    """A capture device at ``/dev/v4l/by-id/…``, ``/dev/v4l/by-path/…``, or ``/dev/videoN`` by force.

    Opening comes back with the first frame or an error after ``timeout_s`` at the latest, and so does
    each read. The stamp of a frame is the kernel's, in the host's monotonic time; a driver whose
    stamps are not near that clock gives none. Buffers that the driver marks as damaged are counted.

    Args:
        config: The stream's block. An infrared stream with ``format: gray16`` asks for Y16.
        stream: Which stream of the pair it is.
        links: Where the stable names of devices are.

    Raises:
        SourceError: absent, busy, forbidden, silent, or without the format asked for.
        UsageError: a bare index that is not forced, or a key that such a camera cannot use.
    """

    def __init__(self, config: SourceConfig, *, stream: StreamName, links: Path = V4L2_LINKS) -> None:
        self._label = f"{stream}: {config.uri}"
        self._config = config
        refuse(config, label=self._label, links=links)
        self._format = asked_format(config, label=self._label)
        self._clock = SystemClock()
        self._corrupt = 0
        self._origin_us: int | None = None
        self._last_pts_ns = -1
        self._first: SourceFrame | None = None
        self._container = self._open()
        try:
            self._begin()
        except SourceError:
            self.close()
            raise

    @property
    def info(self) -> SourceInfo:
        """Spec of the first frame; the rate as the driver tells it."""
        return self._info

    def read(self) -> SourceFrame | None:
        """The next frame; a camera has no end that is not an error.

        Raises:
            SourceError: no whole frame within ``timeout_s``, unplugged, or a picture of another size.
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
        """Give the device back; may be called twice."""
        self._container.close()

    def _open(self) -> InputContainer:
        asked = options(self._config, self._format)
        try:
            # Not `options`, which PyAV gives to the decoder too, and that would believe the size asked for.
            return av.open(self._config.uri, format="v4l2", container_options=asked, timeout=(_PROBE_S, None))
        except (av.FFmpegError, OSError) as error:
            raise failure(error, uri=self._config.uri, label=self._label) from error

    def _begin(self) -> None:
        """Check what the driver gives, and wait for the first frame."""
        self._stream = self._container.streams.video[0]
        self._check_format()
        self._poll = select.poll()
        self._poll.register(self._descriptor(), select.POLLIN)
        fps = float(self._stream.average_rate or self._config.fps or _DEFAULT_FPS)
        self._first = self._next()
        self._info = SourceInfo(spec=self._first.image.spec, fps=fps, frame_count=None, live=True)
        self._tell_difference()

    def _check_format(self) -> None:
        """FFmpeg takes any format that the driver has rather than fail; thermal counts are worth an error."""
        decoder = self._stream.codec_context
        given = decoder.pix_fmt if decoder.name == "rawvideo" else decoder.name
        if self._format not in {None, given}:
            modes = offered(self._config.uri) or "unknown"
            raise SourceError(
                f"{self._label}: it does not send {self._format} but {given}; choose an input_format that it "
                f"offers ({modes})"
            )

    def _descriptor(self) -> int:
        """The descriptor by which FFmpeg holds the device, which PyAV does not tell."""
        try:
            device = Path(self._config.uri).stat()
        except OSError as error:
            raise failure(error, uri=self._config.uri, label=self._label) from error
        for entry in Path("/proc/self/fd").iterdir():
            try:
                if os.path.samestat(entry.stat(), device):
                    return int(entry.name)
            except OSError:  # closed by another thread meanwhile
                continue
        raise SourceError(f"{self._label}: it was replaced while it was opened; it is opened anew")

    def _tell_difference(self) -> None:
        asked_wh, asked_fps = self._config.size, self._config.fps
        size_wh, fps = self._info.spec.size_wh, self._info.fps
        told = []
        if asked_wh is not None and asked_wh != size_wh:
            told.append(f"{size_wh[0]}x{size_wh[1]} instead of {asked_wh[0]}x{asked_wh[1]}")
        if asked_fps is not None and abs(asked_fps - fps) > 0.01 * asked_fps:
            told.append(f"{fps:g} instead of {asked_fps:g} fps")
        if told:
            _LOG.warning("%s: the driver gives %s; set what it offers", self._label, " and ".join(told))

    def _next(self) -> SourceFrame:
        """The next whole frame, by the deadline."""
        deadline_ns = self._clock.now_ns() + round(self._config.timeout_s * NS_PER_S)
        while True:
            packet = self._packet(deadline_ns)
            now_ns = self._clock.now_ns()
            picture = self._decode(packet)
            if picture is not None:
                return self._frame(picture, packet.pts if picture.pts is None else picture.pts, now_ns)
            if now_ns >= deadline_ns:
                raise self._silent()

    def _packet(self, deadline_ns: int) -> av.Packet[Any]:
        """What the driver gives next, whole or not; FFmpeg may have one in store, so poll comes second."""
        failed = False
        while True:
            try:
                return _own(next(self._container.demux(self._stream)))
            except av.BlockingIOError:
                pass
            except (av.FFmpegError, OSError) as error:
                raise failure(error, uri=self._config.uri, label=self._label) from error
            if failed:
                raise SourceError(f"{self._label}: the driver reports an error; plug the camera in anew")
            left_ms = (deadline_ns - self._clock.now_ns()) / NS_PER_MS
            events = self._poll.poll(max(0.0, left_ms))
            if not events:
                raise self._silent()
            failed = not events[0][1] & select.POLLIN

    def _silent(self) -> SourceError:
        damaged = f", {self._corrupt} damaged ones did" if self._corrupt else ""
        return SourceError(
            f"{self._label}: no whole frame came for {self._config.timeout_s:g} s{damaged}; "
            "check cable and power"
        )

    def _decode(self, packet: av.Packet[Any]) -> av.VideoFrame | None:
        """The packet's picture; None if it is damaged, or the decoder needs more."""
        if packet.size == 0:  # FFmpeg's form of a buffer that the driver marks as damaged
            self._corrupt += 1
            return None
        try:
            pictures = self._stream.codec_context.decode(packet)
        except av.FFmpegError:
            self._corrupt += 1
            return None
        if not pictures:
            return None
        if pictures[-1].is_corrupt:
            self._corrupt += 1
            return None
        return pictures[-1]

    def _frame(self, picture: av.VideoFrame, pts_us: int | None, now_ns: int) -> SourceFrame:
        try:
            spec = spec_of(picture)
        except ValueError as error:
            raise SourceError(
                f"{self._label}: the picture is {picture.width}x{picture.height} and 4:2:0 needs even sides; "
                "ask for another size"
            ) from error
        lost = {DropCause.CORRUPT: self._corrupt} if self._corrupt else {}
        self._corrupt = 0
        return SourceFrame(
            image=from_av(picture, spec),
            pts_ns=self._pts_ns(pts_us, now_ns),
            stamp=_stamp(pts_us, now_ns),
            lost=lost,
        )

    def _pts_ns(self, pts_us: int | None, now_ns: int) -> int:
        """Time since the first frame; where a stamp is missing or does not rise, it rises nevertheless."""
        us = now_ns // 1000 if pts_us is None else pts_us
        if self._origin_us is None:
            self._origin_us = us
        self._last_pts_ns = max(self._last_pts_ns + 1, (us - self._origin_us) * 1000)
        return self._last_pts_ns


def _own(packet: av.Packet[Any]) -> av.Packet[Any]:
    """A copy. The data of FFmpeg's packet is the driver's memory, which must not outlive the container."""
    copy: av.Packet[Any] = av.Packet(bytes(packet))
    copy.pts = packet.pts
    return copy


def _stamp(pts_us: int | None, now_ns: int) -> Stamp | None:
    """The kernel's stamp, if it is of the monotonic clock: close before now."""
    if pts_us is None or not -_NEWEST_STAMP_NS <= now_ns - pts_us * 1000 <= _OLDEST_STAMP_NS:
        return None
    return Stamp(source=TimeSource.DRIVER, time_ns=pts_us * 1000)


def _words(spec: ImageSpec) -> str:
    width, height = spec.size_wh
    return f"{width}x{height} {spec.format}"
