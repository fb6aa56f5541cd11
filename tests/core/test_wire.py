"""The layouts of the messages on the bus."""

import contextlib
import runpy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.core.wire import (
    MESSAGE_MAX_BYTES,
    Channel,
    EndOfStream,
    EndReason,
    FrameDescriptor,
    Grant,
    Message,
    decode,
    encode,
)
from streamfuse.errors import BusError
from streamfuse.frames import ColorMatrix, ColorRange, ImageSpec, PixelFormat

GOLDEN = Path(__file__).parent / "wire_golden"

MESSAGES: dict[str, Message] = {
    "frame.bin": FrameDescriptor(
        stream=Channel.INFRARED,
        slot=3,
        generation=0x1122334455667788,
        ordinal=41,
        seq=57,
        pts_ns=-1_000_000,
        capture_ns=123_456_789_012,
        arrival_ns=123_460_000_000,
        spec=ImageSpec(
            format=PixelFormat.YUV420P,
            size_wh=(640, 480),
            range=ColorRange.LIMITED,
            matrix=ColorMatrix.BT709,
        ),
        meta_nbytes=17,
    ),
    "end.bin": EndOfStream(stream=Channel.FUSED, ordinal=99, reason=EndReason.STOPPED),
    "grant.bin": Grant(consumer="engine", session=0xFEDCBA9876543210, window=4, consumed=40),
}

u32 = st.integers(1, 2**32 - 1)
u64 = st.integers(1, 2**64 - 1)
i64 = st.integers(-(2**63), 2**63 - 1)
full_range_specs = st.builds(
    lambda kind, half_w, half_h, matrix: ImageSpec(
        format=kind, size_wh=(2 * half_w, 2 * half_h), matrix=matrix
    ),
    st.sampled_from(PixelFormat),
    st.integers(1, 2**31 - 1),
    st.integers(1, 2**31 - 1),
    st.sampled_from(ColorMatrix),
)
names = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=32)
messages = st.one_of(
    st.builds(
        FrameDescriptor,
        stream=st.sampled_from(Channel),
        slot=u32,
        generation=u64,
        ordinal=u64,
        seq=u64,
        pts_ns=i64,
        capture_ns=i64,
        arrival_ns=i64,
        spec=full_range_specs,
        meta_nbytes=u32,
    ),
    st.builds(EndOfStream, stream=st.sampled_from(Channel), ordinal=u64, reason=st.sampled_from(EndReason)),
    st.builds(Grant, consumer=names, session=u64, window=st.integers(0, 1024), consumed=u64),
)


@given(messages)
def test_what_is_decoded_is_what_was_encoded(message: Message) -> None:
    """Every message survives the way over the wire and is short."""
    data = encode(message)
    assert len(data) <= MESSAGE_MAX_BYTES
    assert decode(data) == message


@pytest.mark.parametrize("name", MESSAGES)
def test_golden_packets_are_read_and_written_to_the_byte(name: str) -> None:
    """The layouts are those that earlier releases put on the bus."""
    packet = (GOLDEN / name).read_bytes()
    assert decode(packet) == MESSAGES[name]
    assert encode(MESSAGES[name]) == packet


def test_golden_packets_are_those_of_the_recipe() -> None:
    """The files are what their recipe says."""
    packets = runpy.run_path(str(GOLDEN / "recipe.py"))["PACKETS"]
    assert packets == {path.name: path.read_bytes() for path in GOLDEN.glob("*.bin")}


@given(messages, st.data())
def test_a_cut_message_is_refused(message: Message, data: st.DataObject) -> None:
    """No beginning of a message is a message, nor is one with something behind it."""
    packet = encode(message)
    cut = data.draw(st.integers(0, len(packet) - 1))
    with pytest.raises(BusError, match="bytes"):
        decode(packet[:cut])
    with pytest.raises(BusError, match="expected"):
        decode(packet + b"\0")


@given(st.binary(max_size=MESSAGE_MAX_BYTES))
def test_noise_is_refused_with_an_error_of_ours(noise: bytes) -> None:
    """Whatever bytes come, decoding ends in a BusError."""
    with pytest.raises(BusError):
        decode(noise)


@given(messages, st.data())
def test_a_changed_byte_never_ends_in_a_foreign_error(message: Message, data: st.DataObject) -> None:
    """A damaged message is read as another one or refused, no more."""
    packet = bytearray(encode(message))
    packet[data.draw(st.integers(0, len(packet) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BusError):
        decode(bytes(packet))


@pytest.mark.parametrize(
    ("name", "offset", "value", "complaint"),
    [
        ("frame.bin", 0, ord("X"), "starts with b'XFBM', expected b'SFBM'"),
        ("frame.bin", 4, 2, "version 2, expected 1"),
        ("frame.bin", 5, 9, r"kind 9, expected one of \[1, 2, 3\]"),
        ("frame.bin", 6, 75, "76 bytes and says 75, expected 76"),
        ("frame.bin", 8, 3, r"Channel code must be 0\.\.2, got 3"),
        ("frame.bin", 9, 4, r"PixelFormat code must be 0\.\.3, got 4"),
        ("frame.bin", 64, 0x81, "even sides, got 641x480"),
        ("end.bin", 9, 7, r"EndReason code must be 0\.\.2, got 7"),
        ("grant.bin", 8, 0xFF, "printable ASCII"),
        ("grant.bin", 49, 0xFF, r"window must be within 0\.\.1024"),
    ],
)
def test_a_wrong_field_is_named_with_got_and_expected(
    name: str, offset: int, value: int, complaint: str
) -> None:
    """The error says which field is wrong, what it reads and what it may read."""
    packet = bytearray((GOLDEN / name).read_bytes())
    packet[offset] = value
    with pytest.raises(BusError, match=complaint):
        decode(bytes(packet))


@pytest.mark.parametrize("consumer", ["", "x" * 33, "é", "a\nb"])
def test_a_consumer_has_a_name_that_fits(consumer: str) -> None:
    """Names that the wire cannot carry are refused where they are given."""
    with pytest.raises(ValueError, match="printable ASCII"):
        Grant(consumer=consumer, session=1, window=1, consumed=0)


def test_ordinals_start_at_one() -> None:
    """Ordinal 0 means that nothing was sent, so no frame has it."""
    frame = MESSAGES["frame.bin"]
    assert isinstance(frame, FrameDescriptor)
    with pytest.raises(ValueError, match="ordinal must be within 1"):
        FrameDescriptor(
            stream=frame.stream,
            slot=0,
            generation=0,
            ordinal=0,
            seq=0,
            pts_ns=0,
            capture_ns=0,
            arrival_ns=0,
            spec=frame.spec,
        )
