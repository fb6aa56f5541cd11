"""A camera on another machine: a node and its consumer over real sockets."""

import itertools
import statistics
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing

import numpy as np
import pytest

from streamfuse.core.clockfit import TimeSource
from streamfuse.core.layout import Channel
from streamfuse.core.packet import Codec
from streamfuse.core.wire import EndReason
from streamfuse.errors import SourceError, UsageError
from streamfuse.frames import ColorRange, DropCause, Image, ImageSpec, PixelFormat, StreamName
from streamfuse.io.cameras.node import NodeSource
from streamfuse.io.source import SourceFrame
from streamfuse.io.sources import open_source

MakeNode = Callable[..., object]
VIDEO = ImageSpec(format=PixelFormat.YUV420P, size_wh=(64, 48), range=ColorRange.LIMITED)


def number(frame: SourceFrame) -> int:
    """Which frame of the node it is."""
    return int(frame.image.planes[0][0, 0])


def picture(seq: int) -> Image:
    """A flat 16-bit picture that tells its number."""
    return Image.from_gray(np.full((24, 32), seq, np.uint16))


def take(source: NodeSource, count: int) -> list[SourceFrame]:
    """The next frames."""
    frames = [source.read() for _ in range(count)]
    assert all(frame is not None for frame in frames)
    return [frame for frame in frames if frame is not None]


def video(seq: int) -> Image:
    """A smooth picture of 4:2:0 video that moves."""
    columns = np.arange(64)[None, :] + seq
    luma = np.broadcast_to(120 + 60 * np.sin(columns / 9.0), (48, 64)).astype(np.uint8)
    return Image(VIDEO, (luma, *(np.full((24, 32), 128, np.uint8) for _ in range(2))))


def lost(frames: list[SourceFrame]) -> Counter[DropCause]:
    """What all frames say is missing before them."""
    return sum((Counter(frame.lost) for frame in frames), Counter())


def test_a_nodes_frames_come_exact_in_order_and_stamped(local_node, key_ring) -> None:
    """Raw 16-bit counts arrive to the bit, with the node's time; what lies between is counted."""
    node = local_node(keys=key_ring.server, shutter_closed=True)
    config = node.config(keys=key_ring.client())
    with closing(open_source(config, stream=StreamName.INFRARED)) as source:
        assert isinstance(source, NodeSource)
        frames = take(source, 30)
        assert source.info.live
        assert source.info.fps == 100.0
        assert source.info.spec == node.image(0).spec
    numbers = [number(frame) for frame in frames]
    assert all(
        np.array_equal(f.image.planes[0], node.image(n).planes[0])
        for f, n in zip(frames, numbers, strict=True)
    )
    assert numbers[-1] - numbers[0] + 1 == len(frames) + lost(frames[1:]).total()
    assert all(later.pts_ns > earlier.pts_ns for earlier, later in itertools.pairwise(frames))
    assert {frame.stamp.source for frame in frames if frame.stamp} == {TimeSource.NODE}
    assert all(frame.shutter_closed for frame in frames)
    assert frames[0].lost == {}


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.JPEG, Codec.H264, Codec.LOSSLESS])
def test_every_codec_works_on_the_way(local_node, codec: Codec) -> None:
    """What goes in comes out, to the eye or to the bit; on this machine without keys."""
    node = local_node(codec=codec, image=video)
    with closing(NodeSource(node.config(), stream=StreamName.INFRARED)) as source:
        frames = take(source, 10)
    errors = []
    for frame in frames:
        assert frame.image.spec == VIDEO
        errors.append(min(_error(frame.image, video(seq)) for seq in range(57)))  # it repeats after 56.5
    assert max(errors) < (0.5 if codec in {Codec.NONE, Codec.LOSSLESS} else 8)


def _error(one: Image, other: Image) -> float:
    return float(np.mean((one.planes[0].astype(int) - other.planes[0]) ** 2))


def test_a_slow_consumer_gets_the_newest_and_knows_what_it_missed(local_node) -> None:
    """Frames are dropped at the node; what arrives is new, and the gaps add up."""
    node = local_node(period_ms=5)
    ages_ms = []
    with closing(NodeSource(node.config(), stream=StreamName.INFRARED)) as source:
        frames = take(source, 1)
        for _ in range(10):
            time.sleep(0.1)  # the slow consumer itself
            frames += take(source, 1)
            stamp = frames[-1].stamp
            assert stamp is not None
            ages_ms.append((time.monotonic_ns() - stamp.time_ns) / 1e6)
    numbers = [number(frame) for frame in frames]
    missed = lost(frames)
    assert set(missed) == {DropCause.NETWORK}
    assert missed.total() == numbers[-1] - numbers[0] + 1 - len(frames) > 100
    assert statistics.median(ages_ms) < 1_000  # three frames wait: no queue grows


@pytest.mark.fault
@pytest.mark.parametrize("codec", [Codec.LOSSLESS, Codec.H264])
def test_damaged_payloads_are_counted_and_nothing_else_suffers(
    local_node, record_property, codec: Codec
) -> None:
    """Every tenth frame has a burst of 10 % of its bytes changed: it is counted, video goes on by itself."""
    record_property("fault", f"10 % of the bytes of every tenth frame from a node changed ({codec})")

    def burst(parts: list[bytes], count: int) -> list[bytes]:
        if count % 10 == 5:
            payload = bytearray(parts[1])
            for place in range(len(payload) // 3, len(payload) // 3 + len(payload) // 10 + 1):
                payload[place] ^= 0x5A
            parts[1] = bytes(payload)
        return parts

    node = local_node(codec=codec, image=video, tamper=burst, period_ms=20)
    with closing(NodeSource(node.config(), stream=StreamName.INFRARED)) as source:
        frames = take(source, 40)
    assert 3 <= lost(frames)[DropCause.CORRUPT] <= 40
    gaps_s = [(b.pts_ns - a.pts_ns) / 1e9 for a, b in itertools.pairwise(frames)]
    record_property("recovery_s", round(max(gaps_s), 3))
    record_property("promise", "counted as corrupt; the next key frame is shown, within 1 s")
    assert max(gaps_s) < 1.0


def test_messages_that_are_no_packets_are_counted_and_passed_over(local_node) -> None:
    """Nonsense, a cut packet, too many parts: the consumer stays, and its credits come back."""

    def nonsense(parts: list[bytes], count: int) -> list[bytes]:
        match count % 8:
            case 1:
                return [b"nonsense", parts[1]]
            case 2:
                return [parts[0][:-1], parts[1]]
            case 3:
                return [*parts, b"more"]
            case 4:
                return [parts[0], b""]
        return parts

    node = local_node(tamper=nonsense)
    with closing(NodeSource(node.config(), stream=StreamName.INFRARED)) as source:
        frames = take(source, 24)
    assert lost(frames)[DropCause.CORRUPT] >= 16
    numbers = [number(frame) for frame in frames]
    assert numbers[-1] - numbers[0] + 1 == len(frames) + lost(frames[1:]).total()


def test_frames_lost_on_the_way_are_counted(local_node) -> None:
    """What the node has sent and never came shows as a gap."""
    node = local_node(tamper=lambda parts, count: None if count in {3, 4} else parts)
    with closing(NodeSource(node.config(), stream=StreamName.INFRARED)) as source:
        frames = take(source, 10)
    assert lost(frames)[DropCause.NETWORK] >= 2


def test_a_new_life_of_the_node_goes_on_without_duplicates(local_node) -> None:
    """The consumer stays connected: the new life's frames come, those it had before us are counted."""
    node = local_node(image=lambda seq: picture(seq + 1_000))
    with closing(NodeSource(node.config(), stream=StreamName.INFRARED)) as source:
        before = take(source, 5)
        node.hub.tamper = lambda _parts, _count: None  # a killed node says no goodbye
        node.audience.finish = lambda _reason: None
        node.close()
        local_node(endpoint=node.endpoint)
        frames = before + take(source, 9)  # the first few may still be the old life's
    numbers = [number(frame) for frame in frames]
    began = sum(n >= 1_000 for n in numbers)
    assert 5 <= began < len(numbers)
    assert numbers[began:] == sorted(set(numbers[began:]))
    assert all(later.pts_ns > earlier.pts_ns for earlier, later in itertools.pairwise(frames))
    assert lost(frames[began:]).total() == numbers[-1] + 1 - len(numbers[began:])


def test_the_end_of_a_recording_is_the_end(local_node) -> None:
    """A node that has played everything says so; one that was stopped is an error that may heal."""
    node = local_node(frames=3, reason=EndReason.FINISHED)
    with closing(NodeSource(node.config(), stream=StreamName.INFRARED)) as source:
        rest = [source.read() for _ in range(3)]
        while rest[-1] is not None:
            rest.append(source.read())
    stopped = local_node(frames=2)
    with (
        closing(NodeSource(stopped.config(), stream=StreamName.INFRARED)) as source,
        pytest.raises(SourceError, match="was stopped"),
    ):
        take(source, 3)


def test_pictures_that_change_are_an_error_after_which_it_is_opened_anew(local_node) -> None:
    """The size of a camera is fixed while it is open."""
    node = local_node(image=lambda seq: Image.from_gray(np.zeros((24, 32 if seq < 40 else 40), np.uint8)))
    with (
        closing(NodeSource(node.config(), stream=StreamName.INFRARED)) as source,
        pytest.raises(SourceError, match="gives 40x24 gray8 now, it was 32x24 gray8"),
    ):
        take(source, 100)
    with closing(NodeSource(node.config(), stream=StreamName.INFRARED)) as source:
        assert source.info.spec.size_wh == (40, 24)


def refusal(config: object) -> str:
    """Why a source cannot be opened."""
    with pytest.raises(SourceError) as caught:
        NodeSource(config, stream=StreamName.INFRARED)  # type: ignore[arg-type]
    return str(caught.value)


def test_an_absent_node_a_node_without_camera_and_the_wrong_stream_are_told_apart(local_node) -> None:
    """Each message says what to do."""
    node = local_node(has_camera=False)
    assert (
        refusal(node.config(timeout_s=1.0))
        == f"infrared: the node at {node.endpoint} has no camera at the moment"
    )
    node.close()
    assert "nobody answers" in refusal(node.config(timeout_s=0.5))
    other = local_node(stream=Channel.VISIBLE)
    assert "serves visible; start it with --stream infrared" in refusal(other.config())
    small = local_node(image=lambda _seq: Image.from_gray(np.zeros((480, 640), np.uint16)), codec=Codec.NONE)
    assert "infrared: " in refusal(small.config(timeout_s=1.0, size=(16, 16)))


def test_plain_text_does_not_leave_the_machine(local_node) -> None:
    """Neither end talks to another machine without keys, and the message says how to mend it."""
    with pytest.raises(UsageError, match="in plain text: make keys with `streamfuse keys`"):
        NodeSource(local_node().config(uri="tcp://192.0.2.1:5555"), stream=StreamName.VISIBLE)
    for endpoint in ("tcp://0.0.0.0:0", "tcp://*:0", "tcp://192.0.2.1:5555", "tcp://[::]:5555"):
        with pytest.raises(UsageError, match="keys are needed"):
            local_node(endpoint=endpoint)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"uri": "tcp://127.0.0.1"}, "expected tcp://ADDRESS:PORT"),
        ({"uri": "tcp://127.0.0.1:99999"}, "expected tcp://ADDRESS:PORT"),
        ({"options": {"customer": "x"}}, "unknown option customer; a capture node has only consumer"),
        ({"options": {"consumer": "x" * 40}}, "must be 1..32"),
    ],
)
def test_what_a_node_cannot_be_asked_is_refused(
    local_node, settings: dict[str, object], complaint: str
) -> None:
    """Mistakes in the pipeline file end the run: trying again would not heal them."""
    with pytest.raises(UsageError, match=complaint):
        NodeSource(local_node().config(**settings), stream=StreamName.INFRARED)


def test_the_nodes_books_balance_for_every_consumer(local_node) -> None:
    """Captured = emitted + dropped + in flight, for the stream and for each consumer, at any moment."""
    node = local_node(period_ms=2)
    names = ("one", "two", "three")
    for name in names:
        config = node.config(options={"consumer": name})
        with closing(NodeSource(config, stream=StreamName.INFRARED)) as source:
            take(source, 5)
    node.close()
    assert node.audience.account.balance == 0
    assert node.audience.account.in_flight == 0
    books = node.audience.books()
    assert set(books) == set(names)
    for book in books.values():
        dropped = sum(book["dropped"].values())
        assert book["captured"] == book["emitted"] + dropped + book["in_flight"]
        assert book["emitted"] >= 4
        assert book["in_flight"] == 0
