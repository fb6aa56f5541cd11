"""Cameras on the network, and whatever else sends video there, through PyAV (FFmpeg).

RTSP, RTMP, RTP, UDP, HTTP; SRT where the build of FFmpeg has it. A sender that stalls, breaks off or
ends is a :class:`~streamfuse.errors.SourceError`, after which the source is opened anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
from av import Packet
from av.video.stream import VideoStream

from streamfuse.clock import SystemClock
from streamfuse.config.sources import SourceConfig
from streamfuse.errors import SourceError, UsageError
from streamfuse.frames import DropCause, ImageSpec, StreamName
from streamfuse.io.av_decode import DamageFilter
from streamfuse.io.av_pixels import from_av, spec_of
from streamfuse.io.cameras.av_connect import Deadline, broken, connect, silent
from streamfuse.io.cameras.av_hardware import accelerator
from streamfuse.io.cameras.av_times import StreamTimes
from streamfuse.io.source import SourceFrame, SourceInfo
from streamfuse.io.sources import redact

__all__ = ["NetworkSource"]

_DEFAULT_FPS = 25.0
_LIKELY_FPS = (1.0, 240.0)


class NetworkSource:
    """The first video stream of a sender on the network.

    Opening comes back after ``timeout_s`` with the first good picture or an error, and so does each
    read. Damaged pictures are not delivered, nor those up to the next key frame; the next good frame
    tells how many were lost. Two things no decoder tells: a flipped bit that makes another
    valid picture, and, over UDP, the loss of a picture that was a single packet.

    The stamp of a frame is the camera's UTC from the first RTCP sender report on, and before that,
    and of senders without one, its presentation time.

    Args:
        config: The stream's block of the pipeline file.
        stream: Which stream of the pair it is.

    Raises:
        SourceError: no answer, no video, or no whole picture within ``timeout_s``.
        UsageError: a protocol, an option or a decoder that this machine does not have.
    """

    def __init__(self, config: SourceConfig, *, stream: StreamName) -> None:
        self._config = config
        self._label = f"{stream}: {redact(config.uri)}"
        self._first: SourceFrame | None = None
        self._told = 0
        self._came = False
        self._damage = DamageFilter(live=True)
        hwaccel = accelerator(config.decode, label=self._label)
        self._deadline = Deadline(config.timeout_s, clock=SystemClock())
        self._container = connect(config, label=self._label, deadline=self._deadline, hwaccel=hwaccel)
        try:
            self._begin()
        except (SourceError, UsageError):
            self.close()
            raise

    @property
    def info(self) -> SourceInfo:
        """Spec of the first picture; the rate as the stream tells it, or as FFmpeg measured it."""
        return self._info

    def read(self) -> SourceFrame | None:
        """The next good frame; a stream on the network has no end that is not an error.

        Raises:
            SourceError: nothing whole came within ``timeout_s``, the sender ended the stream or the
                connection broke, or the picture has another size or form than the first.
        """
        if self._first is not None:
            frame, self._first = self._first, None
            return frame
        self._deadline.restart()
        self._came = False
        picture = next(self._pictures)
        spec = self._spec(picture)
        if spec != self._info.spec:
            raise SourceError(
                f"{self._label}: the picture changed from {_words(self._info.spec)} to {_words(spec)}"
            )
        return self._frame(picture, spec)

    def skip(self, count: int) -> None:
        """A live stream has no past to skip."""

    def close(self) -> None:
        """Leave the sender; may be called twice."""
        self._container.close()

    def _begin(self) -> None:
        """Set up decoding and wait for the first good picture."""
        self._stream = self._container.streams.video[0]
        decoder = self._stream.codec_context
        if self._config.decode in {"cuda", "vaapi"} and not decoder.is_hwaccel:
            raise UsageError(
                f"{self._label}: decode: {self._config.decode} cannot decode {decoder.name}; use decode: auto"
            )
        # One thread: threads over frames hold back as many frames, and with threads over slices
        # FFmpeg's H.264 decoder does not flag damage.
        decoder.thread_count = 1
        decoder.flags |= av.codec.context.Flags.low_delay
        fps = self._fps()
        time_base = self._stream.time_base or Fraction(1, 90_000)
        self._times = StreamTimes(time_base=time_base, fps=fps, max_gap_s=self._config.timeout_s)
        self._pictures = self._run()
        picture = next(self._pictures)
        self._told = self._damage.damaged  # what came before the first key frame is not ours
        spec = self._spec(picture)
        self._info = SourceInfo(spec=spec, fps=fps, frame_count=None, live=True)
        self._first = self._frame(picture, spec)

    def _run(self) -> Iterator[av.VideoFrame]:
        """Good pictures, until an error."""
        ended = False
        while not ended:
            packet = self._packet()
            ended = packet.size == 0  # PyAV's sign of the end; it makes the decoder give its last pictures
            self._times.see(packet)
            try:
                yield from self._damage.good(packet)
            except av.FFmpegError as error:
                raise self._broken(error) from None
        raise self._broken(None)

    def _packet(self) -> Packet[VideoStream]:
        try:
            # A generator for each packet, because PyAV asks for the time-out once in each.
            packet = next(self._container.demux(self._stream))
        except (av.FFmpegError, OSError) as error:
            raise (self._late() if self._deadline.is_over else self._broken(error)) from None
        # At a time-out FFmpeg first gives what its parser still held, so that a packet proves nothing.
        if self._deadline.is_over:
            raise self._late()
        self._came = True
        return packet

    def _late(self) -> SourceError:
        timeout_s = self._config.timeout_s
        if not self._came:
            return silent(label=self._label, timeout_s=timeout_s)
        return SourceError(
            f"{self._label}: data came, but no whole picture for {timeout_s:g} s; raise timeout_s if key "
            "frames are further apart, or mend the network"
        )

    def _broken(self, error: Exception | None) -> SourceError:
        return broken(error, label=self._label, timeout_s=self._config.timeout_s)

    def _frame(self, picture: av.VideoFrame, spec: ImageSpec) -> SourceFrame:
        pts_ns, stamp = self._times.of(picture)
        damaged, self._told = self._damage.damaged - self._told, self._damage.damaged
        lost = {DropCause.CORRUPT: damaged} if damaged else {}
        return SourceFrame(image=from_av(picture, spec), pts_ns=pts_ns, stamp=stamp, lost=lost)

    def _fps(self) -> float:
        """The rate that the stream tells or shows; a nonsense one counts as none."""
        low, high = _LIKELY_FPS
        rates = (self._stream.average_rate, self._stream.guessed_rate, self._config.fps)
        return next((float(rate) for rate in rates if rate and low <= rate <= high), _DEFAULT_FPS)

    def _spec(self, picture: av.VideoFrame) -> ImageSpec:
        try:
            return spec_of(picture)
        except ValueError as error:
            raise SourceError(
                f"{self._label}: the picture is {picture.width}x{picture.height} and 4:2:0 video needs even "
                "sides; set the camera to another size"
            ) from error


def _words(spec: ImageSpec) -> str:
    width, height = spec.size_wh
    return f"{width}x{height} {spec.format}"
