"""Batches by size or deadline: wait for company, but not for long."""

from __future__ import annotations

import math
import queue
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from streamfuse.clock import NS_PER_MS

__all__ = ["BatchPolicy", "Batcher"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPolicy:
    """When a batch goes out and what happens when they do not go out fast enough.

    Raises:
        ValueError: a size below 1, a capacity below one batch, or a delay that is negative or not finite.
    """

    max_batch: int
    max_delay_ms: float
    """The longest an item waits for others to fill its batch."""
    capacity: int
    """The most items that wait at any time."""
    newest_wins: bool
    """True (``realtime``): a full batcher drops its oldest item; False: the caller must wait for room."""

    def __post_init__(self) -> None:
        if self.max_batch < 1:
            raise ValueError(f"max_batch must be at least 1, got {self.max_batch}")
        if self.capacity < self.max_batch:
            raise ValueError(f"capacity must hold one batch of {self.max_batch}, got {self.capacity}")
        if not (math.isfinite(self.max_delay_ms) and self.max_delay_ms >= 0):
            raise ValueError(f"max_delay_ms must be a number of at least 0, got {self.max_delay_ms}")


class Batcher(Generic[T]):
    """Collects items and hands them out in order, in batches."""

    def __init__(self, policy: BatchPolicy) -> None:
        self.policy = policy
        self._waiting: deque[tuple[T, int]] = deque()
        self._flushed = 0  # so many of the oldest no longer wait for company
        self._max_delay_ns = round(policy.max_delay_ms * NS_PER_MS)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, item: T, now_ns: int) -> list[T]:
        """Take an item in and return those dropped to make room for it.

        Raises:
            queue.Full: there is no room and ``newest_wins`` is off.
        """
        dropped = []
        if self.room() == 0:
            if not self.policy.newest_wins:
                raise queue.Full(f"all {self.policy.capacity} places are taken: ask room() before add()")
            dropped.append(self._pop())
        self._waiting.append((item, now_ns))
        return dropped

    def room(self) -> int:
        """How many items can be added before something must go."""
        return self.policy.capacity - len(self._waiting)

    def take(self, now_ns: int) -> list[T]:
        """The oldest items, at most ``max_batch``, if they are due; else an empty list."""
        due_ns = self.deadline_ns()
        if due_ns is None or now_ns < due_ns:
            return []
        return [self._pop() for _ in range(min(len(self._waiting), self.policy.max_batch))]

    def flush(self) -> None:
        """Let everything that waits now go out with the next calls of :meth:`take`."""
        self._flushed = len(self._waiting)

    def deadline_ns(self) -> int | None:
        """From when :meth:`take` gives a batch if nothing is added; None when nothing waits."""
        if not self._waiting:
            return None
        oldest_ns = self._waiting[0][1]
        is_due = self._flushed or len(self._waiting) >= self.policy.max_batch
        return oldest_ns if is_due else oldest_ns + self._max_delay_ns

    def _pop(self) -> T:
        self._flushed = max(0, self._flushed - 1)
        return self._waiting.popleft()[0]
