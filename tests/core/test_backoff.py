"""When to try again."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfuse.clock import Clock
from streamfuse.core.backoff import Backoff
from streamfuse.testing import FakeClock


def test_delays_double_up_to_the_cap() -> None:
    """Without jitter: 0.5, 1, 2 ... 16, 30, 30 seconds."""
    backoff = Backoff(jitter=0)
    assert [backoff.next_delay_s() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_success_starts_over() -> None:
    """After a reset the next failure waits the first delay again."""
    backoff = Backoff(jitter=0)
    for _ in range(5):
        backoff.next_delay_s()
    backoff.reset()
    assert backoff.next_delay_s() == 0.5


def test_the_same_seed_gives_the_same_delays() -> None:
    """A run can be repeated; another seed gives other delays."""
    backoffs = [Backoff(rng=random.Random(seed)) for seed in (1, 1, 2)]  # noqa: S311 - a repeatable test
    one, two, three = ([backoff.next_delay_s() for _ in range(4)] for backoff in backoffs)
    assert one == two != three


@settings(deadline=None)
@given(st.integers(0, 2**32), st.floats(0, 0.99), st.floats(1, 10))
def test_jitter_stays_within_its_share_and_below_the_cap(seed: int, jitter: float, factor: float) -> None:
    """However long a camera is away, each delay is near its nominal and never above max_s."""
    rng = random.Random(seed)  # noqa: S311 - a repeatable test
    backoff = Backoff(factor=factor, jitter=jitter, rng=rng)
    nominal_s = 0.5
    for _ in range(1200):
        delay_s = backoff.next_delay_s()
        assert nominal_s * (1 - jitter) <= delay_s <= min(nominal_s * (1 + jitter), 30) * (1 + 1e-12)
        nominal_s = min(nominal_s * factor, 30.0)


def test_cameras_that_failed_together_do_not_come_back_together() -> None:
    """Without a seed, two backoffs differ."""
    one, two = Backoff(), Backoff()
    assert [one.next_delay_s() for _ in range(4)] != [two.next_delay_s() for _ in range(4)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"first_s": 0.0}, "0 < first_s <= max_s, got 0.0 and 30.0"),
        ({"first_s": 40.0}, "0 < first_s <= max_s, got 40.0 and 30.0"),
        ({"factor": 0.5}, "factor must be at least 1, got 0.5"),
        ({"jitter": 1.0}, r"jitter is a fraction within 0\.\.1, got 1.0"),
    ],
)
def test_delays_that_make_no_sense_are_refused(arguments: dict[str, Any], message: str) -> None:
    """The error says what was expected and what was got."""
    with pytest.raises(ValueError, match=message):
        Backoff(**arguments)


def test_the_fake_clock_moves_only_when_told_and_never_back() -> None:
    """It stands in for the system's clock."""
    clock: Clock = FakeClock(start_ns=7)
    assert clock.now_ns() == clock.now_ns() == 7
    fake = FakeClock()
    fake.advance_ms(1.5)
    assert fake.now_ns() == 1_500_000
    with pytest.raises(ValueError, match="cannot go back, got -1 ms"):
        fake.advance_ms(-1)
