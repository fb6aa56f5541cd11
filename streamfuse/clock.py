"""Time: monotonic nanoseconds decide, UTC labels.

Every schedule, age and deadline in streamfuse is in ``CLOCK_MONOTONIC`` nanoseconds, which all
processes of one host share and no clock step can move. UTC exists for people: in file names and
in the index of a recording. This is the only file that asks the system for the time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

__all__ = ["NS_PER_MS", "NS_PER_S", "Clock", "SystemClock", "UtcLabel"]

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


class Clock(Protocol):
    """Something that tells monotonic time; ``streamfuse.testing.FakeClock`` is its twin."""

    def now_ns(self) -> int:
        """Monotonic time in nanoseconds."""


class SystemClock:
    """The host's monotonic clock."""

    def now_ns(self) -> int:
        """Monotonic time in nanoseconds."""
        return time.monotonic_ns()


@dataclass(frozen=True, slots=True)
class UtcLabel:
    """Maps monotonic time to UTC by one simultaneous reading of both clocks."""

    monotonic_ns: int
    utc_ns: int

    @classmethod
    def read(cls) -> UtcLabel:
        """Read both clocks now."""
        return cls(monotonic_ns=time.monotonic_ns(), utc_ns=time.time_ns())

    def utc_of(self, monotonic_ns: int) -> int:
        """UTC nanoseconds since 1970 for a monotonic time."""
        return self.utc_ns + (monotonic_ns - self.monotonic_ns)
