"""Pairing, as promises that hold for any two streams."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from streamfuse.core.pairing import (
    OnMissing,
    Outcome,
    Paired,
    Pairer,
    PairingMode,
    PairingPolicy,
    Unpaired,
)
from streamfuse.frames import PairState, StreamName

VISIBLE, INFRARED = StreamName.VISIBLE, StreamName.INFRARED
MS = 1_000_000

FILES = PairingPolicy(visible_fps=30.0, infrared_fps=25.0, every_frame=True)
"""With a skew limit of 25 ms."""

Numbered = tuple[int, int]

Event = tuple[StreamName, int, int]
"""Stream, capture time and time since the event before, in ms."""

times = st.lists(st.integers(0, 1000), max_size=40)
events = st.lists(
    st.tuples(st.sampled_from(StreamName), st.integers(0, 1000), st.integers(0, 60)), max_size=120
)
policies = st.builds(
    PairingPolicy,
    mode=st.sampled_from(PairingMode),
    base=st.sampled_from(StreamName),
    visible_fps=st.sampled_from([2.0, 30.0, 60.0]),
    infrared_fps=st.sampled_from([8.7, 30.0]),
    max_skew_ms=st.sampled_from([None, 0.0, 10.0, 400.0]),
    max_wait_ms=st.sampled_from([0.0, 20.0, 500.0]),
    on_missing=st.sampled_from(OnMissing),
    max_hold_ms=st.sampled_from([0.0, 250.0]),
    offset_ms=st.sampled_from([-30.0, 0.0, 7.5]),
    every_frame=st.booleans(),
)


def reported(outcomes: Iterable[Outcome[int]]) -> Counter[tuple[StreamName, int | None]]:
    """How often each frame was reported."""
    counts: Counter[tuple[StreamName, int | None]] = Counter()
    for outcome in outcomes:
        if isinstance(outcome, Unpaired):
            counts[outcome.stream, outcome.item] += 1
        else:
            shown = {VISIBLE: outcome.visible, INFRARED: outcome.infrared}
            counts.update((stream, item) for stream, item in shown.items() if stream in outcome.fresh)
    return counts


@settings(deadline=None)
@given(policies, events, st.data())
def test_every_frame_is_reported_exactly_once(
    rules: PairingPolicy, story: list[Event], data: st.DataObject
) -> None:
    """Whatever comes, in any order and mode, while the offset is corrected: each frame has one fate."""
    pairer: Pairer[int] = Pairer(rules)
    outcomes: list[Outcome[int]] = []
    pushed: Counter[tuple[StreamName, int | None]] = Counter()
    now_ns = 0
    for number, (stream, capture_ms, pause_ms) in enumerate(story):
        now_ns += pause_ms * MS
        pairer.push(stream, number, capture_ns=capture_ms * MS, now_ns=now_ns)
        pushed[stream, number] += 1
        if data.draw(st.booleans()):
            outcomes += pairer.poll(now_ns)
        if data.draw(st.integers(0, 9)) == 0:
            pairer.set_offset_ms(data.draw(st.integers(-300, 300)))
        fates = reported(outcomes)
        for name in StreamName:
            total = sum(1 for key in pushed if key[0] is name)
            assert total == pairer.held(name) + sum(1 for key in fates if key[0] is name)
            assert pairer.room(name) >= 0
    for stream in data.draw(st.permutations(list(StreamName))):
        pairer.end(stream)
    outcomes += pairer.poll(now_ns)
    assert reported(outcomes) == pushed
    assert pairer.held(VISIBLE) == pairer.held(INFRARED) == 0
    assert pairer.deadline_ns() is None


@settings(deadline=None)
@given(policies, events)
def test_the_deadline_neither_lies_nor_sleeps_in(rules: PairingPolicy, story: list[Event]) -> None:
    """Before the deadline a poll brings nothing, at the deadline it brings something."""
    pairer: Pairer[int] = Pairer(rules)
    now_ns = 0
    for number, (stream, capture_ms, pause_ms) in enumerate(story):
        now_ns += pause_ms * MS
        while (deadline_ns := pairer.deadline_ns()) is not None and deadline_ns <= now_ns:
            assert pairer.poll(deadline_ns - 1) == []
            assert pairer.poll(deadline_ns) != []
        pairer.push(stream, number, capture_ns=capture_ms * MS, now_ns=now_ns)
        pairer.poll(now_ns)


strides = st.lists(st.tuples(st.sampled_from(StreamName), st.integers(1, 80)), max_size=120)


@settings(deadline=None)
@given(policies, strides)
def test_pairs_come_in_order_and_say_the_truth(
    rules: PairingPolicy, story: list[tuple[StreamName, int]]
) -> None:
    """Pairs never go back in time, and state, skew and age follow from the two frames shown."""
    pairer: Pairer[float] = Pairer(rules)
    shown_ms = []
    now_ms = 0
    for stream, pause_ms in story:
        now_ms += pause_ms
        moment_ms = now_ms + (rules.offset_ms if stream is INFRARED else 0.0)
        pairer.push(stream, moment_ms, capture_ns=now_ms * MS, now_ns=now_ms * MS)
        shown_ms += [told_truly(pair) for pair in pairer.poll(now_ms * MS) if isinstance(pair, Paired)]
    assert shown_ms == sorted(shown_ms)


def told_truly(pair: Paired[float]) -> float:
    """The time of a pair whose frames are known by theirs, once all it says is checked."""
    first, second = pair.visible, pair.infrared
    timed_by = first if pair.timed_by is VISIBLE else second
    assert timed_by is not None
    assert pair.skew_ms == (None if first is None or second is None else second - first)
    assert pair.infrared_age_ms == (None if second is None else max(0.0, timed_by - second))
    assert (pair.state is PairState.VISIBLE_ONLY) == (second is None)
    assert (pair.state is PairState.INFRARED_ONLY) == (first is None)
    return timed_by


@settings(deadline=None)
@given(policies, strides)
def test_a_match_keeps_to_the_limit_and_what_is_held_to_its_age(
    rules: PairingPolicy, story: list[tuple[StreamName, int]]
) -> None:
    """Whatever the mode: no match beyond the skew limit in force, nothing held beyond max_hold_ms."""
    pairer: Pairer[float] = Pairer(rules)
    now_ms = 0
    for stream, pause_ms in story:
        now_ms += pause_ms
        limit_ms = pairer.skew_limit_ms
        pairer.push(stream, now_ms, capture_ns=now_ms * MS, now_ns=now_ms * MS)
        limit_ms = max(limit_ms, pairer.skew_limit_ms)
        for pair in pairer.poll(now_ms * MS):
            if isinstance(pair, Paired) and pair.skew_ms is not None:
                matched = pair.state is PairState.MATCHED
                assert abs(pair.skew_ms) <= (limit_ms if matched else rules.max_hold_ms)


@settings(deadline=None)
@given(policies, st.sampled_from([PairingMode.NEAREST, PairingMode.EXACT]), events)
def test_where_a_frame_is_matched_once_it_is_never_matched_twice(
    rules: PairingPolicy, mode: PairingMode, story: list[Event]
) -> None:
    """With `nearest` and `exact` each frame is in one match at most, whatever comes in whatever order."""
    pairer: Pairer[int] = Pairer(replace(rules, mode=mode))
    matched: Counter[int | None] = Counter()
    now_ns = 0
    for number, (stream, capture_ms, pause_ms) in enumerate(story):
        now_ns += pause_ms * MS
        pairer.push(stream, number, capture_ns=capture_ms * MS, now_ns=now_ns)
        for pair in pairer.poll(now_ns):
            if isinstance(pair, Paired) and pair.state is PairState.MATCHED:
                matched.update((pair.visible, pair.infrared))
    assert not [number for number, times in matched.items() if times > 1]


@settings(deadline=None)
@given(policies, strides, st.floats(-100, 100))
def test_a_corrected_offset_reorders_nothing(
    rules: PairingPolicy, story: list[tuple[StreamName, int]], offset_ms: float
) -> None:
    """When the offset changes in the middle, the base frames still come out in the order they came in."""
    pairer: Pairer[int] = Pairer(replace(rules, mode=PairingMode.BASE))
    shown = []
    now_ms = 0
    for number, (stream, pause_ms) in enumerate(story):
        now_ms += pause_ms
        pairer.push(stream, number, capture_ns=now_ms * MS, now_ns=now_ms * MS)
        if number == len(story) // 2:
            pairer.set_offset_ms(offset_ms)
        pairs = [pair for pair in pairer.poll(now_ms * MS) if isinstance(pair, Paired)]
        timed = [pair for pair in pairs if pair.timed_by is rules.base]
        shown += [pair.visible if rules.base is VISIBLE else pair.infrared for pair in timed]
    assert shown == sorted(number for number in shown if number is not None)


def play(
    rules: PairingPolicy, visible: list[int], infrared: list[int], order: list[bool]
) -> list[Outcome[Numbered]]:
    """Push (number, capture time in ms) in the given interleaving, poll all the time, end the streams."""
    pairer: Pairer[Numbered] = Pairer(rules)
    left = {VISIBLE: list(enumerate(visible)), INFRARED: list(enumerate(infrared))}
    outcomes: list[Outcome[Numbered]] = []
    for turn in [VISIBLE if first else INFRARED for first in order] + [VISIBLE, INFRARED] * 50:
        if left[turn]:
            frame = left[turn].pop(0)
            pairer.push(turn, frame, capture_ns=frame[1] * MS, now_ns=0)
        else:
            pairer.end(turn)
        outcomes += pairer.poll(0)
    return outcomes


@settings(deadline=None)
@given(policies, times, times, st.lists(st.booleans(), max_size=80), st.lists(st.booleans(), max_size=80))
def test_with_every_frame_the_order_of_arrival_changes_nothing(
    rules: PairingPolicy, visible: list[int], infrared: list[int], order: list[bool], another: list[bool]
) -> None:
    """Files give the same pairs whoever is read first, even where their times are out of order."""
    rules = replace(rules, every_frame=True)
    one = play(rules, visible, infrared, order)
    two = play(rules, visible, infrared, another)
    assert [o for o in one if isinstance(o, Paired)] == [o for o in two if isinstance(o, Paired)]
    assert Counter(o for o in one if isinstance(o, Unpaired)) == Counter(
        o for o in two if isinstance(o, Unpaired)
    )


@settings(deadline=None)
@given(times, st.sets(st.integers(0, 1000), max_size=40))
def test_with_every_frame_each_base_frame_gets_the_nearest_of_all(
    visible: list[int], infrared: set[int]
) -> None:
    """The result equals a search over both whole files."""
    outcomes = play(FILES, sorted(visible), sorted(infrared), [])
    pairs = [outcome for outcome in outcomes if isinstance(outcome, Paired)]
    expected: list[tuple[int | None, int | None]] = []
    for base in sorted(visible):
        nearest = min(sorted(infrared), key=lambda ms: abs(ms - base), default=None)
        if nearest is None or abs(nearest - base) > 25:
            nearest = max((ms for ms in infrared if base - 250 <= ms <= base), default=None)
        expected.append((base, nearest))
    assert [
        (pair.visible and pair.visible[1], pair.infrared and pair.infrared[1]) for pair in pairs
    ] == expected


@settings(deadline=None)
@given(st.sets(st.integers(0, 1000), max_size=40), st.sets(st.integers(0, 1000), max_size=40))
def test_with_nearest_a_frame_goes_to_the_nearest_of_those_that_want_it(
    visible: set[int], infrared: set[int]
) -> None:
    """The result equals a search over both whole files."""
    rules = replace(FILES, mode=PairingMode.NEAREST)
    outcomes = play(rules, sorted(visible), sorted(infrared), [])
    wanting: dict[int, list[int]] = {}
    for base in sorted(visible):
        if infrared:
            wanting.setdefault(min(sorted(infrared), key=lambda ms: abs(ms - base)), []).append(base)
    best = {min(bases, key=lambda ms: abs(ms - wanted)): wanted for wanted, bases in wanting.items()}
    expected = {base: wanted for base, wanted in best.items() if abs(wanted - base) <= 25}
    assert {
        pair.visible[1]: pair.infrared[1]
        for pair in outcomes
        if isinstance(pair, Paired) and pair.state is PairState.MATCHED and pair.visible and pair.infrared
    } == expected


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(PairingMode),
    st.sampled_from(StreamName),
    st.tuples(st.integers(1, 100), st.integers(1, 100)),
    st.integers(0, 2**32),
)
def test_readers_that_ask_for_room_lose_no_frame_and_never_lock_up(
    mode: PairingMode, base: StreamName, periods_ms: tuple[int, int], seed: int
) -> None:
    """Two long files of any rates, read at random while there is room: all base frames come out."""
    visible_fps, infrared_fps = (1000 / period_ms for period_ms in periods_ms)
    rules = replace(FILES, mode=mode, base=base, visible_fps=visible_fps, infrared_fps=infrared_fps)
    pairer: Pairer[int] = Pairer(rules)
    periods = dict(zip(StreamName, periods_ms, strict=True))
    readers = random.Random(seed)  # noqa: S311 - an order of reading, not a secret
    pushed = dict.fromkeys(StreamName, 0)
    pairs = 0
    while sum(pushed.values()) < 1000:
        open_streams = [stream for stream in StreamName if pairer.room(stream)]
        assert open_streams, "both buffers are full and nothing can be decided"
        stream = readers.choice(open_streams)
        pairer.push(stream, pushed[stream], capture_ns=pushed[stream] * periods[stream] * MS, now_ns=0)
        pushed[stream] += 1
        pairs += sum(isinstance(outcome, Paired) for outcome in pairer.poll(0))
    base = pairer.policy.base
    assert pairs == pushed[base] - pairer.held(base)
