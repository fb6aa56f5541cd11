"""Flow control between a producer and its consumers, told as stories and as one machine."""

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from streamfuse.clock import NS_PER_MS, NS_PER_S
from streamfuse.core.flow import (
    SILENCE_NS,
    Delivery,
    Dropped,
    MemoryLedger,
    Outbox,
    outbox_counters,
)
from streamfuse.frames import DropCause


def joined(policy: Delivery, **windows: int) -> Outbox[int]:
    """An outbox whose consumers have granted their windows at time 0, each in session 1."""
    outbox: Outbox[int] = Outbox(policy, list(windows))
    for consumer, window in windows.items():
        outbox.grant(consumer, 1, window, 0, 0)
    return outbox


def test_items_are_sent_while_the_window_has_room() -> None:
    """A window of two takes two items; the third waits until one is finished."""
    outbox = joined(Delivery.EVERY_FRAME, engine=2)
    sent = []
    for item in (10, 11, 12):
        outbox.offer(item)
        sent += outbox.take()
    assert sent == [("engine", 10, 1), ("engine", 11, 2)]
    assert not outbox.has_room()
    outbox.grant("engine", 1, 2, 1, 0)
    assert outbox.take() == [("engine", 12, 3)]
    assert outbox.has_room()


def test_realtime_replaces_the_item_that_waits() -> None:
    """A newer item takes the pending place; what it replaced is returned and counted."""
    outbox = joined(Delivery.REALTIME, engine=1)
    outbox.offer(1)
    assert outbox.take() == [("engine", 1, 1)]
    assert outbox.offer(2) == []
    assert outbox.offer(3) == [Dropped("engine", 2, DropCause.SUPERSEDED)]
    outbox.grant("engine", 1, 1, 1, 0)
    assert outbox.take() == [("engine", 3, 2)]
    assert outbox.states()["engine"].dropped[DropCause.SUPERSEDED] == 1


def test_repeating_a_grant_changes_nothing() -> None:
    """Grants state what is, so that one more of the same gives no more credit."""
    outbox = joined(Delivery.REALTIME, engine=1)
    outbox.offer(1)
    outbox.take()
    outbox.offer(2)
    for _ in range(5):
        outbox.grant("engine", 1, 1, 0, 0)
        assert outbox.take() == []


def test_every_frame_waits_for_all_expected_consumers() -> None:
    """There is no room before everybody has joined, and none while the slowest has an item waiting."""
    outbox: Outbox[int] = Outbox(Delivery.EVERY_FRAME, ["engine", "recorder"])
    outbox.grant("engine", 1, 4, 0, 0)
    assert not outbox.has_room()
    outbox.grant("recorder", 1, 1, 0, 0)
    assert outbox.has_room()
    outbox.offer(1)
    outbox.take()
    outbox.offer(2)
    assert outbox.take() == [("engine", 2, 2)]
    assert not outbox.has_room()
    with pytest.raises(RuntimeError, match="has_room"):
        outbox.offer(3)
    outbox.grant("recorder", 1, 1, 1, 0)
    assert outbox.take() == [("recorder", 2, 2)]


def test_a_restarted_consumer_loses_what_it_held_and_goes_on() -> None:
    """A new session frees the old one's items without sending them again; ordinals go on."""
    outbox = joined(Delivery.EVERY_FRAME, engine=2)
    for item in (1, 2):
        outbox.offer(item)
        outbox.take()
    outbox.offer(3)
    outbox.grant("engine", 2, 2, 0, 0)
    assert outbox.take() == [("engine", 3, 3)]
    assert outbox.states()["engine"].lost == 2
    assert list(outbox.in_use()) == [3]


def test_a_restarted_producer_goes_on_counting() -> None:
    """With the ledger of its earlier life ordinals continue, and what was pending is dropped."""
    ledger = MemoryLedger()
    first: Outbox[int] = Outbox(Delivery.REALTIME, ["engine"], ledger=ledger)
    first.grant("engine", 7, 1, 0, 0)
    first.offer(1)
    first.take()
    first.offer(2)
    second: Outbox[int] = Outbox(Delivery.REALTIME, ["engine"], ledger=ledger)
    second.grant("engine", 7, 1, 0, 0)
    second.offer(3)
    assert second.take() == [("engine", 3, 2)]
    state = second.states()["engine"]
    assert (state.offered, state.sent, state.dropped[DropCause.WORKER_LOST]) == (3, 2, 1)


def test_a_producer_without_a_ledger_takes_the_count_from_its_consumer() -> None:
    """A producer that remembers nothing numbers on from what the consumer says it has finished."""
    outbox: Outbox[int] = Outbox(Delivery.REALTIME, ["engine"])
    outbox.grant("engine", 7, 1, 500, 0)
    outbox.offer(1)
    assert outbox.take() == [("engine", 1, 501)]
    assert outbox.states()["engine"].outstanding == 1


def test_a_guest_gets_what_is_offered_after_it_came() -> None:
    """Somebody unexpected may join, starts at its own ordinal 1 and leaves with a goodbye."""
    outbox = joined(Delivery.REALTIME, engine=1)
    outbox.offer(1)
    outbox.grant("viewer", 9, 1, 0, 0)
    assert outbox.take() == [("engine", 1, 1)]
    outbox.offer(2)
    assert ("viewer", 2, 1) in outbox.take()
    outbox.grant("viewer", 9, 0, 1, 0)
    assert set(outbox.states()) == {"engine"}


def test_a_guest_never_holds_the_producer_up() -> None:
    """In every_frame a guest that is too slow misses items; the expected consumers miss none."""
    outbox = joined(Delivery.EVERY_FRAME, engine=9)
    outbox.grant("viewer", 9, 1, 0, 0)
    for item in (1, 2, 3):
        assert outbox.has_room()
        outbox.offer(item)
        assert ("engine", item, item) in outbox.take()
    viewer = outbox.states()["viewer"]
    assert (viewer.sent, viewer.pending, viewer.dropped[DropCause.SUPERSEDED]) == (1, 1, 1)


def test_a_silent_guest_is_forgotten() -> None:
    """What a guest held that vanished without goodbye is free again when its silence is over."""
    outbox = joined(Delivery.EVERY_FRAME, engine=9)
    outbox.grant("viewer", 9, 1, 0, 0)
    for item in (1, 2):
        outbox.offer(item)
        outbox.take()
    outbox.grant("engine", 1, 9, 2, SILENCE_NS)
    assert outbox.expire(SILENCE_NS) == []
    assert list(outbox.in_use()) == [2, 1]
    assert outbox.expire(SILENCE_NS + 1) == ["viewer"]
    assert list(outbox.in_use()) == []


def test_nobody_waits_for_a_dismissed_consumer() -> None:
    """Of an expected consumer that will not come back the pending item is dropped, and room is made."""
    outbox = joined(Delivery.EVERY_FRAME, engine=1, recorder=2)
    for item in (1, 2):
        outbox.offer(item)
        outbox.take()
    assert not outbox.has_room()
    assert outbox.dismiss("engine") == [Dropped("engine", 2, DropCause.WORKER_LOST)]
    assert outbox.dismiss("engine") == []
    assert outbox.has_room()
    assert set(outbox.states()) == {"recorder"}


def test_a_silent_expected_consumer_holds_every_frame_back_and_loses_nothing() -> None:
    """It may only be slow: its items stay its own, and when it is heard again all goes on."""
    outbox = joined(Delivery.EVERY_FRAME, engine=2)
    outbox.offer(1)
    outbox.take()
    assert outbox.expire(4 * NS_PER_S) == ["engine"]
    assert outbox.expire(4 * NS_PER_S) == []
    assert not outbox.has_room()
    assert list(outbox.in_use()) == [1]
    outbox.grant("engine", 1, 2, 1, 5 * NS_PER_S)
    assert outbox.has_room()
    assert outbox.states()["engine"].lost == 0


def test_realtime_goes_on_without_a_consumer_that_left() -> None:
    """The newest item waits for the return of an expected consumer that said goodbye."""
    outbox = joined(Delivery.REALTIME, engine=2)
    outbox.grant("engine", 1, 0, 0, 0)
    for item in (1, 2, 3):
        outbox.offer(item)
        assert outbox.take() == []
    outbox.grant("engine", 2, 2, 0, 0)
    assert outbox.take() == [("engine", 3, 1)]


def test_the_goodbye_of_an_earlier_life_is_ignored() -> None:
    """A late goodbye does not send the new life away."""
    outbox = joined(Delivery.REALTIME, engine=2)
    outbox.grant("engine", 2, 2, 0, 0)
    outbox.grant("engine", 1, 0, 0, 0)
    assert outbox.states()["engine"].session == 2


def test_abandoning_drops_what_is_pending() -> None:
    """At the end of a run what could not be sent is counted as stopped."""
    outbox: Outbox[int] = Outbox(Delivery.REALTIME, ["engine"])
    outbox.offer(1)
    assert outbox.abandon(DropCause.STOPPED) == [Dropped("engine", 1, DropCause.STOPPED)]
    assert outbox.states()["engine"].pending == 0


def test_the_ledger_needs_just_the_counters_that_are_announced() -> None:
    """A ledger with the announced counters and no other is enough."""

    class Strict(MemoryLedger):
        def add(self, name: str, n: int = 1) -> None:
            assert name in allowed
            assert n >= 0
            super().add(name, n)

        def get(self, name: str) -> int:
            assert name in allowed
            return super().get(name)

    allowed = outbox_counters(["engine"])
    outbox: Outbox[int] = Outbox(Delivery.REALTIME, ["engine"], ledger=Strict())
    outbox.grant("engine", 1, 1, 0, 0)
    for item in range(4):
        outbox.offer(item)
        outbox.take()
    outbox.grant("engine", 2, 1, 0, 0)
    outbox.abandon(DropCause.STOPPED)
    assert outbox.states()["engine"].offered == 4


@dataclass
class Consumer:
    """A consumer as it really is; what the outbox believes is checked against it."""

    session: int
    window: int
    queue: list[tuple[int, int]] = field(default_factory=list)
    """(ordinal, item) that came in this session and are not finished."""
    done: int = 0
    items: list[int] = field(default_factory=list)
    """All items that were ever sent to it."""


NAMES = ("engine", "recorder")


class Bus(RuleBasedStateMachine):
    """A producer and two expected consumers, any of which restarts at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = MemoryLedger()
        self.now_ns = 0
        self.sessions = 0
        self.offered = 0
        self.dropped: dict[str, list[int]] = {name: [] for name in NAMES}
        self.consumers = {name: self.born() for name in NAMES}

    def born(self) -> Consumer:
        """A new life of a consumer."""
        self.sessions += 1
        return Consumer(session=self.sessions, window=1)

    @initialize(policy=st.sampled_from(Delivery))
    def start(self, policy: Delivery) -> None:
        """The producer starts."""
        self.policy = policy
        self.outbox: Outbox[int] = Outbox(policy, NAMES, ledger=self.ledger)

    @precondition(lambda self: self.outbox.has_room())
    @rule()
    def offer(self) -> None:
        """The producer has a new item."""
        for dropped in self.outbox.offer(self.offered):
            self.dropped[dropped.consumer].append(dropped.item)
        self.offered += 1

    @rule()
    def take(self) -> None:
        """What may be sent arrives."""
        for name, item, ordinal in self.outbox.take():
            consumer = self.consumers[name]
            consumer.items.append(item)
            assert ordinal == len(consumer.items)
            consumer.queue.append((ordinal, item))

    @rule(name=st.sampled_from(NAMES), n=st.integers(0, 3))
    def finish(self, name: str, n: int) -> None:
        """A consumer finishes its oldest items."""
        consumer = self.consumers[name]
        for ordinal, _ in consumer.queue[:n]:
            consumer.done = ordinal
        del consumer.queue[:n]

    @rule(name=st.sampled_from(NAMES), window=st.integers(1, 4))
    def grant(self, name: str, window: int) -> None:
        """A consumer says where it stands, perhaps with another window."""
        consumer = self.consumers[name]
        consumer.window = window
        self.outbox.grant(name, consumer.session, window, consumer.done, self.now_ns)

    @rule(name=st.sampled_from(NAMES))
    def kill_consumer(self, name: str) -> None:
        """A consumer dies and is started again; it knows from its ledger what it had finished."""
        old = self.consumers[name]
        self.consumers[name] = self.born()
        self.consumers[name].items = old.items
        self.consumers[name].done = old.done

    @rule()
    def kill_producer(self) -> None:
        """The producer dies and is started again with the ledger of its earlier life."""
        pending = {name: self.outbox.states()[name].pending for name in NAMES}
        self.outbox = Outbox(self.policy, NAMES, ledger=self.ledger)
        for name in NAMES:
            if pending[name]:
                self.dropped[name].append(self.offered - 1)

    @rule(ms=st.integers(1, 4000))
    def time_passes(self, ms: int) -> None:
        """Consumers that are not heard meanwhile are taken for gone."""
        self.now_ns += ms * NS_PER_MS
        self.outbox.expire(self.now_ns)

    @invariant()
    def the_books_balance(self) -> None:
        """Offered = sent + dropped + pending, and sent is what really arrived."""
        for name, state in self.outbox.states().items():
            assert state.offered == self.offered
            assert state.offered == state.sent + sum(state.dropped.values()) + state.pending
            assert state.sent == len(self.consumers[name].items)
            assert state.pending <= 1

    @invariant()
    def each_item_goes_one_way_and_in_order(self) -> None:
        """Every item is sent once, dropped once or pending."""
        for name, consumer in self.consumers.items():
            seen = sorted(consumer.items + self.dropped[name])
            pending = self.outbox.states()[name].pending
            assert seen == list(range(self.offered - pending))
            assert consumer.items == sorted(consumer.items)

    @invariant()
    def a_window_is_kept(self) -> None:
        """Never more is outstanding than the largest window that was granted."""
        for state in self.outbox.states().values():
            assert state.outstanding <= 4

    @invariant()
    def what_is_being_looked_at_is_in_use(self) -> None:
        """The slots of items that a living consumer holds are not reused."""
        in_use = set(self.outbox.in_use())
        for name, state in self.outbox.states().items():
            consumer = self.consumers[name]
            if state.session == consumer.session:
                held = [item for _, item in consumer.queue[-state.outstanding :] if state.outstanding]
                assert in_use.issuperset(held)

    @invariant()
    def every_frame_drops_only_what_died_with_the_producer(self) -> None:
        """In every_frame nothing is superseded."""
        if self.policy is Delivery.EVERY_FRAME:
            for state in self.outbox.states().values():
                assert state.dropped[DropCause.SUPERSEDED] == 0


Bus.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestBus = Bus.TestCase
