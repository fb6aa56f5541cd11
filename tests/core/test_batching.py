"""Batches by size or deadline."""

from __future__ import annotations

import queue
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfuse.core.batching import Batcher, BatchPolicy

MS = 1_000_000


def batcher(
    max_batch: int = 4, max_delay_ms: float = 20.0, *, capacity: int = 8, newest_wins: bool = False
) -> Batcher[int]:
    """An empty batcher."""
    return Batcher(
        BatchPolicy(
            max_batch=max_batch, max_delay_ms=max_delay_ms, capacity=capacity, newest_wins=newest_wins
        )
    )


def test_a_full_batch_goes_out_at_once() -> None:
    """The fourth item completes a batch of four, without any delay."""
    items = batcher()
    for number in range(3):
        items.add(number, 0)
    assert items.take(0) == []
    items.add(3, 0)
    assert items.deadline_ns() == 0
    assert items.take(0) == [0, 1, 2, 3]
    assert items.deadline_ns() is None


def test_a_lonely_item_waits_for_company_until_its_deadline() -> None:
    """Whatever waits when the oldest has waited max_delay_ms goes out together."""
    items = batcher()
    items.add(1, 5 * MS)
    items.add(2, 15 * MS)
    assert items.deadline_ns() == 25 * MS
    assert items.take(25 * MS - 1) == []
    assert items.take(25 * MS) == [1, 2]


def test_flush_lets_go_of_all_that_wait_now_and_of_nothing_later() -> None:
    """A flush empties the batcher in batches; the item after it waits as usual."""
    items = batcher(max_batch=2, capacity=5)
    for number in range(3):
        items.add(number, 0)
    items.flush()
    assert [items.take(0), items.take(0), items.take(0)] == [[0, 1], [2], []]
    items.add(3, 0)
    assert items.take(0) == []


def test_the_newest_wins_when_the_engine_is_busy() -> None:
    """In realtime the oldest waiting item makes room, and is handed back to be accounted."""
    items = batcher(max_batch=2, capacity=2, newest_wins=True)
    assert [items.add(number, 0) for number in range(4)] == [[], [], [0], [1]]
    assert items.take(0) == [2, 3]


def test_a_dropped_item_takes_its_flush_with_it() -> None:
    """Items that came after a flush do not inherit it from the one they pushed out."""
    items = batcher(max_batch=2, capacity=2, newest_wins=True)
    items.add(0, 0)
    items.flush()
    items.add(1, 0)
    items.add(2, 0)
    assert items.take(0) == [1, 2]
    items.add(3, 0)
    assert items.take(0) == []


def test_without_newest_wins_the_caller_must_wait_for_room() -> None:
    """With every frame, room() is the back-pressure, and ignoring it is an error, not a loss."""
    items = batcher(max_batch=1, capacity=2)
    items.add(0, 0)
    assert items.room() == 1
    items.add(1, 0)
    assert items.room() == 0
    with pytest.raises(queue.Full, match=r"all 2 places are taken: ask room\(\) before add\(\)"):
        items.add(2, 0)
    assert len(items) == 2


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"max_batch": 0}, "max_batch must be at least 1, got 0"),
        ({"capacity": 3}, "capacity must hold one batch of 4, got 3"),
        ({"max_delay_ms": -1.0}, "max_delay_ms must be a number of at least 0, got -1.0"),
        ({"max_delay_ms": float("nan")}, "max_delay_ms must be a number of at least 0, got nan"),
    ],
)
def test_an_impossible_policy_is_refused(policy: dict[str, Any], message: str) -> None:
    """The error says what was expected and what was got."""
    with pytest.raises(ValueError, match=message):
        batcher(**policy)


steps = st.lists(st.tuples(st.sampled_from(["add", "take", "flush"]), st.integers(0, 30)), max_size=80)


@settings(deadline=None)
@given(steps, st.integers(1, 4), st.integers(0, 4), st.booleans())
def test_nothing_is_lost_doubled_or_reordered(
    story: list[tuple[str, int]], max_batch: int, spare: int, newest_wins: bool
) -> None:
    """Whatever happens, items come out once, in order, in batches of at most max_batch, and on time."""
    items = batcher(max_batch, capacity=max_batch + spare, newest_wins=newest_wins)
    now_ns = added = 0
    taken: list[int] = []
    dropped: list[int] = []
    for step, pause_ms in story:
        now_ns += pause_ms * MS
        if step == "flush":
            items.flush()
        elif step == "take":
            deadline_ns = items.deadline_ns()
            batch = items.take(now_ns)
            assert len(batch) <= max_batch
            assert bool(batch) == (deadline_ns is not None and deadline_ns <= now_ns)
            taken += batch
        elif items.room() or newest_wins:
            dropped += items.add(added, now_ns)
            added += 1
        assert len(items) <= max_batch + spare
    items.flush()
    while batch := items.take(now_ns):
        taken += batch
    assert taken == sorted(taken)
    assert sorted(taken + dropped) == list(range(added))
