"""Batches of a network that several lanes share: size or deadline, fair, of one kind."""

from __future__ import annotations

import queue
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfuse.core.sharing import LanePolicy, SharedBatcher

MS = 1_000_000
Item = tuple[str, int]
"""Lane, and number within it."""


def policy(**changes: Any) -> LanePolicy:
    """Batches of four, 20 ms, without losses."""
    usual: dict[str, Any] = {
        "max_batch": 4,
        "max_delay_ms": 20.0,
        "capacity": 8,
        "newest_wins": False,
        "max_out": 1_000_000,
    }
    return LanePolicy(**usual | changes)


def lanes(**policies: LanePolicy) -> SharedBatcher[Item]:
    """A batcher with these lanes."""
    batcher: SharedBatcher[Item] = SharedBatcher()
    for name, each in policies.items():
        batcher.open(name, each)
    return batcher


def fill(batcher: SharedBatcher[Item], lane: str, count: int, *, first: int = 0, at_ns: int = 0) -> None:
    """Put items into a lane."""
    for number in range(first, first + count):
        batcher.add(lane, (lane, number), at_ns)


def test_pairs_of_two_lanes_fill_one_batch_at_once() -> None:
    """The fourth item completes a batch of four, whoever it is from."""
    batcher = lanes(a=policy(), b=policy())
    fill(batcher, "a", 2)
    fill(batcher, "b", 1)
    assert batcher.take(0) == {}
    fill(batcher, "b", 1, first=1)
    assert batcher.deadline_ns() == 0
    assert batcher.take(0) == {"a": [("a", 0), ("a", 1)], "b": [("b", 0), ("b", 1)]}
    assert batcher.deadline_ns() is None


def test_the_shortest_patience_of_a_lane_sets_the_deadline() -> None:
    """Whatever waits goes out with the lane that would otherwise wait too long."""
    batcher = lanes(a=policy(max_delay_ms=50), b=policy(max_delay_ms=5))
    fill(batcher, "a", 1, at_ns=0)
    assert batcher.deadline_ns() == 50 * MS
    fill(batcher, "b", 1, at_ns=10 * MS)
    assert batcher.take(15 * MS - 1) == {}
    assert batcher.take(15 * MS) == {"a": [("a", 0)], "b": [("b", 0)]}


def test_flush_lets_go_of_a_lane_and_of_company() -> None:
    """A lane that has ended does not wait for company that may never come."""
    batcher = lanes(a=policy(), b=policy())
    fill(batcher, "a", 1)
    batcher.flush("b")
    assert batcher.take(0) == {}
    batcher.flush("a")
    assert batcher.take(0) == {"a": [("a", 0)]}


def test_what_cannot_be_mixed_goes_out_apart_and_by_turns() -> None:
    """Lanes whose images have other sizes share the network and no batch."""
    batcher = lanes(a=policy(kind="vga"), b=policy(kind="hd"))
    fill(batcher, "a", 8)
    fill(batcher, "b", 8)
    assert [set(batcher.take(0)) for _ in range(4)] == [{"a"}, {"b"}, {"a"}, {"b"}]


def test_the_newest_of_a_lane_wins_and_costs_no_other_lane() -> None:
    """In realtime the oldest waiting item of the same lane makes room, and is handed back to be accounted."""
    batcher = lanes(a=policy(newest_wins=True, capacity=4), b=policy())
    fill(batcher, "b", 1)
    dropped = [batcher.add("a", ("a", number), 0) for number in range(6)]
    assert dropped == [[], [], [], [], [("a", 0)], [("a", 1)]]
    assert batcher.waiting("b") == 1


def test_without_newest_wins_the_caller_must_wait_for_room() -> None:
    """With every frame, room() is the back-pressure, and ignoring it is an error, not a loss."""
    batcher = lanes(a=policy(max_batch=1, capacity=2))
    fill(batcher, "a", 2)
    assert batcher.room("a") == 0
    with pytest.raises(queue.Full, match=r"all 2 places are taken: ask room\(\) before add\(\)"):
        batcher.add("a", ("a", 2), 0)


def test_a_lane_whose_results_nobody_takes_does_not_stop_the_other() -> None:
    """What is out is bounded for each lane; a lane at its bound waits, and the other has the network."""
    batcher = lanes(a=policy(max_out=4), b=policy())
    for _ in range(3):
        fill(batcher, "a", batcher.room("a"))
        fill(batcher, "b", batcher.room("b"))
        batcher.take(0)
    assert batcher.out("a") == 4
    assert set(batcher.take(0)) == {"b"}
    batcher.settle("a", 2)
    assert batcher.out("a") == 2
    fill(batcher, "b", batcher.room("b"))
    assert set(batcher.take(0)) == {"a", "b"}
    with pytest.raises(ValueError, match="5 items of lane 'a' cannot be settled, 4 are out"):
        batcher.settle("a", 5)


def test_a_limit_keeps_surplus_items_from_the_network() -> None:
    """No more are taken in all than are wanted; the surplus can be taken back."""
    batcher = lanes(a=policy(most=5))
    fill(batcher, "a", 8)
    assert [len(batcher.take(100 * MS).get("a", [])) for _ in range(3)] == [4, 1, 0]
    assert batcher.deadline_ns() is None
    assert batcher.withdraw("a") == [("a", 5), ("a", 6), ("a", 7)]


def test_a_dear_item_counts_for_many_cheap_ones() -> None:
    """Fairness is about what the network's time goes by: pixels, not pairs."""
    batcher = lanes(big=policy(kind="hd", max_batch=1, cost=6.0), small=policy(kind="vga", max_batch=1))
    had: Counter[str] = Counter()
    for _ in range(700):
        for lane in ("big", "small"):
            fill(batcher, lane, batcher.room(lane))
        (lane,) = batcher.take(0)
        had[lane] += 1
    assert had["small"] / had["big"] == pytest.approx(6, abs=0.1)


def test_a_lane_that_was_quiet_has_no_more_than_its_share_when_it_comes_back() -> None:
    """Nobody saves up: after a thousand items of the other, both have half, give or take one batch."""
    batcher = lanes(a=policy(), b=policy())
    for _ in range(250):
        fill(batcher, "a", batcher.room("a"))
        batcher.take(0)
    had: Counter[str] = Counter()
    for _ in range(10):
        for lane in ("a", "b"):
            fill(batcher, lane, batcher.room(lane))
        had.update({lane: len(items) for lane, items in batcher.take(0).items()})
    assert abs(had["a"] - had["b"]) <= 4


def test_a_lane_is_opened_once_and_may_come_again() -> None:
    """What waited in a lane goes with it."""
    batcher = lanes(a=policy())
    fill(batcher, "a", 3)
    with pytest.raises(ValueError, match="lane 'a' is open already"):
        batcher.open("a", policy())
    batcher.close("a")
    batcher.open("a", policy())
    assert batcher.deadline_ns() is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_batch": 0}, "max_batch must be at least 1, got 0"),
        ({"capacity": 3}, "capacity must hold one batch of 4, got 3"),
        ({"max_out": 3}, "max_out must hold one batch of 4, got 3"),
        ({"max_delay_ms": -1.0}, "max_delay_ms must be a number of at least 0, got -1.0"),
        ({"max_delay_ms": float("nan")}, "max_delay_ms must be a number of at least 0, got nan"),
        ({"most": -1}, "most must be at least 0, got -1"),
        ({"cost": 0.0}, "cost must be a number above 0, got 0.0"),
    ],
)
def test_an_impossible_policy_is_refused(changes: dict[str, Any], message: str) -> None:
    """The error says what was expected and what was got."""
    with pytest.raises(ValueError, match=message):
        policy(**changes)


NAMES = ("a", "b", "c")
stories = st.lists(
    st.tuples(
        st.sampled_from(["add", "take", "settle", "flush"]), st.sampled_from(NAMES), st.integers(0, 30)
    ),
    max_size=120,
)
policies = st.builds(
    lambda kind, batch, spare, newest_wins: policy(
        kind=kind, max_batch=batch, capacity=batch + spare, max_out=2 * batch, newest_wins=newest_wins
    ),
    *(st.integers(1, 2), st.integers(1, 4), st.integers(0, 4), st.booleans()),
)


class Story:
    """Lanes to which things happen, and what came of each item."""

    def __init__(self, rules: dict[str, LanePolicy]) -> None:
        self.rules = rules
        self.batcher = lanes(**rules)
        self.now_ns = 0
        self.added = Counter[str]()
        self.out = Counter[str]()
        self.taken: dict[str, list[int]] = {name: [] for name in rules}
        self.dropped: dict[str, list[int]] = {name: [] for name in rules}

    def happen(self, step: str, lane: str) -> None:
        """One step."""
        match step:
            case "take":
                self.take()
            case "flush":
                self.batcher.flush(lane)
            case "settle":
                self.batcher.settle(lane, self.out.pop(lane, 0))
            case "add" if self.batcher.room(lane) or self.rules[lane].newest_wins:
                gone = self.batcher.add(lane, (lane, self.added[lane]), self.now_ns)
                self.dropped[lane] += (number for _, number in gone)
                self.added[lane] += 1

    def take(self) -> bool:
        """Take what is due: on time and not before, of one kind, no larger than any of its lanes allows."""
        due_ns = self.batcher.deadline_ns()
        batch = self.batcher.take(self.now_ns)
        assert bool(batch) == (due_ns is not None and due_ns <= self.now_ns)
        assert len({self.rules[lane].kind for lane in batch}) <= 1
        for lane, items in batch.items():
            assert sum(map(len, batch.values())) <= self.rules[lane].max_batch
            self.taken[lane] += (number for _, number in items)
            self.out[lane] += len(items)
            assert self.out[lane] <= self.rules[lane].max_out
        return bool(batch)


@settings(deadline=None)
@given(stories, st.tuples(policies, policies, policies))
def test_nothing_is_lost_doubled_reordered_mixed_or_late(
    steps: list[tuple[str, str, int]], given_policies: tuple[LanePolicy, ...]
) -> None:
    """Whatever happens, each item comes out once, in its lane's order, in batches of one kind and on time."""
    story = Story(dict(zip(NAMES, given_policies, strict=True)))
    for step, lane, pause_ms in steps:
        story.now_ns += pause_ms * MS
        story.happen(step, lane)
        assert all(story.batcher.waiting(name) <= rule.capacity for name, rule in story.rules.items())
    for lane in NAMES:
        story.happen("flush", lane)
    while story.take():
        for lane in NAMES:
            story.happen("settle", lane)
    for lane in NAMES:
        assert story.taken[lane] == sorted(story.taken[lane])
        assert sorted(story.taken[lane] + story.dropped[lane]) == list(range(story.added[lane]))


@settings(deadline=None)
@given(
    st.integers(1, 5),
    st.lists(st.integers(0, 9), min_size=1, max_size=60),
    st.floats(0.1, 10.0),
    st.integers(1, 2),
)
def test_a_flood_starves_nobody(batch: int, arrivals: list[int], cost: float, kinds: int) -> None:
    """A lane that waits is behind a flood by no more than the cost of one item of each, at any time."""
    calm = policy(max_batch=batch, capacity=100_000, kind=0, max_delay_ms=0)
    flood = policy(max_batch=batch, capacity=1_000, kind=kinds - 1, cost=cost, max_delay_ms=0)
    batcher = lanes(calm=calm, flood=flood)
    had = {"calm": 0.0, "flood": 0.0}
    number = 0
    for arriving in arrivals:
        fill(batcher, "flood", batcher.room("flood"))
        fill(batcher, "calm", arriving, first=number)
        number += arriving
        for lane, items in batcher.take(0).items():
            had[lane] += len(items) * (cost if lane == "flood" else 1.0)
        if not batcher.waiting("calm"):  # it has all it wants: what it had counts no more
            had = {"calm": 0.0, "flood": 0.0}
        # A batch of one kind is given out as a whole, so lanes of two kinds may be a batch apart.
        apart = (1.0 + cost) * (1 if kinds == 1 else batch)
        assert had["flood"] - had["calm"] <= apart + 1e-6
