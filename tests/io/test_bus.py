"""The bus with real sockets, in one process."""

import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest

from streamfuse.clock import NS_PER_S, SystemClock
from streamfuse.core.flow import SILENCE_NS, Delivery, MemoryLedger, Outbox
from streamfuse.core.wire import Channel, EndOfStream, EndReason, Grant, encode
from streamfuse.errors import BusError, RingError, UsageError
from streamfuse.frames import DropCause, Image, ImageSpec, PixelFormat
from streamfuse.io.transport.bus import Hub, Spoke, Waker, wait
from streamfuse.io.transport.inlet import Arrival, Inlet, Overrun, inlet_counters
from streamfuse.io.transport.outlet import Fill, Outlet, slots_needed
from streamfuse.io.transport.ring import RingWriter
from streamfuse.io.transport.rundir import RunDir

SPEC = ImageSpec(format=PixelFormat.GRAY8, size_wh=(16, 8))
CLOCK = SystemClock()


class Pair:
    """A run folder with one producer, and consumers as a test wants them."""

    def __init__(self, stack: ExitStack, base: Path) -> None:
        self.stack = stack
        self.run = stack.enter_context(RunDir.create(base))
        self.path = self.run.ring("visible")
        self.endpoint = self.run.endpoint("visible")

    def outlet(
        self, policy: Delivery = Delivery.REALTIME, *consumers: str, slots: int = 8, clock: object = None
    ) -> Outlet:
        """A producer; its outbox and ring are kept here."""
        self.ring = RingWriter.ensure(self.path, slots=slots, slot_nbytes=SPEC.nbytes)
        self.stack.callback(self.ring.close)
        self.outbox = Outbox(policy, consumers or ("engine",))  # type: ignore[var-annotated]
        outlet = Outlet(
            self.endpoint,
            ring=self.ring,
            outbox=self.outbox,
            stream=Channel.VISIBLE,
            clock=clock,  # type: ignore[arg-type]
        )
        return self.stack.enter_context(outlet)

    def inlet(
        self, consumer: str = "engine", *, window: int = 2, ledger: MemoryLedger | None = None
    ) -> Inlet:
        """A consumer."""
        return self.stack.enter_context(
            Inlet(
                self.endpoint,
                stream=Channel.VISIBLE,
                consumer=consumer,
                window=window,
                ring_path=self.path,
                ledger=ledger,
            )
        )


@pytest.fixture
def bus() -> Iterator[Pair]:
    """A run folder in shared memory, with everything closed at the end in the right order."""
    with ExitStack() as stack:
        yield Pair(stack, Path("/dev/shm"))  # noqa: S108 - the run folder's own place


def offer(outlet: Outlet, seq: int, meta: bytes = b"") -> int:
    """Offer a flat frame of value ``seq``."""
    image = Image.from_gray(np.full((8, 16), seq, np.uint8))
    return outlet.offer(image, seq=seq, pts_ns=seq, capture_ns=seq, arrival_ns=seq, meta=meta)


def until(outlet: Outlet, true: Callable[[], object]) -> None:
    """Serve the bus until something holds; fails after ten seconds without."""
    deadline_ns = CLOCK.now_ns() + 10 * NS_PER_S
    while not true():
        assert CLOCK.now_ns() < deadline_ns, "it did not come about in time"
        outlet.pump(10)


def present(bus: Pair, *consumers: str) -> bool:
    """Whether all these consumers are heard."""
    states = bus.outbox.states()
    return all(name in states and states[name].present for name in consumers)


def next_message(inlet: Inlet) -> Arrival | Overrun | EndOfStream:
    """What comes next; fails after ten seconds without."""
    while True:
        message = inlet.receive()
        if message is not None:
            return message
        assert wait([inlet], timeout_ms=10_000), "nothing came"


def arrival(inlet: Inlet) -> Arrival:
    """The next frame."""
    message = next_message(inlet)
    assert isinstance(message, Arrival)
    return message


def test_a_frame_arrives_with_its_pixels_times_and_meta(bus: Pair) -> None:
    """What was offered is what is received."""
    outlet, inlet = bus.outlet(), bus.inlet()
    until(outlet, lambda: present(bus, "engine"))
    image = Image.from_gray(np.arange(128, dtype=np.uint8).reshape(8, 16))
    outlet.offer(image, seq=5, pts_ns=-1, capture_ns=2, arrival_ns=3, meta=b"beside")
    got = arrival(inlet)
    np.testing.assert_array_equal(got.image.planes[0], image.planes[0])
    descriptor = got.descriptor
    times = (descriptor.seq, descriptor.pts_ns, descriptor.capture_ns, descriptor.arrival_ns)
    assert times == (5, -1, 2, 3)
    assert (got.meta, descriptor.ordinal, descriptor.spec) == (b"beside", 1, image.spec)


def test_a_frame_can_be_made_in_its_slot(bus: Pair) -> None:
    """A producer that decodes straight into the ring sends the same frame."""
    outlet, inlet = bus.outlet(), bus.inlet()
    until(outlet, lambda: present(bus, "engine"))
    fill = Fill(SPEC, lambda image: image.planes[0].fill(77))
    outlet.offer(fill, seq=0, pts_ns=0, capture_ns=0, arrival_ns=0)
    assert np.all(arrival(inlet).image.planes[0] == 77)


def test_a_frame_that_fails_to_be_made_is_not_offered(bus: Pair) -> None:
    """The error of a decoder goes to the producer; the next frame goes its way."""
    outlet, inlet = bus.outlet(), bus.inlet()
    until(outlet, lambda: present(bus, "engine"))

    def fail(_: Image) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        outlet.offer(Fill(SPEC, fail), seq=0, pts_ns=0, capture_ns=0, arrival_ns=0)
    offer(outlet, 1)
    assert arrival(inlet).descriptor.seq == 1


def test_realtime_sends_the_newest_when_credit_comes(bus: Pair) -> None:
    """With a window of one, the frames offered while one is looked at give way to the last of them."""
    outlet, inlet = bus.outlet(), bus.inlet(window=1)
    until(outlet, lambda: present(bus, "engine"))
    assert [offer(outlet, seq) for seq in range(5)] == [0, 0, 1, 1, 1]
    assert arrival(inlet).descriptor.seq == 0
    inlet.consumed()
    until(outlet, lambda: not bus.outbox.states()["engine"].pending)
    assert arrival(inlet).descriptor.seq == 4
    assert bus.outbox.states()["engine"].dropped[DropCause.SUPERSEDED] == 3


def test_every_frame_waits_for_credit_and_for_a_slot(bus: Pair) -> None:
    """Without room nothing is overwritten: the producer is refused until a frame is given back."""
    outlet, inlet = bus.outlet(Delivery.EVERY_FRAME, slots=2), bus.inlet(window=9)
    assert not outlet.has_room()
    until(outlet, outlet.has_room)
    offer(outlet, 0)
    offer(outlet, 1)
    assert not outlet.has_room()
    with pytest.raises(RuntimeError, match="pump"):
        offer(outlet, 2)
    assert [arrival(inlet).descriptor.seq for _ in range(2)] == [0, 1]
    inlet.consumed(1)
    until(outlet, outlet.has_room)
    offer(outlet, 2)
    assert arrival(inlet).descriptor.seq == 2


def test_the_end_comes_after_the_last_frame_and_waits_for_it(bus: Pair) -> None:
    """Finishing delivers what is pending, then says the end, and returns when all was consumed."""
    outlet, inlet = bus.outlet(), bus.inlet(window=1)
    until(outlet, lambda: present(bus, "engine"))
    offer(outlet, 0)
    offer(outlet, 1)
    got: list[object] = []

    def consume() -> None:
        for _ in range(2):
            got.append(arrival(inlet).descriptor.seq)
            inlet.consumed()
        got.append(next_message(inlet))

    thread = threading.Thread(target=consume)
    thread.start()
    assert outlet.finish(EndReason.STOPPED, deadline_ns=CLOCK.now_ns() + 10 * NS_PER_S)
    thread.join()
    assert got == [0, 1, EndOfStream(stream=Channel.VISIBLE, ordinal=2, reason=EndReason.STOPPED)]


def test_finishing_gives_up_at_its_deadline(bus: Pair) -> None:
    """A consumer that never gives a frame back does not hold the producer; what waits is counted."""
    outlet, inlet = bus.outlet(), bus.inlet(window=1)
    until(outlet, lambda: present(bus, "engine"))
    offer(outlet, 0)
    offer(outlet, 1)
    assert not outlet.finish(EndReason.FINISHED, deadline_ns=CLOCK.now_ns() + NS_PER_S // 50)
    assert bus.outbox.states()["engine"].dropped[DropCause.STOPPED] == 1
    assert arrival(inlet).descriptor.seq == 0


def test_a_goodbye_after_the_end_is_as_good_as_being_done(bus: Pair) -> None:
    """A consumer that has heard the end and closes does not make the producer wait for its return."""
    outlet = bus.outlet()
    with bus.inlet() as inlet:
        until(outlet, lambda: present(bus, "engine"))
        offer(outlet, 0)
        assert not outlet.finish_step(EndReason.FINISHED, timeout_ms=0)
        arrival(inlet)
        assert isinstance(next_message(inlet), EndOfStream)
    assert outlet.finish(EndReason.FINISHED, deadline_ns=CLOCK.now_ns() + 10 * NS_PER_S)


def test_nobody_waits_for_a_dismissed_consumer(bus: Pair) -> None:
    """At the end the producer does not wait for a consumer that will not come back."""
    outlet = bus.outlet(Delivery.EVERY_FRAME)
    assert not outlet.finish_step(EndReason.FINISHED, timeout_ms=0)
    outlet.dismiss("engine")
    assert outlet.finish_step(EndReason.FINISHED, timeout_ms=0)


def test_a_consumer_whose_connection_is_gone_is_noticed(bus: Pair) -> None:
    """One that died without goodbye is not present any more as soon as something is sent to it."""
    outlet = bus.outlet()
    with Spoke(bus.endpoint, window=1) as mute:
        mute.send(encode(Grant(consumer="engine", session=1, window=1000, consumed=0)))
        until(outlet, lambda: present(bus, "engine"))
    until(outlet, lambda: offer(outlet, 0) or not present(bus, "engine"))
    state = bus.outbox.states()["engine"]
    assert (state.session, state.outstanding, state.lost) == (None, 0, state.sent)


def test_grants_that_follow_each_other_closely_all_arrive(bus: Pair) -> None:
    """A consumer that gives back frames one by one in a burst gets all its credit, without a repeat."""
    outlet, inlet = bus.outlet(Delivery.EVERY_FRAME, slots=60), bus.inlet(window=50)
    until(outlet, outlet.has_room)
    for _ in range(20):
        for seq in range(50):
            offer(outlet, seq)
        for _ in range(50):
            arrival(inlet)
        for _ in range(50):
            inlet.consumed()
        until(outlet, lambda: not bus.outbox.states()["engine"].outstanding)
    assert inlet.count("finished") == 1000


def test_two_consumers_get_every_frame_at_their_own_pace(bus: Pair) -> None:
    """One that takes frames three at a time and one that takes them singly: neither misses a frame."""
    outlet = bus.outlet(Delivery.EVERY_FRAME, "engine", "recorder", slots=slots_needed([3, 1]))
    inlets = {"engine": bus.inlet("engine", window=3), "recorder": bus.inlet("recorder", window=1)}
    seen: dict[str, list[int]] = {name: [] for name in inlets}

    def consume(name: str, at_a_time: int) -> None:
        while len(seen[name]) < 60:
            seen[name] += [arrival(inlets[name]).descriptor.seq for _ in range(at_a_time)]
            inlets[name].consumed(at_a_time)

    threads = [threading.Thread(target=consume, args=args) for args in (("engine", 3), ("recorder", 1))]
    for thread in threads:
        thread.start()
    for seq in range(60):
        until(outlet, outlet.has_room)
        offer(outlet, seq)
    until(outlet, lambda: not any(state.outstanding for state in bus.outbox.states().values()))
    for thread in threads:
        thread.join()
    assert seen == {name: list(range(60)) for name in inlets}


def test_an_overwritten_frame_is_an_overrun_and_gives_its_credit_back(bus: Pair) -> None:
    """A reader that comes too late is told so, counts it and need not give anything back."""
    outlet, inlet = bus.outlet(slots=1), bus.inlet(window=2)
    until(outlet, lambda: present(bus, "engine"))
    offer(outlet, 0)
    offer(outlet, 1)
    overrun = next_message(inlet)
    assert isinstance(overrun, Overrun)
    assert overrun.descriptor.seq == 0
    assert arrival(inlet).descriptor.seq == 1
    assert (inlet.count("overrun"), inlet.count("delivered"), inlet.count("lost")) == (1, 1, 0)
    until(outlet, lambda: bus.outbox.states()["engine"].outstanding == 1)
    inlet.consumed()
    until(outlet, lambda: bus.outbox.states()["engine"].outstanding == 0)
    with pytest.raises(ValueError, match="0 frames are held, cannot finish 1"):
        inlet.consumed()


def test_a_restarted_consumer_counts_what_was_lost_and_orphaned(bus: Pair) -> None:
    """One frame was in its hands and one on its way when it died: the ledger tells them apart."""
    outlet, ledger = bus.outlet(), MemoryLedger()
    with bus.inlet(ledger=ledger) as first:
        until(outlet, lambda: present(bus, "engine"))
        offer(outlet, 0)
        offer(outlet, 1)
        arrival(first)
    until(outlet, lambda: not present(bus, "engine"))
    second = bus.inlet(ledger=ledger)
    until(outlet, lambda: present(bus, "engine"))
    offer(outlet, 2)
    assert arrival(second).descriptor.seq == 2
    second.consumed()
    counts = {name.rpartition(".")[2]: ledger.get(name) for name in inlet_counters(Channel.VISIBLE)}
    assert counts == {"delivered": 2, "overrun": 0, "lost": 1, "finished": 1, "orphaned": 1}


def test_a_restarted_producer_is_found_again(bus: Pair) -> None:
    """The consumer's repeated grant makes a new producer go on, also with a ring of another shape."""
    inlet = bus.inlet()
    for life in range(3):
        with bus.outlet(slots=3 + life) as outlet:

            def grant_again(outlet: Outlet = outlet) -> bool:
                inlet.tick(CLOCK.now_ns())
                return outlet is not None and present(bus, "engine")

            until(outlet, grant_again)
            offer(outlet, life)
            assert arrival(inlet).descriptor.seq == life
            inlet.consumed()
    assert (inlet.count("delivered"), inlet.count("lost")) == (3, 0)


def test_a_guest_watches_without_holding_anybody_up(bus: Pair) -> None:
    """A consumer that nobody expected gets frames while it is there and is gone with its goodbye."""
    outlet, engine = bus.outlet(Delivery.EVERY_FRAME), bus.inlet(window=8)
    with bus.inlet("viewer", window=1) as viewer:
        until(outlet, lambda: present(bus, "engine", "viewer"))
        for seq in range(4):
            assert outlet.has_room()
            offer(outlet, seq)
        assert arrival(viewer).descriptor.seq == 0
    until(outlet, lambda: "viewer" not in bus.outbox.states())
    assert [arrival(engine).descriptor.seq for _ in range(4)] == [0, 1, 2, 3]


class SteppedClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.ns = 0

    def now_ns(self) -> int:
        """The time that was set."""
        return self.ns


def test_a_silent_consumer_gets_nothing_until_it_is_heard_again(
    bus: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    """Silence is logged and ends with the next grant; nothing was lost by it."""
    clock = SteppedClock()
    outlet, inlet = bus.outlet(clock=clock), bus.inlet()
    until(outlet, lambda: present(bus, "engine"))
    clock.ns = 2 * SILENCE_NS
    outlet.pump(0)
    assert "consumer engine has gone silent" in caplog.text
    offer(outlet, 0)
    assert bus.outbox.states()["engine"].pending == 1
    inlet.tick(CLOCK.now_ns())
    until(outlet, lambda: present(bus, "engine"))
    assert arrival(inlet).descriptor.seq == 0


def test_a_message_that_is_no_grant_is_refused_and_counted(
    bus: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody else on the socket cannot stop the producer."""
    outlet, inlet = bus.outlet(), bus.inlet()
    with Spoke(bus.endpoint, window=1) as stranger:
        stranger.send(b"who are you?")
        stranger.send(encode(EndOfStream(stream=Channel.FUSED, ordinal=0, reason=EndReason.FAILED)))
        until(outlet, lambda: outlet.refused == 2)
    assert "expected b'SFBM'" in caplog.text
    assert "expected a grant" in caplog.text
    until(outlet, lambda: present(bus, "engine"))
    offer(outlet, 0)
    assert arrival(inlet).descriptor.seq == 0


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (Grant(consumer="x", session=1, window=1, consumed=0), "expected frames of visible"),
        (EndOfStream(stream=Channel.INFRARED, ordinal=0, reason=EndReason.FAILED), "expected frames of"),
        (None, "expected b'SFBM'"),
    ],
)
def test_a_consumer_refuses_what_is_not_of_its_stream(
    bus: Pair, message: Grant | EndOfStream | None, complaint: str
) -> None:
    """A consumer connected to the wrong producer says so instead of showing wrong frames."""
    with Hub(bus.endpoint) as hub:
        inlet = bus.inlet()
        hub.poll(10_000)
        heard = hub.receive()
        assert heard is not None
        assert hub.send(heard[0], encode(message) if message else b"nonsense")
        with pytest.raises(BusError, match=complaint):
            next_message(inlet)


def test_a_consumer_without_a_ring_says_where_it_should_be(bus: Pair) -> None:
    """A descriptor whose ring is missing is an error that names the path."""
    outlet, inlet = bus.outlet(), bus.inlet()
    until(outlet, lambda: present(bus, "engine"))
    bus.path.unlink()
    offer(outlet, 0)
    with pytest.raises(RingError, match=r"visible\.ring: cannot open shared memory"):
        next_message(inlet)


def test_a_socket_file_is_private(bus: Pair) -> None:
    """Nobody else may connect, even if the folder were open."""
    bus.outlet()
    path = Path(bus.endpoint.removeprefix("ipc://"))
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_one_process_may_be_both_ends(tmp_path: Path) -> None:
    """Within a process the bus runs over inproc."""
    with (
        RingWriter.create(tmp_path / "fused.ring", slots=4, slot_nbytes=SPEC.nbytes) as ring,
        Outlet("inproc://fused", ring=ring, outbox=Outbox(Delivery.REALTIME), stream=Channel.FUSED) as outlet,
        Inlet(
            "inproc://fused", stream=Channel.FUSED, consumer="viewer", window=1, ring_path=ring.path
        ) as inlet,
    ):
        outlet.pump(10_000)
        offer(outlet, 3)
        assert arrival(inlet).descriptor.seq == 3


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:5555", "ipc://", "visible.sock"])
def test_the_bus_stays_on_one_host(tmp_path: Path, endpoint: str) -> None:
    """Other transports are refused with the two that there are."""
    with pytest.raises(UsageError, match="use ipc://PATH or inproc://NAME"):
        Hub(endpoint)
    with pytest.raises(UsageError, match="use ipc://PATH"):
        Inlet(endpoint, stream=Channel.VISIBLE, consumer="engine", window=1, ring_path=tmp_path)


def test_an_endpoint_that_cannot_be_bound_is_named(tmp_path: Path) -> None:
    """A folder that is missing is an error of ours, and leaves no socket behind."""
    with pytest.raises(BusError, match=r"none/x\.sock: cannot listen there"):
        Hub(f"ipc://{tmp_path}/none/x.sock")


@pytest.mark.parametrize(("consumer", "window"), [("engine", 0), ("engine", 1025), ("", 1)])
def test_an_inlet_that_cannot_work_is_refused(tmp_path: Path, consumer: str, window: int) -> None:
    """Names and windows that a grant cannot carry are refused at once."""
    with pytest.raises(ValueError, match="must be"):
        Inlet("inproc://x", stream=Channel.VISIBLE, consumer=consumer, window=window, ring_path=tmp_path)


def test_another_thread_ends_a_wait() -> None:
    """A waker wakes now or as soon as the wait begins, once, and costs no file descriptor after."""
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counts the same way twice
    with closing(Waker()) as waker:
        assert wait([waker], timeout_ms=0) == []
        thread = threading.Thread(target=waker.wake)
        thread.start()
        assert wait([waker], timeout_ms=10_000) == [waker]
        thread.join()
        assert wait([waker], timeout_ms=0) == []
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - counts the same way twice


def test_a_guest_that_holds_its_frames_costs_the_expected_consumer_none(bus: Pair) -> None:
    """In a ring too small for both, it is the guest whose frames are overwritten; it is told so."""
    outlet = bus.outlet(Delivery.EVERY_FRAME, slots=3)
    engine, guest = bus.inlet(window=1), bus.inlet("guest", window=2)
    until(outlet, lambda: present(bus, "engine", "guest"))
    for seq in range(6):
        # Its credit has to be back: nobody pumps while the test waits for the arrival.
        until(outlet, lambda: outlet.has_room() and not bus.outbox.states()["engine"].outstanding)
        offer(outlet, seq)
        assert arrival(engine).descriptor.seq == seq
        engine.consumed()
    until(outlet, lambda: not bus.outbox.states()["engine"].outstanding)
    assert isinstance(next_message(guest), Overrun)
    assert (engine.count("delivered"), engine.count("overrun"), engine.count("lost")) == (6, 0, 0)
