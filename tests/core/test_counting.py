"""Counts at lines and in zones: who crosses, who is there, for how long."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.clock import NS_PER_S
from streamfuse.config.tasks import Rule
from streamfuse.core.counting import RuleCounter
from streamfuse.frames import Count, CountKind, Detection

SIZE_WH = (200, 100)
ACROSS = {"line": ((0.5, 0.0), (0.5, 1.0))}  # downwards through the middle; its left is the picture's right
YARD = {"zone": ((0.25, 0.2), (0.75, 0.2), (0.75, 0.8), (0.25, 0.8))}


def rule(name: str = "gate", **more: object) -> Rule:
    """A rule at the line in the middle, or with a shape of its own."""
    return Rule.model_validate({"name": name, **(more if {"line", "zone"} & set(more) else ACROSS | more)})


def standing(x: float, y: float, track: int | None = 1, **more: object) -> Detection:
    """An object that stands at this place, as shares of the picture."""
    foot = (x * SIZE_WH[0], y * SIZE_WH[1])
    plain = {"class_id": 0, "class_name": "person", "confidence": 0.9, **more}
    return Detection(box_xyxy=(foot[0] - 3, foot[1] - 20, foot[0] + 3, foot[1]), track_id=track, **plain)  # type: ignore[arg-type]


def watch(
    counter: RuleCounter, *frames: Sequence[Detection], begin_s: float = 0.0, step_s: float = 0.1
) -> Count:
    """What the only rule says after these frames."""
    for number, detections in enumerate(frames):
        capture_ns = round((begin_s + number * step_s) * NS_PER_S)
        (count,) = counter.see(detections, size_wh=SIZE_WH, capture_ns=capture_ns)
    return count


def walk(*xs: float, y: float = 0.5, **more: object) -> Count:
    """What the line in the middle counts of one walk."""
    return watch(RuleCounter([rule()]), *([standing(x, y, **more)] for x in xs))


@pytest.mark.parametrize(
    ("line", "way"),
    [
        (((0.0, 0.5), (1.0, 0.5)), ((0.5, 0.2), (0.5, 0.8))),  # looking right, its left is above
        (((0.5, 0.0), (0.5, 1.0)), ((0.8, 0.5), (0.2, 0.5))),  # looking down, its left is the picture's right
        (((1.0, 1.0), (0.0, 0.0)), ((0.2, 0.8), (0.8, 0.2))),
    ],
)
def test_from_left_to_right_is_forward(line: object, way: Sequence[tuple[float, float]]) -> None:
    """Looking from the first point to the second; the other way is backward, and so is the turned line."""
    for turned in (False, True):
        counter = RuleCounter([rule(line=tuple(line)[::-1] if turned else line)])  # type: ignore[call-overload]
        there = watch(counter, *([standing(*place)] for place in way))
        assert (there.kind, there.forward, there.backward) == (CountKind.LINE, not turned, turned)
        back = watch(counter, [standing(*way[0])], begin_s=1)
        assert (back.forward, back.backward) == (1, 1)


def test_who_walks_around_the_end_of_a_line_does_not_cross_it() -> None:
    """Only the way between the two points counts."""
    short = {"line": ((0.5, 0.0), (0.5, 0.4))}
    assert watch(RuleCounter([rule(**short)]), [standing(0.8, 0.6)], [standing(0.2, 0.6)]).forward == 0
    assert watch(RuleCounter([rule(**short)]), [standing(0.8, 0.3)], [standing(0.2, 0.3)]).forward == 1


def test_who_waits_on_a_line_is_not_counted_again_and_again() -> None:
    """Boxes tremble: a side counts when it is clear."""
    trembling = (0.501, 0.4995, 0.5, 0.503, 0.498) * 20
    assert walk(0.7, *trembling, 0.7).forward == 0
    assert walk(0.7, *trembling, 0.3).forward == 1


def test_a_crossing_that_nobody_saw_counts_as_long_as_the_track_lives() -> None:
    """Frames without the object, or with a predicted box, do not lose it; predictions cross nothing."""
    counter = RuleCounter([rule()])
    assert watch(counter, [standing(0.7, 0.5)], [], [standing(0.3, 0.5, is_predicted=True)]).forward == 0
    assert watch(counter, [standing(0.3, 0.5)], begin_s=1).forward == 1


def test_another_track_crosses_nothing() -> None:
    """Two objects on two sides are no crossing, and an object without a track does not count."""
    counter = RuleCounter([rule()])
    count = watch(counter, [standing(0.7, 0.5, 1)], [standing(0.3, 0.5, 2)], [standing(0.7, 0.5, None)])
    assert (count.forward, count.backward) == (0, 0)


def test_only_what_the_rule_names_counts() -> None:
    """Another class, or a sight below its confidence, does not."""
    strict = RuleCounter([rule(classes=("car",), confidence=0.5)])
    for number, (name, confidence) in enumerate([("person", 0.9), ("car", 0.49), ("car", 0.5)]):
        seen = {"track": number, "class_name": name, "confidence": confidence}
        count = watch(strict, [standing(0.7, 0.5, **seen)], [standing(0.3, 0.5, **seen)])
        assert count.forward == (number == 2)


def test_a_zone_counts_who_comes_stays_and_goes() -> None:
    """Whoever begins inside has entered; the stay is that of who is there longest."""
    counter = RuleCounter([rule(**YARD)])
    first = watch(counter, [standing(0.5, 0.5, 1), standing(0.1, 0.5, 2)])
    assert (first.kind, first.inside, first.entered, first.left, first.longest_s) == (
        CountKind.ZONE,
        1,
        1,
        0,
        0,
    )
    both = watch(counter, [standing(0.5, 0.5, 1), standing(0.3, 0.5, 2)], begin_s=1)
    assert (both.inside, both.entered, both.longest_s) == (2, 2, 1)
    one = watch(counter, [standing(0.9, 0.5, 1), standing(0.3, 0.5, 2)], begin_s=1.5)
    assert (one.inside, one.left, one.longest_s) == (1, 1, 0.5)


def test_a_track_that_ends_in_a_zone_has_left_it() -> None:
    """Not at once, since it may be hidden for a moment; predicted boxes keep it there."""
    counter = RuleCounter([rule(**YARD)])
    watch(counter, [standing(0.5, 0.5)])
    assert watch(counter, [], begin_s=2.0).inside == 1
    assert watch(counter, [standing(0.9, 0.5, is_predicted=True)], begin_s=2.0).inside == 1
    assert watch(counter, [], begin_s=4.0).inside == 1
    gone = watch(counter, [], begin_s=4.1)
    assert (gone.inside, gone.entered, gone.left, gone.longest_s) == (0, 1, 1, 0)


def test_who_stands_on_the_outline_of_a_zone_enters_once() -> None:
    """Outside counts when it is clear, inside at once: also a zone that is thin can be entered."""
    edge = [[standing(x, 0.5)] for x in (0.2, *((0.251, 0.249) * 20))]
    count = watch(RuleCounter([rule(**YARD)]), *edge)
    assert (count.inside, count.entered, count.left) == (1, 1, 0)
    thin = rule(zone=((0.5, 0.0), (0.502, 0.0), (0.502, 1.0), (0.5, 1.0)))
    count = watch(RuleCounter([thin]), [standing(0.4, 0.5)], [standing(0.501, 0.5)], [standing(0.6, 0.5)])
    assert (count.entered, count.left) == (1, 1)


def test_a_reload_keeps_the_counts_of_unchanged_rules() -> None:
    """A changed rule begins at zero, and the order is that of the new rules."""
    counter = RuleCounter([rule("kept"), rule("changed")])
    for x in (0.7, 0.3):
        counter.see([standing(x, 0.5)], size_wh=SIZE_WH, capture_ns=0)
    counter.reload([rule("changed", confidence=0.5), rule("kept")])
    counts = counter.see([], size_wh=SIZE_WH, capture_ns=1)
    assert [(count.rule, count.forward) for count in counts] == [("changed", 0), ("kept", 1)]


def test_nothing_for_an_hour_is_nothing() -> None:
    """Zeros, and after it the next object counts as the first would have."""
    counter = RuleCounter([rule(), rule("yard", **YARD)])
    nothing = (
        Count(rule="gate", kind=CountKind.LINE, points=ACROSS["line"]),
        Count(rule="yard", kind=CountKind.ZONE, points=YARD["zone"]),
    )
    for second in range(3600):
        counts = counter.see([], size_wh=SIZE_WH, capture_ns=second * NS_PER_S)
        assert counts == nothing
    assert [
        counter.see([standing(x, 0.5)], size_wh=SIZE_WH, capture_ns=3600 * NS_PER_S)[0].forward
        for x in (0.7, 0.3)
    ] == [0, 1]


def test_ten_thousand_objects_count_each() -> None:
    """A frame full of them is counted whole."""
    crowd = [[standing(x, 0.5, track) for track in range(10_000)] for x in (0.7, 0.3)]
    assert watch(RuleCounter([rule()]), *crowd).forward == 10_000
    assert watch(RuleCounter([rule(**YARD)]), *crowd).inside == 10_000


places = st.tuples(st.floats(0, 1), st.floats(0, 1))
ways = st.lists(st.lists(places, min_size=1, max_size=12), min_size=1, max_size=4)


@given(ways)
def test_a_line_through_the_whole_picture_balances(tracks: list[list[tuple[float, float]]]) -> None:
    """However they walk: crossings to and fro take turns for each track, so their sums stay close."""
    counter = RuleCounter([rule()])
    counts = [Count(rule="gate", kind=CountKind.LINE)]
    for moment in range(max(map(len, tracks))):
        seen = [standing(*way[moment], track) for track, way in enumerate(tracks) if moment < len(way)]
        counts += counter.see(seen, size_wh=SIZE_WH, capture_ns=moment * NS_PER_S // 10)
    assert abs(counts[-1].forward - counts[-1].backward) <= len(tracks)
    for before, after in pairwise(counts):
        assert 0 <= after.forward - before.forward <= len(tracks)
        assert 0 <= after.backward - before.backward <= len(tracks)


@given(st.lists(st.tuples(places, st.integers(0, 3), st.integers(1, 3_000), st.booleans()), max_size=40))
def test_whoever_is_in_a_zone_has_entered_and_not_left(
    sights: list[tuple[tuple[float, float], int, int, bool]],
) -> None:
    """Always entered = left + inside; in the end, without anybody, nobody is inside."""
    counter = RuleCounter([rule(**YARD)])
    now_ms = 0
    for place, track, after_ms, predicted in sights:
        now_ms += after_ms
        seen = standing(*place, track, is_predicted=predicted)
        (count,) = counter.see([seen], size_wh=SIZE_WH, capture_ns=now_ms * 1_000_000)
        assert count.entered == count.left + count.inside
        assert count.longest_s <= now_ms / 1000
    (count,) = counter.see([], size_wh=SIZE_WH, capture_ns=(now_ms + 2_001) * 1_000_000)
    assert (count.inside, count.left) == (0, count.entered)


def after(before: Count, **shape: object) -> RuleCounter:
    """The counter of a successor, of the same rule as its predecessor's."""
    same = rule(**shape)
    return RuleCounter([same], before={same: before})


def test_a_successor_goes_on_with_the_crossings() -> None:
    """Where somebody stood is forgotten: who crosses while nobody looks is not counted."""
    first = walk(0.6, 0.4, 0.6)
    assert (first.forward, first.backward) == (1, 1)
    later = watch(after(first), *([standing(x, 0.5, 9)] for x in (0.4, 0.3, 0.7)))
    assert (later.forward, later.backward) == (1, 2)


def test_another_rule_of_the_same_name_begins_at_zero() -> None:
    """A line that was moved counts something else."""
    moved = rule(line=((0.3, 0.0), (0.3, 1.0)))
    assert watch(RuleCounter([moved], before={rule(): walk(0.6, 0.4)}), []).forward == 0


def test_who_was_inside_is_the_same_after_a_restart() -> None:
    """Three were inside; two are found again, with other tracks, and a fourth comes in from outside."""
    inside = [[standing(x, 0.5, track) for x, track in ((0.4, 1), (0.5, 2), (0.6, 3))]]
    first = watch(RuleCounter([rule(**YARD)]), *inside)
    assert (first.inside, first.entered, first.left) == (3, 3, 0)
    counter = after(first, **YARD)
    still = [standing(0.4, 0.5, 11), standing(0.5, 0.5, 12)]
    second = watch(counter, [standing(0.1, 0.5, 13)], [*still, standing(0.3, 0.5, 13)], begin_s=10.0)
    assert (second.inside, second.entered, second.left) == (3, 4, 0)
    third = watch(counter, *([[*still, standing(0.3, 0.5, 13)]] * 3), begin_s=12.0)
    assert (third.inside, third.entered, third.left) == (3, 4, 1), "who is missing for long has left"
    assert 1.5 < third.longest_s < 3.0, "dwell begins anew"
    fourth = watch(counter, [*still, standing(0.3, 0.5, 13), standing(0.4, 0.6, 14)], begin_s=12.5)
    assert (fourth.inside, fourth.entered, fourth.left) == (4, 5, 1), "nobody is waited for any more"


@given(st.integers(0, 4), st.integers(0, 4))
def test_however_many_come_back_the_books_of_a_zone_are_even(were: int, come: int) -> None:
    """``entered = left + inside`` again, once nobody is waited for."""
    first = watch(RuleCounter([rule(**YARD)]), [standing(0.5, 0.5, track) for track in range(were)])
    back = [standing(0.5, 0.5, 100 + track) for track in range(come)]
    last = watch(after(first, **YARD), back, back, back, step_s=1.5)
    assert last.inside == come
    assert last.entered == max(were, come)
    assert last.entered == last.left + last.inside
