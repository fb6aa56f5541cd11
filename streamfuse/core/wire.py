"""The messages between the processes of a run: fixed layouts, a few dozen bytes.

How a message begins is in :mod:`streamfuse.core.layout`; the fields of the kinds in here are listed in
:data:`_FRAME`, :data:`_END` and :data:`_GRANT`. Pixels never travel here: a :class:`FrameDescriptor` says in
which slot of the ring they lie. (Beyond one host they ride along: :mod:`streamfuse.core.packet`.)
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

from streamfuse.core.layout import (
    CHANNELS,
    I64_MAX,
    U32_MAX,
    U64_MAX,
    Channel,
    check,
    member,
    pack,
    spec_codes,
    spec_of_codes,
    unpack,
)
from streamfuse.errors import BusError
from streamfuse.frames import ImageSpec

__all__ = [
    "CONSUMER_MAX_BYTES",
    "KIND_END",
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

_FRAME = struct.Struct("<4B I QQQ qqq III")
"""stream, format, range, matrix; slot; generation, ordinal, seq; pts, capture, arrival ns; w, h, meta."""
_END = struct.Struct("<2B Q")
"""stream, reason; ordinal."""
_GRANT = struct.Struct("<32s Q H Q")
"""consumer, filled up with zero bytes; session; window; consumed."""


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
        check("slot", self.slot, 0, U32_MAX)
        check("generation", self.generation, 0, U64_MAX)
        check("ordinal", self.ordinal, 1, U64_MAX)
        check("seq", self.seq, 0, U64_MAX)
        for name in ("pts_ns", "capture_ns", "arrival_ns"):
            check(name, getattr(self, name), -I64_MAX - 1, I64_MAX)
        check("width", self.spec.size_wh[0], 1, U32_MAX)
        check("height", self.spec.size_wh[1], 1, U32_MAX)
        check("meta_nbytes", self.meta_nbytes, 0, U32_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndOfStream:
    """The producer's last word to a consumer."""

    stream: Channel
    ordinal: int
    """Ordinal of the last descriptor that was sent to this consumer, 0 when there was none."""
    reason: EndReason

    def __post_init__(self) -> None:
        check("ordinal", self.ordinal, 0, U64_MAX)


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
        check("session", self.session, 0, U64_MAX)
        check("window", self.window, 0, WINDOW_MAX)
        check("consumed", self.consumed, 0, U64_MAX)


Message = FrameDescriptor | EndOfStream | Grant

_REASONS = (EndReason.FINISHED, EndReason.STOPPED, EndReason.FAILED)

KIND_END = 2
"""What :func:`~streamfuse.core.layout.kind_of` says of an end of stream."""
_KIND_FRAME, _KIND_GRANT = 1, 3
_BODIES = {_KIND_FRAME: _FRAME, KIND_END: _END, _KIND_GRANT: _GRANT}


def encode(message: Message) -> bytes:
    """The bytes of a message, at most :data:`MESSAGE_MAX_BYTES`."""
    match message:
        case FrameDescriptor():
            return pack(_KIND_FRAME, _pack_frame(message))
        case EndOfStream():
            codes = (CHANNELS.index(message.stream), _REASONS.index(message.reason))
            return pack(KIND_END, _END.pack(*codes, message.ordinal))
        case Grant():
            numbers = (message.session, message.window, message.consumed)
            return pack(_KIND_GRANT, _GRANT.pack(message.consumer.encode("ascii"), *numbers))


def decode(data: bytes) -> Message:
    """The message in ``data``.

    Raises:
        BusError: anything but one whole message of this version; it says got versus expected.
    """
    kind, fields = unpack(data, _BODIES)
    try:
        if kind == _KIND_FRAME:
            return _unpack_frame(fields)
        if kind == KIND_END:
            stream, reason, ordinal = fields
            return EndOfStream(
                stream=member(CHANNELS, stream), ordinal=ordinal, reason=member(_REASONS, reason)
            )
        name, session, window, consumed = fields
        consumer = name.rstrip(b"\0").decode("latin-1")  # what is not ASCII is refused by Grant
        return Grant(consumer=consumer, session=session, window=window, consumed=consumed)
    except ValueError as error:
        raise BusError(f"a message on the bus makes no sense: {error}") from error


def _pack_frame(frame: FrameDescriptor) -> bytes:
    return _FRAME.pack(
        CHANNELS.index(frame.stream),
        *spec_codes(frame.spec),
        frame.slot,
        frame.generation,
        frame.ordinal,
        frame.seq,
        frame.pts_ns,
        frame.capture_ns,
        frame.arrival_ns,
        *frame.spec.size_wh,
        frame.meta_nbytes,
    )


def _unpack_frame(fields: tuple[int, ...]) -> FrameDescriptor:
    stream, format_, range_, matrix, slot, generation, ordinal, seq = fields[:8]
    pts_ns, capture_ns, arrival_ns, width, height, meta_nbytes = fields[8:]
    return FrameDescriptor(
        stream=member(CHANNELS, stream),
        slot=slot,
        generation=generation,
        ordinal=ordinal,
        seq=seq,
        pts_ns=pts_ns,
        capture_ns=capture_ns,
        arrival_ns=arrival_ns,
        spec=spec_of_codes((format_, range_, matrix), (width, height)),
        meta_nbytes=meta_nbytes,
    )
