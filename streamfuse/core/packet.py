"""The messages of a capture node to its consumers: frames whose pixels ride along.

A frame travels as two parts, the bytes of a :class:`FramePacket` and the payload that it describes. The
consumer grants with the :class:`~streamfuse.core.wire.Grant` of the local bus, and an
:class:`~streamfuse.core.wire.EndOfStream` is the node's last word. Nothing that a packet declares exceeds
:data:`PICTURE_MAX_BYTES` and :func:`payload_max`, so a receiver knows its memory before it takes any.
"""

from __future__ import annotations

import enum
import math
import struct
import zlib
from dataclasses import dataclass

from streamfuse.core.layout import (
    CHANNELS,
    I64_MAX,
    U32_MAX,
    U64_MAX,
    Channel,
    check,
    kind_of,
    member,
    pack,
    spec_codes,
    spec_of_codes,
    unpack,
)
from streamfuse.core.wire import KIND_END, EndOfStream, decode, encode
from streamfuse.errors import BusError
from streamfuse.frames import ImageSpec

__all__ = [
    "PAYLOAD_MAX_BYTES",
    "PICTURE_MAX_BYTES",
    "SIDE_MAX",
    "CameraAway",
    "Codec",
    "FramePacket",
    "NodeMessage",
    "check_payload",
    "decode_node",
    "encode_node",
    "payload_max",
]

SIDE_MAX = 16_384
"""No picture is wider or higher than this."""
PICTURE_MAX_BYTES = 64 * 2**20
"""No picture has more bytes of samples than this: 8K in 4:2:0 has 48 MiB."""
_OVERHEAD_BYTES = 65_536


def payload_max(spec: ImageSpec) -> int:
    """Most bytes that a frame of ``spec`` may take on the wire, however it is coded.

    Noise does not compress: a lossless coder may need some more than the samples themselves.
    """
    return spec.nbytes + spec.nbytes // 2 + _OVERHEAD_BYTES


PAYLOAD_MAX_BYTES = PICTURE_MAX_BYTES + PICTURE_MAX_BYTES // 2 + _OVERHEAD_BYTES
"""No payload is longer than this."""

_PACKET = struct.Struct("<4B 2B QQQQ qqq II d II")
"""stream, format, range, matrix; codec, flags; node, ordinal, seq, dropped; pts, capture, arrival ns; w, h;
fps; payload bytes, their CRC-32."""
_AWAY = struct.Struct("<B QQ")
"""stream; node, captured."""
_KEY_FLAG, _SHUTTER_FLAG = 1, 2


class Codec(enum.StrEnum):
    """How the samples of a frame are coded on the wire."""

    NONE = "none"
    """The planes back to back, as they are."""
    JPEG = "jpeg"
    """Each frame alone, lossy; 8-bit only."""
    H264 = "h264"
    """Video, lossy; 8-bit only."""
    LOSSLESS = "lossless"
    """Each frame alone, to the bit; 8 and 16 bits (FFV1)."""


_CODECS = (Codec.NONE, Codec.JPEG, Codec.H264, Codec.LOSSLESS)


@dataclass(frozen=True, slots=True, kw_only=True)
class FramePacket:
    """A frame on its way between hosts: everything but its payload.

    Raises:
        ValueError: a number does not fit its field, or the picture or payload is larger than allowed.
    """

    stream: Channel
    spec: ImageSpec
    codec: Codec
    is_key: bool
    """It can be decoded without those before it."""
    node: int
    """Random number of this life of the node: ``seq`` begins anew with each."""
    ordinal: int
    """Which packet to this consumer it is, from 1."""
    seq: int
    """Number of the frame among all that the node's camera gave, from 0: a gap is frames that never came."""
    dropped: int
    """Frames that the node has dropped for this consumer since it joined."""
    pts_ns: int
    capture_ns: int
    """When the scene was seen, by the node's monotonic clock."""
    arrival_ns: int
    """When the frame reached the node, by the same clock."""
    fps: float
    """Nominal frames per second of the node's camera."""
    payload_nbytes: int
    payload_crc: int
    """CRC-32 of the payload."""
    shutter_closed: bool = False
    """The camera says that it repeats an old image while it corrects itself (FFC)."""

    def __post_init__(self) -> None:
        for name in ("node", "seq", "dropped"):
            check(name, getattr(self, name), 0, U64_MAX)
        check("ordinal", self.ordinal, 1, U64_MAX)
        for name in ("pts_ns", "capture_ns", "arrival_ns"):
            check(name, getattr(self, name), -I64_MAX - 1, I64_MAX)
        check("width", self.spec.size_wh[0], 1, SIDE_MAX)
        check("height", self.spec.size_wh[1], 1, SIDE_MAX)
        check("bytes of the picture", self.spec.nbytes, 1, PICTURE_MAX_BYTES)
        low, high = 1, payload_max(self.spec)
        if self.codec is Codec.NONE:
            low = high = self.spec.nbytes
        check("payload_nbytes", self.payload_nbytes, low, high)
        check("payload_crc", self.payload_crc, 0, U32_MAX)
        if not (math.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"fps must be a positive number, got {self.fps}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraAway:
    """The node is there, but it has no camera at the moment; repeated while that lasts."""

    stream: Channel
    node: int
    captured: int
    """Frames that its camera has given so far."""

    def __post_init__(self) -> None:
        check("node", self.node, 0, U64_MAX)
        check("captured", self.captured, 0, U64_MAX)


NodeMessage = FramePacket | CameraAway | EndOfStream

_KIND_PACKET, _KIND_AWAY = 4, 5
_BODIES = {_KIND_PACKET: _PACKET, _KIND_AWAY: _AWAY}


def encode_node(message: NodeMessage) -> bytes:
    """The bytes of a message."""
    if isinstance(message, FramePacket):
        return pack(_KIND_PACKET, _pack_packet(message))
    if isinstance(message, CameraAway):
        return pack(_KIND_AWAY, _AWAY.pack(CHANNELS.index(message.stream), message.node, message.captured))
    return encode(message)


def decode_node(data: bytes) -> NodeMessage:
    """The message in ``data``, the first part of what a node sent.

    Raises:
        BusError: anything but one whole message of this version; it says got versus expected.
    """
    if kind_of(data) == KIND_END:
        end = decode(data)
        assert isinstance(end, EndOfStream)  # what this kind decodes to
        return end
    kind, fields = unpack(data, _BODIES)
    try:
        if kind == _KIND_AWAY:
            stream, node, captured = fields
            return CameraAway(stream=member(CHANNELS, stream), node=node, captured=captured)
        return _unpack_packet(fields)
    except ValueError as error:
        raise BusError(f"a message on the bus makes no sense: {error}") from error


def check_payload(packet: FramePacket, payload: bytes) -> None:
    """Make sure that ``payload`` is what ``packet`` describes.

    Raises:
        BusError: another length, or damaged on the way.
    """
    if len(payload) != packet.payload_nbytes:
        raise BusError(
            f"{packet.stream}: a frame of {packet.payload_nbytes} bytes was announced, got {len(payload)}"
        )
    crc = zlib.crc32(payload)
    if crc != packet.payload_crc:
        raise BusError(
            f"{packet.stream}: a frame was damaged on the way, its CRC is {crc:08x}, "
            f"expected {packet.payload_crc:08x}"
        )


def _pack_packet(packet: FramePacket) -> bytes:
    return _PACKET.pack(
        CHANNELS.index(packet.stream),
        *spec_codes(packet.spec),
        _CODECS.index(packet.codec),
        _KEY_FLAG * packet.is_key | _SHUTTER_FLAG * packet.shutter_closed,
        packet.node,
        packet.ordinal,
        packet.seq,
        packet.dropped,
        packet.pts_ns,
        packet.capture_ns,
        packet.arrival_ns,
        *packet.spec.size_wh,
        packet.fps,
        packet.payload_nbytes,
        packet.payload_crc,
    )


def _unpack_packet(fields: tuple[int, ...]) -> FramePacket:
    stream, format_, range_, matrix, codec, flags, node, ordinal, seq, dropped = fields[:10]
    pts_ns, capture_ns, arrival_ns, width, height, fps, payload_nbytes, payload_crc = fields[10:]
    check("flags", flags, 0, _KEY_FLAG | _SHUTTER_FLAG)
    return FramePacket(
        stream=member(CHANNELS, stream),
        spec=spec_of_codes((format_, range_, matrix), (width, height)),
        codec=member(_CODECS, codec),
        is_key=bool(flags & _KEY_FLAG),
        node=node,
        ordinal=ordinal,
        seq=seq,
        dropped=dropped,
        pts_ns=pts_ns,
        capture_ns=capture_ns,
        arrival_ns=arrival_ns,
        fps=fps,
        payload_nbytes=payload_nbytes,
        payload_crc=payload_crc,
        shutter_closed=bool(flags & _SHUTTER_FLAG),
    )
