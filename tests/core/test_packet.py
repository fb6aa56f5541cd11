"""The layouts of what a capture node sends."""

import contextlib
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.core.layout import Channel
from streamfuse.core.packet import (
    PAYLOAD_MAX_BYTES,
    PICTURE_MAX_BYTES,
    CameraAway,
    Codec,
    FramePacket,
    NodeMessage,
    check_payload,
    decode_node,
    encode_node,
    payload_max,
)
from streamfuse.core.wire import MESSAGE_MAX_BYTES, EndOfStream, EndReason, decode
from streamfuse.errors import BusError
from streamfuse.frames import ColorMatrix, ImageSpec, PixelFormat

GOLDEN = Path(__file__).parent / "wire_golden"

MESSAGES: dict[str, NodeMessage] = {
    "packet.bin": FramePacket(
        stream=Channel.INFRARED,
        spec=ImageSpec(format=PixelFormat.GRAY16, size_wh=(640, 512)),
        codec=Codec.LOSSLESS,
        is_key=True,
        shutter_closed=True,
        node=0x0102030405060708,
        ordinal=12,
        seq=34,
        dropped=5,
        pts_ns=-7,
        capture_ns=123_456_789_012,
        arrival_ns=123_460_000_000,
        fps=8.7,
        payload_nbytes=98_765,
        payload_crc=0xCAFEF00D,
    ),
    "away.bin": CameraAway(stream=Channel.VISIBLE, node=0x0102030405060708, captured=77),
    "end.bin": EndOfStream(stream=Channel.FUSED, ordinal=99, reason=EndReason.STOPPED),
}

u32 = st.integers(0, 2**32 - 1)
u64 = st.integers(0, 2**64 - 1)
i64 = st.integers(-(2**63), 2**63 - 1)


@st.composite
def packets(draw: st.DrawFn) -> FramePacket:
    """Every packet that may travel."""
    size_wh = (2 * draw(st.integers(1, 2_048)), 2 * draw(st.integers(1, 2_048)))
    spec = ImageSpec(
        format=draw(st.sampled_from(PixelFormat)), size_wh=size_wh, matrix=draw(st.sampled_from(ColorMatrix))
    )
    codec = draw(st.sampled_from(Codec))
    nbytes = spec.nbytes if codec is Codec.NONE else draw(st.integers(1, payload_max(spec)))
    return FramePacket(
        stream=draw(st.sampled_from(Channel)),
        spec=spec,
        codec=codec,
        is_key=draw(st.booleans()),
        shutter_closed=draw(st.booleans()),
        node=draw(u64),
        ordinal=draw(st.integers(1, 2**64 - 1)),
        seq=draw(u64),
        dropped=draw(u64),
        pts_ns=draw(i64),
        capture_ns=draw(i64),
        arrival_ns=draw(i64),
        fps=draw(st.floats(1e-3, 1e4)),
        payload_nbytes=nbytes,
        payload_crc=draw(u32),
    )


messages = st.one_of(
    packets(),
    st.builds(CameraAway, stream=st.sampled_from(Channel), node=u64, captured=u64),
    st.builds(EndOfStream, stream=st.sampled_from(Channel), ordinal=u64, reason=st.sampled_from(EndReason)),
)


@given(messages)
def test_what_a_node_says_is_what_is_heard(message: NodeMessage) -> None:
    """Every message survives the way over the wire and is short."""
    data = encode_node(message)
    assert len(data) <= MESSAGE_MAX_BYTES
    assert decode_node(data) == message


@pytest.mark.parametrize("name", MESSAGES)
def test_golden_node_packets_are_read_and_written_to_the_byte(name: str) -> None:
    """The layouts are those that earlier releases put on the wire."""
    packet = (GOLDEN / name).read_bytes()
    assert decode_node(packet) == MESSAGES[name]
    assert encode_node(MESSAGES[name]) == packet


def test_the_messages_of_a_node_are_no_messages_of_the_local_bus() -> None:
    """A consumer that was connected to the wrong thing is told so, and the other way round."""
    with pytest.raises(BusError, match=r"kind 4, expected one of \[1, 2, 3\]"):
        decode((GOLDEN / "packet.bin").read_bytes())
    with pytest.raises(BusError, match=r"kind 1, expected one of \[4, 5\]"):
        decode_node((GOLDEN / "frame.bin").read_bytes())


@given(messages, st.data())
def test_a_cut_node_message_is_refused(message: NodeMessage, data: st.DataObject) -> None:
    """No beginning of a message is a message, nor is one with something behind it."""
    packet = encode_node(message)
    cut = data.draw(st.integers(0, len(packet) - 1))
    with pytest.raises(BusError, match="bytes"):
        decode_node(packet[:cut])
    with pytest.raises(BusError, match="expected"):
        decode_node(packet + b"\0")


@given(messages, st.data())
def test_a_changed_byte_of_a_node_message_never_ends_in_a_foreign_error(
    message: NodeMessage, data: st.DataObject
) -> None:
    """It is read as another message or refused, and never promises more than may travel."""
    packet = bytearray(encode_node(message))
    packet[data.draw(st.integers(0, len(packet) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BusError):
        read = decode_node(bytes(packet))
        if isinstance(read, FramePacket):
            assert read.spec.nbytes <= PICTURE_MAX_BYTES
            assert read.payload_nbytes <= payload_max(read.spec) <= PAYLOAD_MAX_BYTES


@pytest.mark.parametrize(
    ("offset", "value", "complaint"),
    [
        (4, b"\x02", "version 2, expected 1"),
        (12, b"\x04", r"Codec code must be 0\.\.3, got 4"),
        (13, b"\x04", r"flags must be within 0\.\.3, got 4"),
        (22, bytes(8), "ordinal must be within 1"),
        (70, b"\xff\xff\0\0", r"width must be within 1\.\.16384, got 65535"),
        (70, b"\0\x40\0\0\0\x40\0\0", "bytes of the picture must be within"),
        (78, b"\0\0\0\0\0\0\xf8\x7f", "fps must be a positive number, got nan"),
        (78, b"\0\0\0\0\0\0\0\x80", "fps must be a positive number"),
        (86, b"\xff\xff\xff\xff", "payload_nbytes must be within 1"),
        (86, bytes(4), "payload_nbytes must be within 1"),
    ],
)
def test_a_wrong_field_of_a_packet_is_named(offset: int, value: bytes, complaint: str) -> None:
    """The error says which field is wrong, what it reads and what it may read."""
    packet = bytearray((GOLDEN / "packet.bin").read_bytes())
    packet[offset : offset + len(value)] = value
    with pytest.raises(BusError, match=complaint):
        decode_node(bytes(packet))


def test_raw_samples_have_exactly_their_length() -> None:
    """Without a codec there is one possible length."""
    packet = bytearray((GOLDEN / "packet.bin").read_bytes())
    packet[12] = 0
    with pytest.raises(BusError, match=r"payload_nbytes must be within 655360\.\.655360, got 98765"):
        decode_node(bytes(packet))


@given(st.binary(min_size=1, max_size=64), st.data())
def test_a_payload_is_checked_against_its_packet(payload: bytes, data: st.DataObject) -> None:
    """Another length and any changed bit are found."""
    packet = FramePacket(
        stream=Channel.VISIBLE,
        spec=ImageSpec(format=PixelFormat.GRAY8, size_wh=(8, 8)),
        codec=Codec.JPEG,
        is_key=True,
        node=1,
        ordinal=1,
        seq=0,
        dropped=0,
        pts_ns=0,
        capture_ns=0,
        arrival_ns=0,
        fps=30,
        payload_nbytes=len(payload),
        payload_crc=zlib.crc32(payload),
    )
    check_payload(packet, payload)
    with pytest.raises(BusError, match=f"{len(payload)} bytes was announced, got"):
        check_payload(packet, payload + b"\0")
    bad = bytearray(payload)
    bad[data.draw(st.integers(0, len(bad) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(BusError, match="damaged on the way"):
        check_payload(packet, bytes(bad))
