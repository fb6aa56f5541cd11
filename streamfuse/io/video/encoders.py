"""Which video encoder works on this machine, found by encoding a picture with it."""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Final

import av
import numpy as np
from av.codec.codec import UnknownCodecError
from av.codec.hwaccel import HWAccel
from av.video.stream import VideoStream

from streamfuse.errors import MachineError
from streamfuse.frames import Image, ImageSpec, PixelFormat
from streamfuse.io.av_pixels import tag
from streamfuse.io.video.pixels import frame_of, pixels_of
from streamfuse.io.video.priority import ordinary_priority

__all__ = ["LOSSLESS", "TICK", "EncoderChoice", "open_encoder", "pick_encoder"]

LOSSLESS: Final = "ffv1"
"""The encoder that keeps every bit, also of 16."""

TICK: Final = Fraction(1, 60_000)
"""Seconds. Exact for all usual rates (29.97 too), and not finer than the 1/65535 s of MPEG-4 Part 2."""

_THREADS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderChoice:
    """An encoder of FFmpeg with the options streamfuse gives it."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    bits_per_pixel: float = 0.0
    """What rules the bit rate; 0 where an option rules the quality instead."""
    hardware: bool = False
    device: str | None = None
    """The device of FFmpeg that pictures must be uploaded to; None: it takes them from memory."""
    absent: str = "not in this FFmpeg"
    """What to say where FFmpeg lacks it."""
    needs: str = ""
    """What to add where it does not open."""

    @property
    def is_lossless(self) -> bool:
        """Whether every bit of every picture is kept."""
        return self.name == LOSSLESS


# By preference. No B-frames and no look-ahead: a frame leaves the encoder when it enters.
_CANDIDATES = (
    EncoderChoice(
        name="h264_nvenc",
        options={"preset": "p4", "tune": "ll", "rc": "vbr", "cq": "23", "forced-idr": "1", "delay": "0"},
        hardware=True,
        needs="an NVIDIA GPU that has an encoder, and its driver",
    ),
    EncoderChoice(
        name="h264_vaapi",
        options={"rc_mode": "CQP", "qp": "22", "async_depth": "1"},
        hardware=True,
        device="vaapi",
        needs="a GPU with VA-API, and the right to use /dev/dri/renderD128",
        absent="not in this FFmpeg, as PyAV's wheels come without VAAPI; build PyAV on the system's FFmpeg",
    ),
    EncoderChoice(
        name="libx264",
        options={"preset": "veryfast", "crf": "20", "tune": "zerolatency", "forced-idr": "1"},
    ),
    EncoderChoice(
        name="libsvtav1",
        options={"preset": "10", "crf": "30", "svtav1-params": f"rtc=1:pred-struct=1:lp={_THREADS}"},
    ),
    EncoderChoice(name="libopenh264", bits_per_pixel=0.15),
    EncoderChoice(name="mpeg4", bits_per_pixel=0.25),
)
_LOSSLESS = EncoderChoice(
    name=LOSSLESS, options={"level": "3", "slices": "4", "slicecrc": "1", "g": "1", "strict": "experimental"}
)
_BY_NAME = MappingProxyType({choice.name: choice for choice in (*_CANDIDATES, _LOSSLESS)})


@functools.cache
def pick_encoder(preferred: str = "auto") -> EncoderChoice:
    """The first encoder that really encodes a picture on this machine; remembered per process.

    Args:
        preferred: ``auto``, ``ffv1`` (lossless), or the name of another FFmpeg video encoder.

    Raises:
        MachineError: none works, or the preferred one does not.
    """
    if preferred == "auto":
        choices = list(_CANDIDATES)
    else:
        choices = [_BY_NAME.get(preferred, EncoderChoice(name=preferred, bits_per_pixel=0.15))]
    refusals = []
    for choice in choices:
        refusal = _try(choice)
        if refusal is None:
            return choice
        refusals.append(f"{choice.name}: {refusal}")
    advice = "set codec to auto" if preferred != "auto" else "install a PyAV with libx264"
    raise MachineError(f"no video encoder works here ({'; '.join(refusals)}); {advice}")


def open_encoder(choice: EncoderChoice, spec: ImageSpec, *, fps: float) -> VideoStream:
    """A running encoder for images of ``spec``.

    It belongs to a container in memory that gets nothing but its header, because PyAV copies what a
    file must know (size, extradata, colours) from stream to stream only.

    Raises:
        av.FFmpegError: it does not open.
        ValueError: it encodes no video.
    """
    if choice.name == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # errors only; it tells standard error its life otherwise
    container = av.open(io.BytesIO(), "w", format="matroska")
    rate = Fraction(fps).limit_denominator(1001)
    device = HWAccel(choice.device, allow_software_fallback=False) if choice.device else None
    stream = container.add_stream(choice.name, rate=rate, options=dict(choice.options), hwaccel=device)
    if not isinstance(stream, VideoStream):
        raise ValueError(f"encodes {stream.type}")  # noqa: TRY004 - a wrong name, not a wrong type
    stream.width, stream.height = spec.size_wh
    stream.pix_fmt = pixels_of(spec, lossless=choice.is_lossless)
    stream.thread_count = _THREADS
    context = stream.codec_context
    if choice.is_lossless:
        context.thread_type = "SLICE"  # threads over frames hold frames back
    else:
        context.gop_size = max(1, round(fps))
        context.max_b_frames = 0
    context.time_base = TICK
    if choice.bits_per_pixel:
        context.bit_rate = round(choice.bits_per_pixel * spec.size_wh[0] * spec.size_wh[1] * fps)
    if spec.format is not PixelFormat.RGB24 or not choice.is_lossless:
        tag(context, spec)
    with ordinary_priority():
        container.start_encoding()
    return stream


def _try(choice: EncoderChoice) -> str | None:
    """Encode one picture; None if that works, otherwise why not."""
    try:
        kind = av.Codec(choice.name, "w").type
    except UnknownCodecError:
        return choice.absent
    if kind != "video":
        return f"encodes {kind}"
    gray = Image.from_gray(np.full((480, 640), 128, np.uint8))  # some hardware refuses small pictures
    frame = frame_of(gray, lossless=choice.is_lossless)
    frame.pts, frame.time_base = 0, TICK
    try:
        stream = open_encoder(choice, gray.spec, fps=30.0)
        packets = [*stream.encode(frame), *stream.encode(None)]
        stream.container.close()
    except (av.FFmpegError, ValueError, RuntimeError, NotImplementedError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return f"{why}; it needs {choice.needs}" if choice.needs else why
    return None if packets else "gave no picture"
