"""Video writing with PyAV: an encoder that works here, and an MP4 that survives a crash."""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import av
import numpy as np
from av.codec.codec import UnknownCodecError
from av.container import OutputContainer
from av.video.frame import PictureType
from av.video.stream import VideoStream

from streamfuse.clock import NS_PER_S
from streamfuse.errors import MachineError, OutputError
from streamfuse.frames import Image, ImageSpec, PixelFormat
from streamfuse.io.av_pixels import tag, to_av
from streamfuse.io.closing import Closing

__all__ = ["EncoderChoice", "VideoWriter", "pick_encoder"]

# Exact for all usual rates (29.97 too), and not finer than the 1/65535 s that MPEG-4 Part 2 allows.
_TIME_BASE = Fraction(1, 60_000)
_ENCODER_THREADS = 2
# While it is written the file is fragmented: a key frame starts a fragment, and a fragment reaches the
# file when the next one starts. Closing turns it into a common MP4 with an index.
_MP4 = MappingProxyType(
    {"movflags": "hybrid_fragmented+frag_keyframe+empty_moov+default_base_moof", "flush_packets": "1"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderChoice:
    """An encoder of FFmpeg with the options streamfuse gives it."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    bits_per_pixel: float = 0.0
    """What rules the bit rate; 0 where an option rules the quality instead."""
    hardware: bool = False


# By preference. No B-frames and no look-ahead: a frame leaves the encoder when it enters.
_CANDIDATES = (
    EncoderChoice(
        name="h264_nvenc",
        options={"preset": "p4", "tune": "ll", "rc": "vbr", "cq": "23", "forced-idr": "1", "delay": "0"},
        hardware=True,
    ),
    EncoderChoice(
        name="libx264",
        options={"preset": "veryfast", "crf": "20", "tune": "zerolatency", "forced-idr": "1"},
    ),
    EncoderChoice(name="libopenh264", bits_per_pixel=0.15),
    EncoderChoice(name="mpeg4", bits_per_pixel=0.25),
)


@functools.cache
def pick_encoder(preferred: str = "auto") -> EncoderChoice:
    """The first encoder that really encodes a picture on this machine; remembered per process.

    Args:
        preferred: ``auto``, or the name of an FFmpeg video encoder.

    Raises:
        MachineError: none works, or the preferred one does not.
    """
    by_name = {choice.name: choice for choice in _CANDIDATES}
    if preferred == "auto":
        choices = list(_CANDIDATES)
    else:
        choices = [by_name.get(preferred, EncoderChoice(name=preferred, bits_per_pixel=0.15))]
    refusals = []
    for choice in choices:
        refusal = _try(choice)
        if refusal is None:
            return choice
        refusals.append(f"{choice.name}: {refusal}")
    advice = "set codec to auto" if preferred != "auto" else "install a PyAV with libx264"
    raise MachineError(f"no video encoder works here ({'; '.join(refusals)}); {advice}")


class VideoWriter(Closing):
    """Writes one MP4, frame by frame, each at its own time.

    YUV420P goes to the encoder as it is, with its range and matrix tagged; RGB24 is converted;
    GRAY8 becomes luma with neutral chroma. The file is readable while it is written, and a killed
    process costs its last second at most.

    Args:
        path: The file; an older one is overwritten.
        spec: Of every image.
        fps: Nominal frames per second; it rules the bit rate and the length of the last frame.
        codec: As for :func:`pick_encoder`.

    Raises:
        OutputError: odd sides, 16-bit samples, or the file cannot be written.
        MachineError: no encoder works.
    """

    def __init__(self, path: Path, spec: ImageSpec, *, fps: float, codec: str = "auto") -> None:
        self._path = path
        self._spec = spec
        self._period = max(1, round(1 / (fps * _TIME_BASE)))
        self._last_ns = -1
        self._last_pts = -1
        self._next_key = 0
        self._check_spec()
        self._encoder = pick_encoder(codec)
        self._container: OutputContainer | None = None
        try:
            # Our own file: PyAV leaves its own open when the header cannot be written.
            self._file = path.open("wb")
            self._container = av.open(self._file, "w", format="mp4", options=dict(_MP4))
            self._stream = _add_stream(self._container, self._encoder, spec, fps)
            self._container.start_encoding()
            self._file.flush()
        except (av.FFmpegError, OSError) as error:
            raise self._failed(error) from error

    @property
    def encoder(self) -> EncoderChoice:
        """The encoder at work."""
        return self._encoder

    def write(self, image: Image, pts_ns: int) -> None:
        """Encode ``image``, to be shown ``pts_ns`` after the start of the file.

        Raises:
            ValueError: another spec, a time that does not rise, or a closed writer.
            OutputError: the file cannot be written on, for example because the disk is full.
        """
        if self._container is None:
            raise ValueError(f"{self._path} is closed")
        if image.spec != self._spec:
            raise ValueError(f"frames of this file are {self._spec}, got {image.spec}")
        if pts_ns <= self._last_ns:
            raise ValueError(f"frame times must rise from 0 ns, got {pts_ns} after {self._last_ns}")
        pts = max(round(Fraction(pts_ns, NS_PER_S) / _TIME_BASE), self._last_pts + 1)
        frame = to_av(image)
        frame.pts, frame.time_base, frame.duration = pts, _TIME_BASE, self._period
        if pts >= self._next_key:
            frame.pict_type = PictureType.I
            # Half a period early, so that rounding does not push the key frame one frame further.
            self._next_key = pts + _TIME_BASE.denominator - self._period // 2
        try:
            self._container.mux(self._stream.encode(frame))
            self._file.flush()
        except (av.FFmpegError, OSError) as error:
            raise self._failed(error) from error
        self._last_ns, self._last_pts = pts_ns, pts

    def close(self) -> None:
        """Finish the file; may be called twice.

        Raises:
            OutputError: the rest cannot be written.
        """
        if self._container is None:
            return
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
            self._file.close()
        except (av.FFmpegError, OSError) as error:
            raise self._failed(error) from error
        self._container = None

    def _check_spec(self) -> None:
        width, height = self._spec.size_wh
        if width % 2 or height % 2:
            raise OutputError(
                f"{self._path}: the picture is {width}x{height} and 4:2:0 video needs even sides; "
                f"crop the source to {width - width % 2}x{height - height % 2}, or write images instead"
            )
        if self._spec.format is PixelFormat.GRAY16:
            raise OutputError(
                f"{self._path}: H.264 video holds 8 bits, got 16-bit grey; write images instead"
            )

    def _failed(self, error: av.FFmpegError | OSError) -> OutputError:
        """Give the file up, keep what is on disk, and say what happened."""
        container, self._container = self._container, None
        if container is not None:
            # The same trouble again, which the caller is about to hear of.
            with contextlib.suppress(av.FFmpegError, OSError):
                container.close()
            with contextlib.suppress(OSError):
                self._file.close()
        return OutputError(
            f"{self._path}: cannot be written ({error.strerror}); "
            "check the folder, its rights and the free space"
        )


def _add_stream(
    container: OutputContainer, encoder: EncoderChoice, spec: ImageSpec, fps: float
) -> VideoStream:
    rate = Fraction(fps).limit_denominator(1001)
    stream = container.add_stream(encoder.name, rate=rate, options=dict(encoder.options))
    assert isinstance(stream, VideoStream)
    stream.width, stream.height = spec.size_wh
    stream.pix_fmt = "yuv420p"
    stream.thread_count = _ENCODER_THREADS
    context = stream.codec_context
    context.time_base = _TIME_BASE
    context.gop_size = max(1, round(fps))
    context.max_b_frames = 0
    if encoder.bits_per_pixel:
        context.bit_rate = round(encoder.bits_per_pixel * spec.size_wh[0] * spec.size_wh[1] * fps)
    tag(context, spec)
    return stream


def _try(encoder: EncoderChoice) -> str | None:
    """Encode one picture into memory; None if that works, otherwise why not."""
    try:
        kind = av.Codec(encoder.name, "w").type
    except UnknownCodecError:
        return "not in this FFmpeg"
    if kind != "video":
        return f"encodes {kind}"
    gray = Image.from_gray(np.full((480, 640), 128, np.uint8))  # some hardware refuses small pictures
    frame = to_av(gray)
    frame.pts, frame.time_base = 0, _TIME_BASE
    try:
        with av.open(io.BytesIO(), "w", format="mp4", options=dict(_MP4)) as container:
            stream = _add_stream(container, encoder, gray.spec, 30.0)
            packets = [*stream.encode(frame), *stream.encode(None)]
            container.mux(packets)
    except av.FFmpegError as error:
        return error.strerror
    return None if packets else "gave no picture"
