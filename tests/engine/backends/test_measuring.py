"""Measuring backends: the fastest stays open, the others are cut short and closed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from streamfuse.engine.backends.base import Backend, Precision
from streamfuse.engine.backends.choices import Choice, Measured
from streamfuse.engine.backends.measuring import SIZE_WH, Candidate, Opened, measure_all
from streamfuse.engine.backends.recipe import Recipe
from streamfuse.errors import MachineError, UsageError
from streamfuse.testing import FakeClock


class Timed:
    """A backend that takes so many milliseconds."""

    device = "a clock"
    precision = Precision.FLOAT32
    useful_batch = 1
    memory_bytes = None
    last_result = None

    def __init__(self, name: str, clock: FakeClock, *took_ms: float) -> None:
        self.name = name
        self.clock = clock
        self.took_ms = list(took_ms)
        self.runs = 0
        self.closed = False

    def warm_up(self, recipe: Recipe, batch: int, size_wh: tuple[int, int]) -> None:
        """Takes long; must not count."""
        assert (recipe, batch, size_wh) == (Recipe.LUMA, 1, SIZE_WH)
        self.clock.advance_ms(10_000)

    def run(self, recipe: Recipe, *arrays: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:  # noqa: ARG002 - protocol
        """Let the time pass; the last of the times repeats."""
        self.clock.advance_ms(self.took_ms[min(self.runs, len(self.took_ms) - 1)])
        self.runs += 1
        result: npt.NDArray[np.uint8] = arrays[0]
        return result

    def close(self) -> None:
        """Remember it."""
        self.closed = True


class Failing(Timed):
    """Opens, and fails at its first image."""

    def warm_up(self, *_: object) -> None:
        """Fail."""
        raise MachineError("the device is on fire")


@pytest.fixture
def clock() -> FakeClock:
    """Moved by the backends."""
    return FakeClock()


def candidates(*backends: Timed) -> list[Candidate]:
    """One for each."""
    return [Candidate(backend=one.name, open=lambda one=one: one) for one in backends]


def raising(error: Exception) -> Backend:
    """Opens nothing."""
    raise error


def test_the_fastest_stays_open(clock: FakeClock) -> None:
    """Whatever the order, the ranking is by time, and all but the first of it are closed."""
    middle, slow, fast = Timed("middle", clock, 50), Timed("slow", clock, 90), Timed("fast", clock, 7)
    found = measure_all(candidates(middle, slow, fast), clock=clock)
    assert isinstance(found, Opened)
    assert found.backend is fast
    assert [(one.backend, one.ms) for one in found.choice.ranking] == [
        ("fast", 7.0), ("middle", 50.0), ("slow", 90.0)
    ]  # fmt: skip
    assert (fast.closed, middle.closed, slow.closed) == (False, True, True)


def test_the_best_run_counts(clock: FakeClock) -> None:
    """What else the machine does only adds time, so one run without it is enough."""
    disturbed, steady = Timed("disturbed", clock, 70, 70, 9, 70), Timed("steady", clock, 10)
    found = measure_all(candidates(steady, disturbed), clock=clock)
    assert isinstance(found, Opened)
    assert found.choice.ranking[0] == Measured("steady", Precision.FLOAT32, 10.0)
    found = measure_all(candidates(Timed("disturbed", clock, 70, 70, 9, 70), steady), clock=clock)
    assert isinstance(found, Opened)
    assert found.choice.ranking[0] == Measured("disturbed", Precision.FLOAT32, 9.0)


def test_the_hopeless_are_cut_short_and_the_slow_do_not_take_for_ever(clock: FakeClock) -> None:
    """One run shows that it is plainly slower; a slow one without a rival runs three times."""
    fast, hopeless = Timed("fast", clock, 10), Timed("hopeless", clock, 500)
    measure_all(candidates(fast, hopeless), clock=clock)
    assert (fast.runs, hopeless.runs) == (5, 1)
    alone = Timed("alone", clock, 500)
    measure_all(candidates(alone), clock=clock)
    assert alone.runs == 3


def test_what_fails_is_said_and_closed(clock: FakeClock) -> None:
    """At opening or at the first image: a clause each, and the next is measured."""
    broken, good = Failing("broken", clock), Timed("good", clock, 5)
    missing = Candidate(backend="missing", open=lambda: raising(MachineError("no such library")))
    other = Candidate(backend="other", open=lambda: raising(UsageError("no such precision")))
    found = measure_all([missing, other, *candidates(broken, good)], clock=clock)
    assert isinstance(found, Opened)
    assert found.backend is good
    assert found.choice.failures == (
        "missing: no such library", "other: no such precision", "broken: the device is on fire"
    )  # fmt: skip
    assert broken.closed


def test_where_nothing_works_the_failures_come_back(clock: FakeClock) -> None:
    """Without a ranking."""
    found = measure_all(candidates(Failing("broken", clock)), clock=clock)
    assert found == Choice((), ("broken: the device is on fire",))


def test_a_stand_in_is_measured_only_without_its_better(clock: FakeClock) -> None:
    """What is never faster than another is opened only where that does not work."""
    stand_in = Timed("stand-in", clock, 1)
    late = Candidate(backend="stand-in", open=lambda: stand_in, unless="better")
    found = measure_all([*candidates(Timed("better", clock, 5)), late], clock=clock)
    assert isinstance(found, Opened)
    assert found.backend.name == "better"
    found = measure_all([*candidates(Failing("better", clock)), late], clock=clock)
    assert isinstance(found, Opened)
    assert found.backend is stand_in
