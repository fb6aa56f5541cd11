"""The messages between the processes of a run: fixed layouts, little endian, a few dozen bytes.

Every message starts with the same eight bytes::

    offset  size  field
    0       4     magic "SFBM"
    4       1     version of the layouts, 1
    5       1     kind: 1 frame, 2 end of stream, 3 grant
    6       2     length of the whole message in bytes

and goes on, without padding, with the fields listed in :data:`_FRAME`, :data:`_END` and :data:`_GRANT`.
Enumerations travel as their position in the tables below, to which members are only ever appended.
Pixels never travel here: a :class:`FrameDescriptor` says in which slot of the ring they lie.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from streamfuse.errors import BusError
from streamfuse.frames import ColorMatrix, ColorRange, ImageSpec, PixelFormat

__all__ = [
    "CONSUMER_MAX_BYTES",
    "MESSAGE_MAX_BYTES",
    "WINDOW_MAX",
    "Channel",
    "EndOfStream",
    "EndReason",
    "FrameDescriptor",
    "Grant",
    "Message",
    "decode",
    "encode",
]

CONSUMER_MAX_BYTES = 32
"""Longest name of a consumer."""
MESSAGE_MAX_BYTES = 200
"""No message is longer than this."""
WINDOW_MAX = 1024
"""Most frames that one consumer may have in its hands."""

_MAGIC = b"SFBM"
_VERSION = 1
_HEAD = struct.Struct("<4sBBH")
_FRAME = struct.Struct("<4B I QQQ qqq III")
"""stream, format, range, matrix; slot; generation, ordinal, seq; pts, capture, arrival ns; w, h, meta."""
_END = struct.Struct("<2B Q")
"""stream, reason; ordinal."""
_GRANT = struct.Struct("<32s Q H Q")
"""consumer, filled up with zero bytes; session; window; consumed."""

_U32_MAX = 2**32 - 1
_U64_MAX = 2**64 - 1
_I64_MAX = 2**63 - 1


class Channel(enum.StrEnum):
    """The streams on the bus: the two of the cameras and what is made of them."""

    VISIBLE = "visible"
    INFRARED = "infrared"
    FUSED = "fused"


class EndReason(enum.StrEnum):
    """Why a stream came to its end."""

    FINISHED = "finished"
    """The source has no more frames."""
    STOPPED = "stopped"
    """Somebody asked it to stop."""
    FAILED = "failed"
    """The source broke and will not come back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameDescriptor:
    """Where the pixels of one frame lie, and when the frame was taken.

    Raises:
        ValueError: a number does not fit its field.
    """

    stream: Channel
    slot: int
    generation: int
    """What the slot's generation counter reads while the slot holds this frame."""
    ordinal: int
    """Which descriptor to this consumer it is, from 1; restarts of either side do not reset it."""
    seq: int
    """Running number of the frame in its stream, from 0."""
    pts_ns: int
    capture_ns: int
    arrival_ns: int
    spec: ImageSpec
    meta_nbytes: int = 0
    """Length of the second part of the message, whose content the bus does not look at."""

    def __post_init__(self) -> None:
        _check("slot", self.slot, 0, _U32_MAX)
        _check("generation", self.generation, 0, _U64_MAX)
        _check("ordinal", self.ordinal, 1, _U64_MAX)
        _check("seq", self.seq, 0, _U64_MAX)
        for name in ("pts_ns", "capture_ns", "arrival_ns"):
            _check(name, getattr(self, name), -_I64_MAX - 1, _I64_MAX)
        _check("width", self.spec.size_wh[0], 1, _U32_MAX)
        _check("height", self.spec.size_wh[1], 1, _U32_MAX)
        _check("meta_nbytes", self.meta_nbytes, 0, _U32_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndOfStream:
    """The producer's last word to a consumer."""

    stream: Channel
    ordinal: int
    """Ordinal of the last descriptor that was sent to this consumer, 0 when there was none."""
    reason: EndReason

    def __post_init__(self) -> None:
        _check("ordinal", self.ordinal, 0, _U64_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a consumer is ready to take. It states, it does not add: repeating one changes nothing.

    Raises:
        ValueError: the name is not 1..32 printable ASCII characters, or a number does not fit.
    """

    consumer: str
    session: int
    """Random number of this life of the consumer, so that its restart is noticed."""
    window: int
    """Most descriptors it wants in its hands at a time; 0 says goodbye."""
    consumed: int
    """Every descriptor up to this ordinal is finished, or will never be looked at."""

    def __post_init__(self) -> None:
        name = self.consumer
        if not (name.isascii() and name.isprintable() and 1 <= len(name) <= CONSUMER_MAX_BYTES):
            raise ValueError(f"consumer must be 1..{CONSUMER_MAX_BYTES} printable ASCII bytes, got {name!r}")
        _check("session", self.session, 0, _U64_MAX)
        _check("window", self.window, 0, WINDOW_MAX)
        _check("consumed", self.consumed, 0, _U64_MAX)


Message = FrameDescriptor | EndOfStream | Grant

_CHANNELS = (Channel.VISIBLE, Channel.INFRARED, Channel.FUSED)
_FORMATS = (PixelFormat.GRAY8, PixelFormat.GRAY16, PixelFormat.YUV420P, PixelFormat.RGB24)
_RANGES = (ColorRange.LIMITED, ColorRange.FULL)
_MATRICES = (ColorMatrix.BT601, ColorMatrix.BT709)
_REASONS = (EndReason.FINISHED, EndReason.STOPPED, EndReason.FAILED)

_KIND_FRAME, _KIND_END, _KIND_GRANT = 1, 2, 3
_BODIES = {_KIND_FRAME: _FRAME, _KIND_END: _END, _KIND_GRANT: _GRANT}


def encode(message: Message) -> bytes:
    """The bytes of a message, at most :data:`MESSAGE_MAX_BYTES`."""
    match message:
        case FrameDescriptor():
            kind, body = _KIND_FRAME, _pack_frame(message)
        case EndOfStream():
            codes = (_CHANNELS.index(message.stream), _REASONS.index(message.reason))
            kind, body = _KIND_END, _END.pack(*codes, message.ordinal)
        case Grant():
            numbers = (message.session, message.window, message.consumed)
            kind, body = _KIND_GRANT, _GRANT.pack(message.consumer.encode("ascii"), *numbers)
    return _HEAD.pack(_MAGIC, _VERSION, kind, _HEAD.size + len(body)) + body


def decode(data: bytes) -> Message:
    """The message in ``data``.

    Raises:
        BusError: anything but one whole message of this version; it says got versus expected.
    """
    kind = _check_head(data)
    fields = _BODIES[kind].unpack_from(data, _HEAD.size)
    try:
        if kind == _KIND_FRAME:
            return _unpack_frame(fields)
        if kind == _KIND_END:
            stream, reason, ordinal = fields
            return EndOfStream(
                stream=_member(_CHANNELS, stream), ordinal=ordinal, reason=_member(_REASONS, reason)
            )
        name, session, window, consumed = fields
        consumer = name.rstrip(b"\0").decode("latin-1")  # what is not ASCII is refused by Grant
        return Grant(consumer=consumer, session=session, window=window, consumed=consumed)
    except ValueError as error:
        raise BusError(f"a message on the bus makes no sense: {error}") from error


def _check_head(data: bytes) -> int:
    """The kind of message that ``data`` is, after everything about its header was found right."""
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
    if kind not in _BODIES:
        raise BusError(f"a message on the bus has kind {kind}, expected one of {sorted(_BODIES)}")
    expected = _HEAD.size + _BODIES[kind].size
    if not length == len(data) == expected:
        raise BusError(
            f"a message of kind {kind} has {len(data)} bytes and says {length}, expected {expected} for both"
        )
    return int(kind)


def _pack_frame(frame: FrameDescriptor) -> bytes:
    spec = frame.spec
    return _FRAME.pack(
        _CHANNELS.index(frame.stream),
        _FORMATS.index(spec.format),
        _RANGES.index(spec.range),
        _MATRICES.index(spec.matrix),
        frame.slot,
        frame.generation,
        frame.ordinal,
        frame.seq,
        frame.pts_ns,
        frame.capture_ns,
        frame.arrival_ns,
        *spec.size_wh,
        frame.meta_nbytes,
    )


def _unpack_frame(fields: tuple[int, ...]) -> FrameDescriptor:
    stream, format_, range_, matrix, slot, generation, ordinal, seq = fields[:8]
    pts_ns, capture_ns, arrival_ns, width, height, meta_nbytes = fields[8:]
    return FrameDescriptor(
        stream=_member(_CHANNELS, stream),
        slot=slot,
        generation=generation,
        ordinal=ordinal,
        seq=seq,
        pts_ns=pts_ns,
        capture_ns=capture_ns,
        arrival_ns=arrival_ns,
        spec=ImageSpec(
            format=_member(_FORMATS, format_),
            size_wh=(width, height),
            range=_member(_RANGES, range_),
            matrix=_member(_MATRICES, matrix),
        ),
        meta_nbytes=meta_nbytes,
    )


_E = TypeVar("_E", bound=enum.StrEnum)


def _member(table: Sequence[_E], code: int) -> _E:
    if code >= len(table):
        raise ValueError(f"{type(table[0]).__name__} code must be 0..{len(table) - 1}, got {code}")
    return table[code]


def _check(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} must be within {low}..{high}, got {value}")
