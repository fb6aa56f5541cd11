"""How fast a run goes and when it will end, from the times at which its steps were done."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from statistics import median

from streamfuse.clock import NS_PER_S
from streamfuse.jobs.training.plan import Kind

__all__ = ["Pace"]

_REMEMBERED = 50


class Pace:
    """Time per step of each kind: the median of the last ones, so that a checkpoint does not disturb it."""

    def __init__(self, now_ns: int) -> None:
        self._last_ns = now_ns
        self._durations: dict[Kind, deque[int]] = {kind: deque(maxlen=_REMEMBERED) for kind in Kind}

    def step_done(self, kind: Kind, now_ns: int) -> None:
        """A step of this kind has just ended."""
        self._durations[kind].append(now_ns - self._last_ns)
        self._last_ns = now_ns

    def seconds_per_step(self, kind: Kind) -> float | None:
        """None before the first step of this kind."""
        known = self._durations[kind]
        return median(known) / NS_PER_S if known else None

    def seconds_left(self, left: Mapping[Kind, int]) -> float:
        """For ``left`` steps of each kind; a kind that was not seen yet counts as the one that was."""
        known = {kind: self.seconds_per_step(kind) for kind in left}
        fallback = max((seconds for seconds in known.values() if seconds is not None), default=0.0)
        return sum(steps * (known[kind] or fallback) for kind, steps in left.items())
