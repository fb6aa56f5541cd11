"""What all messages of the bus have in common: the eight bytes they begin with, and how enumerations travel.

Every message starts with::

    offset  size  field
    0       4     magic "SFBM"
    4       1     version of the layouts, 1
    5       1     kind, see below
    6       2     length of the whole message in bytes

and goes on with the fields of its kind, little endian and without padding. Enumerations travel as their
position in the tables below, to which members are only ever appended.

==== ================= ========================================
kind message           module
==== ================= ========================================
1    FrameDescriptor   :mod:`streamfuse.core.wire`
2    EndOfStream       :mod:`streamfuse.core.wire`
3    Grant             :mod:`streamfuse.core.wire`
4    FramePacket       :mod:`streamfuse.core.packet`
5    CameraAway        :mod:`streamfuse.core.packet`
==== ================= ========================================
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from streamfuse.errors import BusError
from streamfuse.frames import ColorMatrix, ColorRange, ImageSpec, PixelFormat

__all__ = [
    "CHANNELS",
    "I64_MAX",
    "U32_MAX",
    "U64_MAX",
    "Channel",
    "check",
    "kind_of",
    "member",
    "pack",
    "spec_codes",
    "spec_of_codes",
    "unpack",
]

U32_MAX = 2**32 - 1
U64_MAX = 2**64 - 1
I64_MAX = 2**63 - 1

_MAGIC = b"SFBM"
_VERSION = 1
_HEAD = struct.Struct("<4sBBH")


class Channel(enum.StrEnum):
    """The streams on the bus: the two of the cameras and what is made of them."""

    VISIBLE = "visible"
    INFRARED = "infrared"
    FUSED = "fused"


CHANNELS = (Channel.VISIBLE, Channel.INFRARED, Channel.FUSED)
_FORMATS = (PixelFormat.GRAY8, PixelFormat.GRAY16, PixelFormat.YUV420P, PixelFormat.RGB24)
_RANGES = (ColorRange.LIMITED, ColorRange.FULL)
_MATRICES = (ColorMatrix.BT601, ColorMatrix.BT709)


def pack(kind: int, body: bytes) -> bytes:
    """A whole message of ``kind``."""
    return _HEAD.pack(_MAGIC, _VERSION, kind, _HEAD.size + len(body)) + body


def kind_of(data: bytes) -> int | None:
    """The kind that ``data`` says it is, before anything else is checked; None for less than a beginning."""
    return int(_HEAD.unpack_from(data)[2]) if len(data) >= _HEAD.size else None


def unpack(data: bytes, bodies: Mapping[int, struct.Struct]) -> tuple[int, tuple[Any, ...]]:
    """Kind and fields of the message ``data``, which must be of one of the kinds in ``bodies``.

    Raises:
        BusError: anything but one whole message of this version; it says got versus expected.
    """
    if len(data) < _HEAD.size:
        raise BusError(f"a message on the bus has {len(data)} bytes, expected at least {_HEAD.size}")
    magic, version, kind, length = _HEAD.unpack_from(data)
    if magic != _MAGIC:
        raise BusError(f"a message on the bus starts with {magic!r}, expected {_MAGIC!r}")
    if version != _VERSION:
        raise BusError(
            f"a message on the bus has version {version}, expected {_VERSION}: "
            "run the same release of streamfuse on both ends"
        )
    if kind not in bodies:
        raise BusError(f"a message on the bus has kind {kind}, expected one of {sorted(bodies)}")
    expected = _HEAD.size + bodies[kind].size
    if not length == len(data) == expected:
        raise BusError(
            f"a message of kind {kind} has {len(data)} bytes and says {length}, expected {expected} for both"
        )
    return int(kind), bodies[kind].unpack_from(data, _HEAD.size)


def spec_codes(spec: ImageSpec) -> tuple[int, int, int]:
    """Format, range and matrix as they travel."""
    return _FORMATS.index(spec.format), _RANGES.index(spec.range), _MATRICES.index(spec.matrix)


def spec_of_codes(codes: Sequence[int], size_wh: tuple[int, int]) -> ImageSpec:
    """The spec that :func:`spec_codes` described.

    Raises:
        ValueError: an unknown code, or a spec that cannot be.
    """
    format_, range_, matrix = codes
    return ImageSpec(
        format=member(_FORMATS, format_),
        size_wh=size_wh,
        range=member(_RANGES, range_),
        matrix=member(_MATRICES, matrix),
    )


_E = TypeVar("_E", bound=enum.StrEnum)


def member(table: Sequence[_E], code: int) -> _E:
    """The enumeration member that travels as ``code``.

    Raises:
        ValueError: there is none.
    """
    if code >= len(table):
        raise ValueError(f"{type(table[0]).__name__} code must be 0..{len(table) - 1}, got {code}")
    return table[code]


def check(name: str, value: int, low: int, high: int) -> None:
    """Make sure that a number fits its field.

    Raises:
        ValueError: it is outside ``low..high``.
    """
    if not low <= value <= high:
        raise ValueError(f"{name} must be within {low}..{high}, got {value}")
