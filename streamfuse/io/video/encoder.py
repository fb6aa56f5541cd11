"""One running video encoder: images in, packets out, each with the time of its image."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from fractions import Fraction

import av
from av.video.frame import PictureType
from av.video.stream import VideoStream

from streamfuse.clock import NS_PER_S
from streamfuse.errors import OutputError
from streamfuse.frames import Image, ImageSpec, PixelFormat
from streamfuse.io.closing import Closing
from streamfuse.io.video.encoders import TICK, EncoderChoice, open_encoder, pick_encoder
from streamfuse.io.video.pixels import frame_of

__all__ = ["KEY_EVERY_S", "VideoEncoder", "VideoPacket", "ticks_of"]

KEY_EVERY_S = 1.0
"""Seconds from one key packet to the next at most, unless asked otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoPacket:
    """One encoded image.

    Raises:
        ValueError: it is empty, or lasts no time.
    """

    data: bytes
    pts_ns: int
    """Time of its image, as it was given to the encoder."""
    duration_ns: int
    """One nominal period: how long the image is shown where no other follows."""
    is_key: bool
    """Whether decoding can begin with it."""

    def __post_init__(self) -> None:
        if not self.data or self.duration_ns <= 0:
            raise ValueError(
                f"a packet needs data and a duration, got {len(self.data)} bytes for {self.duration_ns} ns"
            )


class VideoEncoder(Closing):
    """Encodes a stream of images; it lives across many files, which begin at key packets.

    YUV420P goes to the encoder as it is, with its range and matrix tagged; RGB24 is converted; GRAY8
    becomes luma with neutral chroma. The lossless ``ffv1`` takes all formats as they are, and each of
    its packets is a key. A packet leaves the encoder with the image that goes in.

    Args:
        spec: Of every image.
        fps: Nominal images per second; it rules the bit rate and how long an image is shown.
        codec: As for :func:`streamfuse.io.video.encoders.pick_encoder`.
        key_every_s: Seconds from one key packet to the next at most, at the nominal rate.

    Raises:
        OutputError: odd sides or 16-bit samples, which only ``ffv1`` keeps.
        MachineError: no encoder works.
    """

    def __init__(
        self, spec: ImageSpec, *, fps: float, codec: str = "auto", key_every_s: float = KEY_EVERY_S
    ) -> None:
        if not fps > 0:
            raise ValueError(f"fps must be above 0, got {fps}")
        self._spec = spec
        self._choice = pick_encoder(codec)
        self._check_spec()
        self._period_ns = max(1, round(NS_PER_S / fps))
        self._origin_ns: int | None = None
        self._last_ns = 0
        self._last_tick = -1
        self._next_key_ns = 0
        self._key_every_ns = round(key_every_s * NS_PER_S)
        self._inside_ns: deque[int] = deque()
        try:
            self._stream: VideoStream = open_encoder(self._choice, spec, fps=fps)
        except av.FFmpegError as error:
            raise self._failed(error) from error
        self._is_closed = False

    @property
    def choice(self) -> EncoderChoice:
        """The encoder at work."""
        return self._choice

    @property
    def spec(self) -> ImageSpec:
        """Of every image."""
        return self._spec

    @property
    def template(self) -> VideoStream:
        """What a file must know to hold the packets: codec, size, extradata and colour tags."""
        return self._stream

    def encode(self, image: Image, pts_ns: int, *, key: bool = False) -> list[VideoPacket]:
        """Encode ``image``, which is shown at ``pts_ns``.

        Args:
            image: Its samples are copied.
            pts_ns: In any clock; it rises from image to image.
            key: Whether decoding must be able to begin here. Every ``key_every_s`` that is so anyway.

        Raises:
            ValueError: another spec, a time that does not rise, or a closed encoder.
            OutputError: the encoder failed; begin another one.
        """
        self._check(image, pts_ns)
        frame = frame_of(image, lossless=self._choice.is_lossless)
        frame.pts, frame.time_base = self._tick(pts_ns), TICK
        frame.duration = ticks_of(self._period_ns)
        if key or pts_ns >= self._next_key_ns:
            frame.pict_type = PictureType.I
            # Half a period early, so that rounding does not push the key frame one image further.
            self._next_key_ns = pts_ns + self._key_every_ns - self._period_ns // 2
        self._last_ns = pts_ns
        self._inside_ns.append(pts_ns)
        return self._run(frame)

    def flush(self) -> list[VideoPacket]:
        """The packets that are still inside, which ends the encoder; afterwards there are none.

        Raises:
            OutputError: the encoder failed.
        """
        if self._is_closed:
            return []
        packets = self._run(None)
        self.close()
        return packets

    def close(self) -> None:
        """Give the encoder up with what is inside; may be called twice."""
        self._is_closed = True
        # It and its stream hold each other, and hardware encodes only so many streams at a time.
        self._stream.container.close()

    def _run(self, frame: av.VideoFrame | None) -> list[VideoPacket]:
        try:
            packets = self._stream.encode(frame)
        except av.FFmpegError as error:
            raise self._failed(error) from error
        return [
            VideoPacket(
                data=bytes(packet),
                pts_ns=self._inside_ns.popleft(),  # without B-frames they leave in the order they came
                duration_ns=self._period_ns,
                is_key=packet.is_keyframe,
            )
            for packet in packets
        ]

    def _tick(self, pts_ns: int) -> int:
        """Time since the first image, because MPEG-4 Part 2 cannot begin late."""
        if self._origin_ns is None:
            self._origin_ns = pts_ns
        self._last_tick = max(ticks_of(pts_ns - self._origin_ns), self._last_tick + 1)
        return self._last_tick

    def _check(self, image: Image, pts_ns: int) -> None:
        if self._is_closed:
            raise ValueError("the encoder is closed")
        if image.spec != self._spec:
            raise ValueError(f"images of this encoder are {self._spec}, got {image.spec}")
        if self._origin_ns is not None and pts_ns <= self._last_ns:
            raise ValueError(f"frame times must rise, got {pts_ns} ns after {self._last_ns} ns")
        if self._origin_ns is None:
            self._next_key_ns = pts_ns

    def _check_spec(self) -> None:
        if self._choice.is_lossless:
            return
        if self._spec.format is PixelFormat.GRAY16:
            raise OutputError(
                f"{self._choice.name} holds 8 bits, got 16-bit grey; "
                "record it with codec ffv1, or write images instead"
            )
        width, height = self._spec.size_wh
        if width % 2 or height % 2:
            raise OutputError(
                f"the picture is {width}x{height} and 4:2:0 video needs even sides; "
                f"crop the source to {width - width % 2}x{height - height % 2}, or write images instead"
            )

    def _failed(self, error: av.FFmpegError) -> OutputError:
        width, height = self._spec.size_wh
        return OutputError(
            f"the video encoder {self._choice.name} failed on a picture of {width}x{height} "
            f"({error.strerror}); set codec to another one"
        )


def ticks_of(duration_ns: int) -> int:
    """The nearest number of :data:`~streamfuse.io.video.encoders.TICK`."""
    return round(Fraction(duration_ns, NS_PER_S) / TICK)
