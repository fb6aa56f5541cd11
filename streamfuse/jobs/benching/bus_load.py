"""What the benchmark of the bus sends: two cameras' frames that carry their number and their time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from streamfuse.core.wire import Channel
from streamfuse.errors import PromiseError
from streamfuse.frames import ColorRange, Image, ImageSpec, PixelFormat

__all__ = ["END", "SPECK", "WINDOW", "Load", "Pixels", "Stamped", "Stream", "noise", "stamp_of", "streams"]

Pixels = npt.NDArray[Any]

END: Final = 2**64 - 1
"""The number of a frame that only says that no more come."""
WINDOW: Final = 4
"""Frames that may be under way to a consumer, for every transport that can be told so."""
_SOURCES: Final = 8
"""Frames that a producer takes turns with: more than any cache holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One camera."""

    name: Channel
    spec: ImageSpec
    fps: float = 60.0

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a frame as one array: the planes of video lie below each other."""
        width, height = self.spec.size_wh
        if self.spec.format is PixelFormat.YUV420P:
            return (height * 3 // 2, width)
        return self.spec.plane_shapes[0]


SPECK: Final = Stream(name=Channel.VISIBLE, spec=ImageSpec(format=PixelFormat.GRAY8, size_wh=(64, 16)))
"""Frames of 1 KiB: what they cost is the price of the transport without the pixels."""


def streams(colour: PixelFormat) -> tuple[Stream, Stream]:
    """A 1920x1080 colour camera and a 640x512 thermal camera of 16 bits, both at 60 frames/s."""
    limited = ColorRange.LIMITED if colour is PixelFormat.YUV420P else ColorRange.FULL
    return (
        Stream(name=Channel.VISIBLE, spec=ImageSpec(format=colour, size_wh=(1920, 1080), range=limited)),
        Stream(name=Channel.INFRARED, spec=ImageSpec(format=PixelFormat.GRAY16, size_wh=(640, 512))),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One measurement: which streams go through which transport, and how."""

    transport: str
    streams: Sequence[Stream]
    seconds: float
    paced: bool
    """At the streams' rate, the newest frame wins; otherwise as fast as the consumer takes them."""
    consumers: int = 1
    """Of each stream."""


class Stamped:
    """A frame that number and time can be written into: its first 16 bytes, the number also its last 8."""

    def __init__(self, stream: Stream, seed: int) -> None:
        top = np.iinfo(stream.spec.dtype).max
        random = np.random.default_rng(seed)
        self.pixels: Pixels = random.integers(0, top, stream.shape, stream.spec.dtype)
        flat = self.pixels.reshape(-1).view(np.uint64)
        self._head, self._tail = flat[:2], flat[-1:]
        self.image = Image.from_buffer(stream.spec, self.pixels.reshape(-1).view(np.uint8).data)

    def stamp(self, seq: int, now_ns: int) -> None:
        """Write both."""
        self._head[0], self._head[1] = seq, now_ns
        self._tail[0] = seq


def noise(stream: Stream) -> list[Stamped]:
    """Frames of noise, not yet stamped."""
    return [Stamped(stream, seed) for seed in range(_SOURCES)]


def stamp_of(planes: Sequence[Pixels]) -> tuple[int, int]:
    """Number and time of a frame that has arrived.

    Raises:
        PromiseError: it is not of one piece.
    """
    head = planes[0].reshape(-1).view(np.uint64)
    tail = planes[-1].reshape(-1).view(np.uint64)
    if head[0] != tail[-1]:
        raise PromiseError(f"frame {head[0]} arrived with the end of frame {tail[-1]}")
    return int(head[0]), int(head[1])
