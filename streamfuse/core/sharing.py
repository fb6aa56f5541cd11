"""Batches for a network that several lanes share: by size or deadline, fair, and of one kind.

Each lane keeps its items in order. When a batch is due, its places are given one by one to the lane that is
furthest behind in what it has had of the network (P. Goyal, H. M. Vin, H. Cheng: Start-time Fair Queueing,
SIGCOMM 1996): an item begins at ``max(now, end of the lane's last item)`` in virtual time and ends its cost
later; the earliest beginning comes next, and that of a batch is the virtual now. So a lane that floods has
what others leave, a lane that was quiet has no more than its share when it comes back, and two lanes that
always wait never get apart by more than the cost of one item of each, or of one batch of each where their
kinds differ.
"""

from __future__ import annotations

import math
import queue
from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from streamfuse.clock import NS_PER_MS

__all__ = ["LanePolicy", "SharedBatcher"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LanePolicy:
    """How the items of a lane wait, and how many of them may be out.

    Raises:
        ValueError: a size, a cost or a number below what makes sense.
    """

    kind: Hashable = None
    """Items of different kinds are never in one batch."""
    max_batch: int
    """The largest batch that items of this lane may be in, whoever else is in it."""
    max_delay_ms: float
    """The longest an item waits for others to fill its batch."""
    capacity: int
    """The most items that wait at any time."""
    newest_wins: bool
    """True (``realtime``): a full lane drops its oldest item; False: the caller must wait for room."""
    max_out: int
    """The most items that are out at any time: taken and not settled yet."""
    most: int | None = None
    """So many are taken in all, and no more; None: without end."""
    cost: float = 1.0
    """What an item takes of the network, in units that all lanes share."""

    def __post_init__(self) -> None:
        if self.max_batch < 1:
            raise ValueError(f"max_batch must be at least 1, got {self.max_batch}")
        for name, items in (("capacity", self.capacity), ("max_out", self.max_out)):
            if items < self.max_batch:
                raise ValueError(f"{name} must hold one batch of {self.max_batch}, got {items}")
        if not (math.isfinite(self.max_delay_ms) and self.max_delay_ms >= 0):
            raise ValueError(f"max_delay_ms must be a number of at least 0, got {self.max_delay_ms}")
        if self.most is not None and self.most < 0:
            raise ValueError(f"most must be at least 0, got {self.most}")
        if not (math.isfinite(self.cost) and self.cost > 0):
            raise ValueError(f"cost must be a number above 0, got {self.cost}")


class SharedBatcher(Generic[T]):
    """Collects the items of all lanes and hands them out in batches. Not for use from two threads at once."""

    def __init__(self) -> None:
        self._lanes: dict[str, _Lane[T]] = {}
        self._now = 0.0
        """Virtual time: where the batch began that was given out last."""

    def open(self, lane: str, policy: LanePolicy) -> None:
        """Begin a lane.

        Raises:
            ValueError: there is one of this name already.
        """
        if lane in self._lanes:
            raise ValueError(f"lane {lane!r} is open already")
        self._lanes[lane] = _Lane(policy)

    def close(self, lane: str) -> None:
        """End a lane, and forget what waits in it."""
        del self._lanes[lane]

    def add(self, lane: str, item: T, now_ns: int) -> list[T]:
        """Take an item in and return those of its lane that were dropped to make room for it.

        Raises:
            queue.Full: there is no room and ``newest_wins`` is off.
        """
        at = self._lanes[lane]
        dropped = []
        if self.room(lane) == 0:
            if not at.policy.newest_wins:
                raise queue.Full(f"all {at.policy.capacity} places are taken: ask room() before add()")
            dropped.append(at.waiting.popleft()[0])
        at.waiting.append((item, now_ns))
        return dropped

    def waiting(self, lane: str) -> int:
        """How many items of a lane wait."""
        return len(self._lanes[lane].waiting)

    def out(self, lane: str) -> int:
        """How many items of a lane were taken and are not settled."""
        return self._lanes[lane].out

    def room(self, lane: str) -> int:
        """How many items can be added to a lane before something must go."""
        at = self._lanes[lane]
        return at.policy.capacity - len(at.waiting)

    def settle(self, lane: str, items: int = 1) -> None:
        """So many items of a lane that were taken are done with.

        Raises:
            ValueError: more than were out.
        """
        at = self._lanes[lane]
        if items > at.out:
            raise ValueError(f"{items} items of lane {lane!r} cannot be settled, {at.out} are out")
        at.out -= items

    def flush(self, lane: str) -> None:
        """Nothing more comes to this lane: what waits there need not wait for company any more."""
        self._lanes[lane].flushed = True

    def withdraw(self, lane: str) -> list[T]:
        """Take back what waits in a lane."""
        at = self._lanes[lane]
        items = [item for item, _ in at.waiting]
        at.waiting.clear()
        return items

    def take(self, now_ns: int) -> dict[str, list[T]]:
        """The next batch, by lane and in order within each; empty when none is due."""
        due = [lane for kind, at_ns in self._due().items() if at_ns <= now_ns for lane in self._of(kind)]
        if not due:
            return {}
        first = self._next(due)[1]
        kind, self._now = first.policy.kind, max(self._now, first.end)
        batch: dict[str, list[T]] = {}
        for _ in range(self._size(kind)):
            if not (ready := list(self._of(kind))):
                break
            name, lane = self._next(ready)
            lane.end = max(self._now, lane.end) + lane.policy.cost
            batch.setdefault(name, []).append(lane.take())
        return batch

    def deadline_ns(self) -> int | None:
        """From when :meth:`take` gives a batch if nothing happens; None when there is none to come."""
        return min(self._due().values(), default=None)

    def _due(self) -> dict[Hashable, int]:
        """By kind, from when there is a batch of it."""
        ready: dict[Hashable, list[_Lane[T]]] = {}
        for lane in self._lanes.values():
            if lane.ready:
                ready.setdefault(lane.policy.kind, []).append(lane)
        return {kind: self._due_ns(kind, lanes) for kind, lanes in ready.items()}

    def _due_ns(self, kind: Hashable, lanes: list[_Lane[T]]) -> int:
        if sum(lane.ready for lane in lanes) >= self._size(kind):
            return min(lane.oldest_ns for lane in lanes)
        return min(lane.due_ns for lane in lanes)

    def _of(self, kind: Hashable) -> Iterator[tuple[str, _Lane[T]]]:
        """The lanes of a kind that have something to give."""
        for name, lane in self._lanes.items():
            if lane.policy.kind == kind and lane.ready:
                yield name, lane

    def _size(self, kind: Hashable) -> int:
        """Of a batch: as large as every lane of the kind allows."""
        return min(lane.policy.max_batch for lane in self._lanes.values() if lane.policy.kind == kind)

    def _next(self, lanes: list[tuple[str, _Lane[T]]]) -> tuple[str, _Lane[T]]:
        """The lane that is furthest behind; of equal ones that whose item has waited longest."""
        return min(lanes, key=lambda each: (max(self._now, each[1].end), each[1].oldest_ns))


class _Lane(Generic[T]):
    def __init__(self, policy: LanePolicy) -> None:
        self.policy = policy
        self.waiting: deque[tuple[T, int]] = deque()
        """With the time of their coming."""
        self.out = 0
        self.taken = 0
        self.flushed = False
        self.end = 0.0
        """In virtual time, of the last item that was taken."""
        self._max_delay_ns = round(policy.max_delay_ms * NS_PER_MS)

    @property
    def ready(self) -> int:
        """How many items can be taken."""
        left = len(self.waiting) if self.policy.most is None else self.policy.most - self.taken
        return max(0, min(len(self.waiting), self.policy.max_out - self.out, left))

    @property
    def oldest_ns(self) -> int:
        return self.waiting[0][1]

    @property
    def due_ns(self) -> int:
        """When its oldest item has waited long enough for others."""
        return self.oldest_ns if self.flushed else self.oldest_ns + self._max_delay_ns

    def take(self) -> T:
        self.taken += 1
        self.out += 1
        return self.waiting.popleft()[0]
