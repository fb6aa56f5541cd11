"""Batches made ahead of time."""

from __future__ import annotations

import threading

import pytest

from streamfuse.jobs.training.ahead import Ahead


def test_every_step_gets_what_belongs_to_it() -> None:
    """In order, with a jump, and up to the last step; the step after it is never made."""
    made: list[int] = []

    def make(step: int) -> int:
        made.append(step)
        return 10 * step

    with Ahead(make, steps=6) as ahead:
        assert [ahead.take(step) for step in (0, 1, 2, 4, 5)] == [0, 10, 20, 40, 50]
    assert max(made) == 5


def test_the_next_one_is_made_in_another_thread() -> None:
    """The first has to be waited for, the others are made while the taker does something else."""
    with Ahead(lambda _: threading.current_thread().name, steps=3) as ahead:
        names = [ahead.take(step) for step in range(3)]
    assert names[0] == threading.current_thread().name
    assert all(name.startswith("batches") for name in names[1:])


def test_an_error_comes_out_where_its_batch_is_taken() -> None:
    """Not earlier, and not in silence."""
    with Ahead(lambda step: 1 / (1 - step), steps=3) as ahead:
        assert ahead.take(0) == 1
        with pytest.raises(ZeroDivisionError):
            ahead.take(1)
