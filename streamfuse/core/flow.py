"""Flow control between one producer and its named consumers, as a plain object.

A consumer *grants*: it says how many frames it wants in its hands at a time (the window) and up to
which ordinal it is done. The producer keeps, for each consumer, the frames that are out there
(outstanding) and at most one that waits for a credit (pending). So no queue grows anywhere::

    offer ──► pending ──take──► outstanding ──grant──► finished
                 │                   │
              dropped              lost       (the consumer's life ended with them)

``realtime`` replaces a pending frame by a newer one and counts the old one as dropped. ``every_frame``
asks the producer to wait until its expected consumers have room; only guests may miss a frame then. The
books are kept so that, for each consumer and at any moment, ``offered = sent + Σ dropped + pending``, also
over a ``kill -9`` when the ledger outlives the process.
"""

from __future__ import annotations

import enum
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from streamfuse.clock import NS_PER_MS, NS_PER_S
from streamfuse.frames import DropCause

__all__ = [
    "GRANT_REPEAT_NS",
    "SILENCE_NS",
    "Delivery",
    "Dropped",
    "LaneState",
    "Ledger",
    "MemoryLedger",
    "Outbox",
    "outbox_counters",
]

GRANT_REPEAT_NS = 250 * NS_PER_MS
"""A consumer repeats its grant this often, so that either side may restart."""
SILENCE_NS = 3 * NS_PER_S
"""A consumer that was not heard for longer than this is taken for gone."""

T = TypeVar("T")

_CAUSES = (DropCause.SUPERSEDED, DropCause.WORKER_LOST, DropCause.STOPPED)
_DROPPED = {cause: f"dropped.{cause}" for cause in _CAUSES}
_WORDS = ("offered", "sent", "lost", *_DROPPED.values())


class Delivery(enum.StrEnum):
    """What a producer does when a consumer is slower than itself."""

    REALTIME = "realtime"
    """Newest wins; what was replaced is counted."""
    EVERY_FRAME = "every_frame"
    """The producer waits for the expected consumers; nothing of theirs is dropped."""


class Ledger(Protocol):
    """Named counters that only grow; ``io.transport.board.Board`` is one that survives its process."""

    def add(self, name: str, n: int = 1) -> None:
        """Add ``n`` to a counter."""

    def get(self, name: str) -> int:
        """What a counter reads."""


class MemoryLedger:
    """Counters that end with the process; unknown names read 0."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, name: str, n: int = 1) -> None:
        """Add ``n`` to a counter."""
        self._counts[name] += n

    def get(self, name: str) -> int:
        """What a counter reads."""
        return self._counts[name]


def outbox_counters(consumers: Iterable[str]) -> tuple[str, ...]:
    """The counters that an :class:`Outbox` for these consumers keeps in its ledger."""
    return tuple(f"to.{consumer}.{word}" for consumer in consumers for word in _WORDS)


@dataclass(frozen=True, slots=True)
class Dropped(Generic[T]):
    """An item that one consumer will never get."""

    consumer: str
    item: T
    cause: DropCause


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneState:
    """How things stand with one consumer."""

    session: int | None
    """The life of the consumer that was last heard; None before the first and after a goodbye."""
    present: bool
    """It is heard, so that items may be sent to it."""
    ordinal: int
    """Ordinal of the last item sent, 0 before the first."""
    offered: int
    sent: int
    dropped: Mapping[DropCause, int]
    lost: int
    """Items that were outstanding when a session ended; some may have been looked at."""
    outstanding: int
    pending: int
    """0 or 1."""


class _Lane(Generic[T]):
    """The producer's view of one consumer."""

    def __init__(self, name: str, ledger: Ledger, *, expected: bool) -> None:
        self.name = name
        self.expected = expected
        self.session: int | None = None
        self.window = 0
        self.heard_ns: int | None = None
        self.pending: list[T] = []
        self.outstanding: deque[tuple[int, T]] = deque()
        self._ledger = ledger
        # Every frame counts: their names are put together once.
        self._cells = {word: f"to.{name}.{word}" for word in _WORDS}
        self.ordinal = self.count("sent")
        # What an earlier life of this producer had pending died with it.
        dropped = sum(self.count(_DROPPED[cause]) for cause in _CAUSES)
        self.add(_DROPPED[DropCause.WORKER_LOST], self.count("offered") - self.ordinal - dropped)

    def add(self, word: str, n: int = 1) -> None:
        self._ledger.add(self._cells[word], n)

    def count(self, word: str) -> int:
        return self._ledger.get(self._cells[word])

    def begin(self, session: int, consumed: int) -> None:
        self.lose()
        self.session = session
        if not self.expected:
            self.ordinal = consumed  # nobody keeps books for a guest: it says itself where it stands

    def acknowledge(self, consumed: int) -> None:
        while self.outstanding and self.outstanding[0][0] <= consumed:
            self.outstanding.popleft()
        # A producer without a lasting ledger restarts at 0: the consumer knows where they were.
        self.ordinal = max(self.ordinal, consumed)

    def put(self, item: T) -> list[Dropped[T]]:
        # "offered" grows first, so that whenever the process dies nothing is counted twice.
        self.add("offered")
        dropped = self.drop(DropCause.SUPERSEDED)
        self.pending.append(item)
        return dropped

    def drop(self, cause: DropCause) -> list[Dropped[T]]:
        if not self.pending:
            return []
        dropped = [Dropped(self.name, item, cause) for item in self.pending]
        self.pending.clear()
        self.add(_DROPPED[cause], len(dropped))
        return dropped

    def may_send(self) -> bool:
        return bool(self.pending) and self.heard_ns is not None and len(self.outstanding) < self.window

    def send(self) -> tuple[str, T, int]:
        item = self.pending.pop()
        self.ordinal += 1
        self.add("sent")
        self.outstanding.append((self.ordinal, item))
        return self.name, item, self.ordinal

    def lose(self) -> None:
        self.add("lost", len(self.outstanding))
        self.outstanding.clear()

    def leave(self) -> None:
        self.lose()
        self.session = None
        self.heard_ns = None


class Outbox(Generic[T]):
    """What one producer owes each of its consumers.

    The expected ``consumers`` are there from the start and stay, heard or not: their numbers live in
    the ``ledger``. Others may join by a grant (guests); they leave by a goodbye or by silence, and
    their numbers leave with them.
    """

    def __init__(
        self, policy: Delivery, consumers: Sequence[str] = (), *, ledger: Ledger | None = None
    ) -> None:
        self.policy = policy
        kept = MemoryLedger() if ledger is None else ledger
        self._lanes = {name: _Lane[T](name, kept, expected=True) for name in consumers}

    def grant(self, consumer: str, session: int, window: int, consumed: int, now_ns: int) -> None:
        """Take in what a consumer says; an unknown session starts with nothing outstanding.

        ``consumed`` is an ordinal: everything up to it is finished. ``window`` 0 is a goodbye.
        """
        lane = self._lanes.get(consumer)
        if lane is None:
            if window == 0:
                return
            lane = self._lanes[consumer] = _Lane(consumer, MemoryLedger(), expected=False)
        if lane.session != session and window > 0:
            lane.begin(session, consumed)
        if lane.session != session:
            return  # the goodbye of a life that is over already
        lane.acknowledge(consumed)
        lane.window = window
        lane.heard_ns = now_ns
        if window == 0:
            self.forget(consumer)

    def has_room(self) -> bool:
        """Whether an item may be offered now without an expected consumer losing one; guests do not count."""
        if self.policy is Delivery.REALTIME:
            return True
        expected = (lane for lane in self._lanes.values() if lane.expected)
        return all(lane.heard_ns is not None and not lane.pending for lane in expected)

    def offer(self, item: T) -> list[Dropped[T]]:
        """Make ``item`` the pending one of every consumer; returns what it replaced.

        Raises:
            RuntimeError: ``every_frame`` without room, which the producer has to wait for.
        """
        if not self.has_room():
            raise RuntimeError("offer() in every_frame needs has_room() to be true first")
        return [dropped for lane in self._lanes.values() for dropped in lane.put(item)]

    def take(self) -> list[tuple[str, T, int]]:
        """What to send now, as (consumer, item, ordinal); it counts as sent from here on."""
        return [lane.send() for lane in self._lanes.values() if lane.may_send()]

    def forget(self, consumer: str) -> list[Dropped[T]]:
        """A consumer is known to be gone: what it held is lost, and a guest is struck off.

        An expected consumer keeps its pending item, and in ``every_frame`` the producer waits for
        its return.
        """
        lane = self._lanes[consumer]
        lane.leave()
        if lane.expected:
            return []
        del self._lanes[consumer]
        return lane.drop(DropCause.WORKER_LOST)

    def dismiss(self, consumer: str) -> list[Dropped[T]]:
        """A consumer will not come back: nobody waits for it any more, and its books are closed."""
        lane = self._lanes.pop(consumer, None)
        if lane is None:
            return []
        lane.leave()
        return lane.drop(DropCause.WORKER_LOST)

    def expire(self, now_ns: int) -> list[str]:
        """Give up on consumers that were silent for too long; returns their names.

        Guests are forgotten. An expected one gets nothing more until it is heard again, but keeps
        what it holds: it may only be slow, and then nothing was lost.
        """
        silent = [
            lane
            for lane in self._lanes.values()
            if lane.heard_ns is not None and now_ns - lane.heard_ns > SILENCE_NS
        ]
        for lane in silent:
            lane.heard_ns = None
            if not lane.expected:
                self.forget(lane.name)
        return [lane.name for lane in silent]

    def abandon(self, cause: DropCause) -> list[Dropped[T]]:
        """Drop everything that is still pending."""
        return [dropped for lane in self._lanes.values() for dropped in lane.drop(cause)]

    def in_use(self, *, guests: bool = True) -> Iterator[T]:
        """Items pending or outstanding with any consumer, or with the expected ones only.

        One item may come several times.
        """
        for lane in self._lanes.values():
            if lane.expected or guests:
                yield from lane.pending
                for _, item in lane.outstanding:
                    yield item

    def states(self) -> dict[str, LaneState]:
        """How things stand with each consumer, by name."""
        return {lane.name: _state(lane) for lane in self._lanes.values()}


def _state(lane: _Lane[T]) -> LaneState:
    return LaneState(
        session=lane.session,
        present=lane.heard_ns is not None,
        ordinal=lane.ordinal,
        offered=lane.count("offered"),
        sent=lane.count("sent"),
        dropped={cause: lane.count(_DROPPED[cause]) for cause in _CAUSES},
        lost=lane.count("lost"),
        outstanding=len(lane.outstanding),
        pending=len(lane.pending),
    )
