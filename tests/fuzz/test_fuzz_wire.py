"""No byte sequence crashes a receiver, or makes it take more memory than it declared.

``tracemalloc`` sees what Python and numpy allocate; what FFmpeg allocates is bounded by ``max_pixels``, and
watched through the peak of the process's memory.
"""

import contextlib
import functools
import resource
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfuse.core.layout import Channel
from streamfuse.core.packet import Codec, FramePacket, decode_node, encode_node
from streamfuse.core.wire import MESSAGE_MAX_BYTES, EndOfStream, EndReason, Grant, decode, encode
from streamfuse.errors import BusError
from streamfuse.frames import ColorRange, Image, ImageSpec, PixelFormat
from streamfuse.io.transport.codec import PacketDecoder, PacketEncoder

SLACK_BYTES = 512 * 1024
"""Objects, messages and imports beside the picture."""
SPECS = {
    kind: ImageSpec(
        format=kind,
        size_wh=(64, 48),
        range=ColorRange.LIMITED if kind is PixelFormat.YUV420P else ColorRange.FULL,
    )
    for kind in PixelFormat
}
WAYS = [
    (codec, kind)
    for codec in Codec
    for kind in PixelFormat
    if kind is not PixelFormat.GRAY16 or codec in {Codec.NONE, Codec.LOSSLESS}
]


@contextlib.contextmanager
def bounded(nbytes: int) -> Iterator[None]:
    """Fail when the block holds more than ``nbytes`` of new memory at any moment."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= nbytes, f"{peak} bytes were allocated, declared are {nbytes}"


@functools.cache
def valid(codec: Codec, kind: PixelFormat) -> tuple[bytes, ...]:
    """The payloads of three frames."""
    spec = SPECS[kind]
    rng = np.random.default_rng(1)
    encoder = PacketEncoder(codec, spec, fps=30)
    images = (
        Image(spec, tuple(rng.integers(0, 200, shape).astype(spec.dtype) for shape in spec.plane_shapes))
        for _ in range(3)
    )
    payloads = tuple(encoder.encode(image)[0] for image in images)
    PacketDecoder(codec, spec).decode(payloads[0])  # what is loaded and compiled once counts for no frame
    return payloads


@given(
    st.one_of(st.binary(max_size=2 * MESSAGE_MAX_BYTES), st.binary(max_size=64).map(lambda b: b"SFBM\1" + b))
)
@settings(max_examples=300, deadline=None)
def test_no_bytes_are_worse_than_a_bus_error(data: bytes) -> None:
    """Noise, also with the right beginning, is a message or a BusError, and costs next to nothing."""
    for read in (decode, decode_node):
        with bounded(SLACK_BYTES), contextlib.suppress(BusError):
            read(data)


WHOLE = [
    encode(Grant(consumer="engine", session=1, window=4, consumed=9)),
    encode(EndOfStream(stream=Channel.VISIBLE, ordinal=3, reason=EndReason.FINISHED)),
    encode_node(
        FramePacket(
            stream=Channel.VISIBLE,
            spec=SPECS[PixelFormat.YUV420P],
            codec=Codec.H264,
            is_key=True,
            node=1,
            ordinal=1,
            seq=0,
            dropped=0,
            pts_ns=0,
            capture_ns=0,
            arrival_ns=0,
            fps=30,
            payload_nbytes=10,
            payload_crc=0,
        )
    ),
]


@given(
    st.sampled_from(WHOLE),
    st.lists(st.tuples(st.integers(0, 127), st.binary(min_size=1, max_size=8)), max_size=4),
)
@settings(max_examples=300, deadline=None)
def test_mutations_of_messages_are_read_or_refused(message: bytes, edits: list[tuple[int, bytes]]) -> None:
    """Overwritten in several places, a message is still only a message or a BusError."""
    data = bytearray(message)
    for place, new in edits:
        start = place % len(data)
        data[start : start + len(new)] = new
    for read in (decode, decode_node):
        with bounded(SLACK_BYTES), contextlib.suppress(BusError):
            read(bytes(data))


@pytest.mark.parametrize(("codec", "kind"), WAYS)
@given(payload=st.binary(max_size=600))
@settings(max_examples=25, deadline=None)
def test_noise_is_no_picture(codec: Codec, kind: PixelFormat, payload: bytes) -> None:
    """A decoder fed with anything gives a picture of its spec or a BusError, in the memory of one picture."""
    spec, first = SPECS[kind], valid(codec, kind)[0]
    decoder = PacketDecoder(codec, spec)
    for data in (payload, first[:64] + payload):
        with bounded(3 * spec.nbytes + SLACK_BYTES), contextlib.suppress(BusError):
            assert decoder.decode(data).spec == spec


@pytest.mark.parametrize(("codec", "kind"), WAYS)
@given(
    edits=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=24)), max_size=5
    ),
    cut=st.floats(0, 1),
)
@settings(max_examples=25, deadline=None)
def test_mutations_of_frames_are_pictures_or_refused(
    codec: Codec, kind: PixelFormat, edits: list[tuple[float, bytes]], cut: float
) -> None:
    """Frames with bursts overwritten and their end cut off do no harm, nor do they to the frames after."""
    spec = SPECS[kind]
    decoder = PacketDecoder(codec, spec)
    payloads = valid(codec, kind)
    data = bytearray(payloads[1])
    for place, new in edits:
        start = int(place * len(data))
        data[start : start + len(new)] = new
    with bounded(4 * spec.nbytes + SLACK_BYTES):
        for payload in (payloads[0], bytes(data[: int(cut * len(data)) + 1]), payloads[2]):
            with contextlib.suppress(BusError):
                assert decoder.decode(payload).spec == spec
        assert decoder.decode(payloads[0]).spec == spec


@pytest.mark.parametrize("codec", [Codec.JPEG, Codec.H264])
def test_a_small_payload_cannot_make_a_large_picture(codec: Codec) -> None:
    """A few kilobytes that say 8192 x 8192 are refused before FFmpeg takes the 100 MB for it."""
    huge = ImageSpec(format=PixelFormat.YUV420P, size_wh=(8192, 4096), range=ColorRange.LIMITED)
    planes = tuple(np.full(shape, 128, np.uint8) for shape in huge.plane_shapes)
    payload, _ = PacketEncoder(codec, huge, fps=1).encode(Image(huge, planes))
    decoder = PacketDecoder(codec, ImageSpec(format=PixelFormat.YUV420P, size_wh=(1920, 1080)))
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(3):
        with pytest.raises(BusError, match=r"cannot be decoded|expected"):
            decoder.decode(payload)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak_kb < 20_000
