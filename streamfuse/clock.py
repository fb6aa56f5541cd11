"""Time: monotonic nanoseconds decide, UTC labels.

Every schedule, age and deadline in streamfuse is in ``CLOCK_MONOTONIC`` nanoseconds, which all
processes of one host share and no clock step can move. UTC exists for people: in file names and
in the index of a recording. There :class:`UtcFollower` goes along when the system's clock is set, so a
step (NTP, a person) changes labels and nothing else. This is the only file that asks the system for the time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

__all__ = [
    "NS_PER_MS",
    "NS_PER_S",
    "Clock",
    "SystemClock",
    "Utc",
    "UtcFollower",
    "UtcLabel",
    "utc_datetime",
    "utc_text",
]

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

_UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_TOGETHER_NS: Final = NS_PER_MS // 10
"""Two clocks that are read within this time are read at the same moment."""
_ATTEMPTS: Final = 5


def utc_datetime(utc_ns: int) -> datetime:
    """Nanoseconds since 1970 as a moment, rounded down to milliseconds."""
    return _UNIX_EPOCH + timedelta(milliseconds=utc_ns // NS_PER_MS)


def utc_text(utc_ns: int) -> str:
    """Nanoseconds since 1970 in ISO 8601, rounded down to milliseconds: ``2026-11-22T06:53:30.125Z``."""
    return utc_datetime(utc_ns).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


class Clock(Protocol):
    """Something that tells monotonic time; ``streamfuse.testing.FakeClock`` is its twin."""

    def now_ns(self) -> int:
        """Monotonic time in nanoseconds."""


class SystemClock:
    """The host's monotonic clock."""

    def now_ns(self) -> int:
        """Monotonic time in nanoseconds."""
        return time.monotonic_ns()


class Utc(Protocol):
    """Something that labels monotonic times with UTC."""

    def utc_of(self, monotonic_ns: int) -> int:
        """UTC nanoseconds since 1970 for a monotonic time."""


@dataclass(frozen=True, slots=True)
class UtcLabel:
    """Maps monotonic time to UTC by one simultaneous reading of both clocks."""

    monotonic_ns: int
    utc_ns: int

    @classmethod
    def read(cls) -> UtcLabel:
        """Read both clocks now; of a few attempts the one that was interrupted least."""
        tightest: tuple[int, UtcLabel] | None = None
        for _ in range(_ATTEMPTS):
            before_ns = time.monotonic_ns()
            utc_ns = time.time_ns()
            took_ns = time.monotonic_ns() - before_ns
            if tightest is None or took_ns < tightest[0]:
                tightest = took_ns, cls(monotonic_ns=before_ns + took_ns // 2, utc_ns=utc_ns)
            if took_ns <= _TOGETHER_NS:
                break
        assert tightest is not None  # there was at least one attempt
        return tightest[1]

    def utc_of(self, monotonic_ns: int) -> int:
        """UTC nanoseconds since 1970 for a monotonic time."""
        return self.utc_ns + (monotonic_ns - self.monotonic_ns)


class UtcFollower:
    """UTC labels that follow the system's clock when it is slewed or set.

    Args:
        read: reads both clocks.
        every_s: how often they are read again, in seconds of the monotonic clock.
        step_ms: a difference above this is a step and told to ``on_step``; a smaller one is the
            system's clock being slewed, and goes without saying.
        on_step: called once per step with one sentence.
    """

    def __init__(
        self,
        *,
        read: Callable[[], UtcLabel] = UtcLabel.read,
        every_s: float = 2.0,
        step_ms: float = 500.0,
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._read = read
        self._every_ns = round(every_s * NS_PER_S)
        self._step_ns = round(step_ms * NS_PER_MS)
        self._on_step = on_step
        self._label = read()

    def follow(self, now_ns: int) -> None:
        """Read the clocks again if it is time to; call it now and then, in every turn of a loop."""
        if now_ns - self._label.monotonic_ns < self._every_ns:
            return
        label, before = self._read(), self._label
        self._label = label
        moved_ns = label.utc_of(0) - before.utc_of(0)
        if abs(moved_ns) > self._step_ns:
            self._on_step(
                f"the system's clock was set by {moved_ns / NS_PER_S:+.1f} s: "
                "UTC labels follow, decisions are not by it"
            )

    def utc_of(self, monotonic_ns: int) -> int:
        """UTC nanoseconds since 1970 for a monotonic time, as the system's clock stands by now."""
        return self._label.utc_of(monotonic_ns)
