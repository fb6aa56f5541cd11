"""How a stream of frames runs: how often they come, and how soon after their capture."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

__all__ = ["Pace"]

_WINDOW = 33
_ENOUGH = 17
_EVERY = 8
"""The period is measured over so many frames at most and at least, and again after so many."""

_TRIMMED = 0.1
"""Share of gaps left out at either end: what the shutter and lost frames leave is no period, and neither is
what comes in a burst."""


class Pace:
    """Period and delay of one stream, measured over its last frames.

    Args:
        period_ns: nominal, in force until 17 frames have come.
        measured: whether to measure at all; a file has its nominal rate.
    """

    def __init__(self, period_ns: int, *, measured: bool) -> None:
        self.period_ns = period_ns
        self.delay_ns = 0
        """From capture to arrival, of the quickest frame of late."""
        self._measured = measured
        self._seen: deque[tuple[int, int]] = deque(maxlen=_WINDOW)  # moment, delay
        self._unmeasured = 0

    def note(self, moment_ns: int, now_ns: int) -> bool:
        """A frame of a moment has arrived now; true when the period was measured anew."""
        if not self._measured:
            return False
        delay_ns = now_ns - moment_ns
        self.delay_ns = min(self.delay_ns, delay_ns) if self._seen else delay_ns
        self._seen.append((moment_ns, delay_ns))
        self._unmeasured += 1
        if self._unmeasured < _EVERY or len(self._seen) < _ENOUGH:
            return False
        self._measure()
        return True

    def forget(self) -> None:
        """The clock of the stream was set: earlier moments say nothing about later ones."""
        self._seen.clear()

    def shift(self, by_ns: int) -> None:
        """All moments so far are moved, for a better known offset."""
        self.delay_ns -= by_ns
        self._seen = deque(((moment + by_ns, delay - by_ns) for moment, delay in self._seen), maxlen=_WINDOW)

    def _measure(self) -> None:
        self._unmeasured = 0
        self.delay_ns = min(delay_ns for _, delay_ns in self._seen)
        gaps = sorted(later - earlier for (earlier, _), (later, _) in pairwise(self._seen))
        cut = int(len(gaps) * _TRIMMED)
        kept = gaps[cut : len(gaps) - cut]
        self.period_ns = max(1, sum(kept) // len(kept))
