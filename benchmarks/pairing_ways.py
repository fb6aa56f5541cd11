"""How other systems pair two streams, in small: what ours is compared with.

Written anew from what is documented of each; frames that they leave alone never come out.
"""

from __future__ import annotations

from collections import deque

from pairing_world import Arrival, Made

from streamfuse.clock import NS_PER_MS
from streamfuse.frames import PairState, StreamName

__all__ = ["Adaptive", "BaseNearest", "Threshold"]

VISIBLE = StreamName.VISIBLE
QUEUE = 10
"""Frames kept per stream, as ROS and DepthAI do by default."""


class _Queues:
    """Two queues, and the pairs made of them."""

    def __init__(self) -> None:
        self.queues: dict[StreamName, deque[Arrival]] = {s: deque(maxlen=QUEUE) for s in StreamName}
        self.made: list[Made] = []

    def poll(self, now_ns: int) -> list[Made]:  # noqa: ARG002 - all is decided at arrivals
        """The pairs since the last call."""
        made, self.made = self.made, []
        return made

    def deadline_ns(self) -> int | None:
        """Nothing happens between arrivals."""
        return None

    def emit(self, first: Arrival, second: Arrival) -> None:
        """Two frames are a pair."""
        visible, infrared = (first, second) if first.stream is VISIBLE else (second, first)
        self.made.append(Made(PairState.MATCHED, visible, infrared))


class Threshold(_Queues):
    """A new frame goes with the first one in the other queue that is within the threshold (DepthAI)."""

    def __init__(self, threshold_ms: float) -> None:
        super().__init__()
        self._threshold_ns = round(threshold_ms * NS_PER_MS)

    def push(self, frame: Arrival, now_ns: int) -> None:  # noqa: ARG002 - it knows no time
        """Look for a partner; both go, and what is older with them."""
        self.queues[frame.stream].append(frame)
        for partner in self.queues[frame.stream.other]:
            if abs(partner.capture_ns - frame.capture_ns) <= self._threshold_ns:
                self.emit(frame, partner)
                for used in (frame, partner):
                    queue = self.queues[used.stream]
                    while queue and queue[0].capture_ns <= used.capture_ns:
                        queue.popleft()
                return


class Adaptive(_Queues):
    """The later of both heads gets the nearest of the other stream, once no nearer one can come (ROS)."""

    def push(self, frame: Arrival, now_ns: int) -> None:  # noqa: ARG002 - it knows no time
        """Make all pairs that are proven by now."""
        self.queues[frame.stream].append(frame)
        while all(self.queues.values()):
            first, second = (self.queues[stream] for stream in StreamName)
            pivots, others = (
                (first, second) if first[0].capture_ns >= second[0].capture_ns else (second, first)
            )
            if len(others) < 2:
                return
            pivot_ns = pivots[0].capture_ns
            if abs(others[1].capture_ns - pivot_ns) <= abs(others[0].capture_ns - pivot_ns):
                others.popleft()
            else:
                self.emit(pivots.popleft(), others.popleft())


class BaseNearest:
    """Each visible frame gets the nearest infrared frame; it waits for one unless one is near already.

    Args:
        period_ms: of the infrared stream; what is nearer than half of it cannot be beaten.
        max_wait_ms: how long it waits.
        max_skew_ms: what is farther is no partner.
    """

    def __init__(self, *, period_ms: float, max_wait_ms: float, max_skew_ms: float) -> None:
        self._half_ns = round(period_ms / 2 * NS_PER_MS)
        self._max_wait_ns = round(max_wait_ms * NS_PER_MS)
        self._max_skew_ns = round(max_skew_ms * NS_PER_MS)
        self._waiting: deque[Arrival] = deque()
        self._infrared: deque[Arrival] = deque(maxlen=QUEUE)

    def push(self, frame: Arrival, now_ns: int) -> None:  # noqa: ARG002 - frames know when they came
        """Take a frame in."""
        (self._waiting if frame.stream is VISIBLE else self._infrared).append(frame)

    def poll(self, now_ns: int) -> list[Made]:
        """Visible frames whose nearest is certain, or whose time is up; those without are left out."""
        made = []
        while self._waiting:
            frame = self._waiting[0]
            nearest = min(self._infrared, key=lambda other: self._gap_ns(other, frame), default=None)
            certain = nearest and self._gap_ns(nearest, frame) <= self._half_ns
            if not certain and now_ns < frame.arrival_ns + self._max_wait_ns:
                break
            self._waiting.popleft()
            if nearest and self._gap_ns(nearest, frame) <= self._max_skew_ns:
                made.append(Made(PairState.MATCHED, frame, nearest))
        return made

    def deadline_ns(self) -> int | None:
        """When the time of the first one is up."""
        return self._waiting[0].arrival_ns + self._max_wait_ns if self._waiting else None

    @staticmethod
    def _gap_ns(one: Arrival, another: Arrival) -> int:
        return abs(one.capture_ns - another.capture_ns)
