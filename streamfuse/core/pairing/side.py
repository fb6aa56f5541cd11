"""One of the two streams as the pairer sees it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from streamfuse.clock import NS_PER_MS, NS_PER_S
from streamfuse.core.pairing.pace import Pace
from streamfuse.core.pairing.policy import JITTER_MS
from streamfuse.frames import StreamName

__all__ = ["CAPACITY", "JITTER_NS", "NEVER_NS", "Side", "Waiting"]

CAPACITY = 64
"""Frames kept per stream; one second at 60 frames per second."""

NEVER_NS = -(1 << 63)
"""A time before all times."""

JITTER_NS = round(JITTER_MS * NS_PER_MS)

_GONE_NS = 3 * NS_PER_S
"""Longer than any thermal shutter is closed: nobody waits for a stream that has been silent for so long."""

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Waiting(Generic[T]):
    """A frame that may still be needed; ``moment_ns`` is its capture time with the offset applied."""

    stream: StreamName
    item: T
    moment_ns: int
    pushed_ns: int
    used: bool = False
    """Whether a pair has shown it."""
    taken: bool = False
    """Whether it is another's match."""


class Side(Generic[T]):
    """The frames of a stream that may still be needed, in order, and what is known of those to come."""

    def __init__(self, stream: StreamName, pace: Pace) -> None:
        self.stream = stream
        self.pace = pace
        self.frames: deque[Waiting[T]] = deque()
        self.newest_ns = NEVER_NS
        self.heard_ns = NEVER_NS
        """When its newest frame was pushed, or when one was first to be expected."""
        self.ended = False
        self.held = 0
        self.late_run = 0

    def hear(self, moment_ns: int, now_ns: int) -> bool:
        """A frame in order has come; true when the period of the stream was measured anew."""
        self.newest_ns, self.heard_ns = moment_ns, now_ns
        return self.pace.note(moment_ns, now_ns)

    def listen(self, now_ns: int) -> None:
        """The other stream runs: from now on this one is missing, if it does not."""
        if self.heard_ns == NEVER_NS:
            self.heard_ns = now_ns

    def shift(self, by_ns: int) -> None:
        """Move all moments; the order stays."""
        for frame in self.frames:
            frame.moment_ns += by_ns
        if self.newest_ns != NEVER_NS:
            self.newest_ns += by_ns
        self.pace.shift(by_ns)

    def nearest(self, moment_ns: int) -> Waiting[T] | None:
        """The frame nearest to a moment, of two the older one."""
        best = None
        for frame in self.frames:
            if best and abs(frame.moment_ns - moment_ns) >= abs(best.moment_ns - moment_ns):
                break
            best = frame
        return best

    def newest_until(self, moment_ns: int) -> Waiting[T] | None:
        """The newest frame that is not after a moment."""
        best = None
        for frame in self.frames:
            if frame.moment_ns > moment_ns:
                break
            best = frame
        return best

    def knows(self, moment_ns: int) -> bool:
        """Whether no frame to come can be nearer to a moment than those that came."""
        return self.ended or self.newest_ns >= moment_ns

    def may_bring(self, moment_ns: int, *, within_ns: int, since_ns: int, until_ns: int) -> bool:
        """Whether waiting from then until then may bring a frame nearer to a moment than ``within_ns``.

        Frames are expected at whole periods after the newest, and no sooner after their capture than
        the quickest of late.
        """
        period_ns = self.pace.period_ns
        if self.ended or since_ns - self.heard_ns > max(_GONE_NS, 3 * period_ns):
            return False
        if self.newest_ns == NEVER_NS:
            return True
        gap_ns = moment_ns - self.newest_ns
        periods = max(1, (2 * gap_ns + period_ns) // (2 * period_ns))
        expected_ns = self.newest_ns + periods * period_ns
        near = abs(expected_ns - moment_ns) < within_ns
        return near and expected_ns + self.pace.delay_ns <= until_ns + JITTER_NS
