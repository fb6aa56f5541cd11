"""UTC labels follow the system's clock; nothing here touches the clock of the machine."""

from __future__ import annotations

import time

import pytest

from streamfuse.clock import NS_PER_MS, NS_PER_S, UtcFollower, UtcLabel


class SystemTime:
    """A system whose wall clock can be set; ``reads`` counts how often it was asked."""

    def __init__(self) -> None:
        self.monotonic_ns = 50 * NS_PER_S
        self.utc_ahead_ns = 1_700_000_000 * NS_PER_S
        self.reads = 0

    def read(self) -> UtcLabel:
        """Both clocks now."""
        self.reads += 1
        return UtcLabel(monotonic_ns=self.monotonic_ns, utc_ns=self.monotonic_ns + self.utc_ahead_ns)


def test_labels_follow_a_clock_that_is_set_and_say_so_once() -> None:
    """An hour ahead: labels are old until the next reading, new after it; one message."""
    system, words = SystemTime(), list[str]()
    utc = UtcFollower(read=system.read, every_s=10, on_step=words.append)
    before_ns = utc.utc_of(0)
    system.utc_ahead_ns += 3600 * NS_PER_S
    for seconds in range(1, 31):
        system.monotonic_ns = (50 + seconds) * NS_PER_S
        utc.follow(system.monotonic_ns)
        assert utc.utc_of(0) - before_ns == (3600 * NS_PER_S if seconds >= 10 else 0)
    assert words == [
        "the system's clock was set by +3600.0 s: UTC labels follow, decisions are not by it",
    ]
    assert system.reads == 4


def test_a_clock_that_is_slewed_is_followed_without_a_word() -> None:
    """NTP moves the clock by 5 ms between two readings; that is no step."""
    system, words = SystemTime(), list[str]()
    utc = UtcFollower(read=system.read, every_s=10, on_step=words.append)
    before_ns = utc.utc_of(0)
    system.utc_ahead_ns += 5 * NS_PER_MS
    system.monotonic_ns += 10 * NS_PER_S
    utc.follow(system.monotonic_ns)
    assert utc.utc_of(0) - before_ns == 5 * NS_PER_MS
    assert not words


def test_between_readings_labels_are_as_even_as_the_monotonic_clock() -> None:
    """Two frames 40 ms apart have labels 40 ms apart."""
    utc = UtcFollower(read=SystemTime().read)
    assert utc.utc_of(90 * NS_PER_S + 40 * NS_PER_MS) - utc.utc_of(90 * NS_PER_S) == 40 * NS_PER_MS


def test_the_real_clocks_are_read_together() -> None:
    """A label of now is the system's UTC of now."""
    before_ns = time.time_ns()
    label_ns = UtcLabel.read().utc_of(time.monotonic_ns())
    assert label_ns == pytest.approx(before_ns, abs=2 * NS_PER_S)
