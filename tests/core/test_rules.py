"""Events: when they begin, what they survive, and when they end."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.clock import NS_PER_MS, NS_PER_S, UtcLabel
from streamfuse.config.outputs import EventRule
from streamfuse.core.rules import RuleWatch, counts, in_zone
from streamfuse.frames import Detection, Event, EventPhase

UTC_NS = int(datetime(2026, 11, 22, 6, 53, 30, tzinfo=UTC).timestamp()) * NS_PER_S
LABEL = UtcLabel(monotonic_ns=0, utc_ns=UTC_NS)
SIZE_WH = (100, 50)
BEGUN, GOING, ENDED = EventPhase


def rule(name: str = "rule", **keys: object) -> EventRule:
    """A rule with these keys."""
    return EventRule.model_validate_json(json.dumps({"name": name, **keys}))


def found(
    name: str = "person", *, foot_xy: tuple[float, float] = (50, 25), confidence: float = 0.9
) -> Detection:
    """An object that stands at ``foot_xy`` (pixels), 10 wide and 20 high."""
    x, y = foot_xy
    return Detection(box_xyxy=(x - 5, y - 20, x + 5, y), class_id=0, class_name=name, confidence=confidence)


class Story:
    """A watch that is shown one frame after the other, at the times given in seconds."""

    def __init__(self, *rules: EventRule) -> None:
        self.watch = RuleWatch(rules, utc=LABEL)
        self._pair_id = 0

    def at(self, time_s: float, *detections: Detection, looked: bool = True) -> list[tuple[str, str]]:
        """The rules and phases that the next frame brings."""
        return [(event.rule, event.phase.value) for event in self.events(time_s, *detections, looked=looked)]

    def events(self, time_s: float, *detections: Detection, looked: bool = True) -> tuple[Event, ...]:
        """The events that the next frame brings."""
        self._pair_id += 1
        return self.watch.see(
            detections,
            size_wh=SIZE_WH,
            capture_ns=round(time_s * NS_PER_S),
            pair_id=self._pair_id,
            looked=looked,
        )


def test_an_event_begins_after_its_time_and_dates_from_the_first_sight() -> None:
    """Half a second of a person is needed; then the event began with the first frame that showed it."""
    story = Story(rule(min_time_s=0.5))
    assert story.events(1.0, found()) == ()
    assert story.events(1.4, found()) == ()
    (event,) = story.events(1.5, found(), found())
    assert (event.phase, event.began_ns, event.objects) == (BEGUN, NS_PER_S, 2)
    assert event.id == "20261122T065331Z-rule-3"


def test_without_a_minimum_the_first_frame_begins_it() -> None:
    """``min_time_s: 0`` needs no second look."""
    assert Story(rule(min_time_s=0)).at(0.0, found()) == [("rule", "begun")]


def test_an_event_survives_gaps_and_ends_after_a_longer_one() -> None:
    """A gap of gap_s goes on, with no objects; a longer one ends it, once."""
    story = Story(rule(min_time_s=0, gap_s=1.0))
    assert story.at(0.0, found()) == [("rule", "begun")]
    (gap,) = story.events(1.0)
    assert (gap.phase, gap.objects) == (GOING, 0)
    assert story.at(1.1, found()) == [("rule", "going")]
    assert story.at(2.1) == [("rule", "going")]
    (end,) = story.events(2.2)
    assert (end.phase, end.objects, end.began_ns) == (ENDED, 0, 0)
    assert story.at(2.3) == []


def test_gaps_count_before_it_begins_too() -> None:
    """A detector that blinks does not start the waiting time again; a longer absence does."""
    story = Story(rule(min_time_s=1.0, gap_s=0.5))
    assert [story.at(time_s, found()) for time_s in (0.0, 0.4)] == [[], []]
    assert story.at(0.8) == []
    assert story.at(1.0, found()) == [("rule", "begun")]
    lonely = Story(rule(min_time_s=1.0, gap_s=0.5))
    assert lonely.at(0.0, found()) == []
    assert lonely.at(0.6) == []
    assert lonely.at(1.1, found()) == []


def test_without_gaps_one_empty_frame_ends_it() -> None:
    """``gap_s: 0`` ends with the first frame without, and not between two frames that show it."""
    story = Story(rule(min_time_s=0, gap_s=0))
    assert story.at(0.0, found()) == [("rule", "begun")]
    assert story.at(1.0, found()) == [("rule", "going")]
    assert story.at(1.1) == [("rule", "ended")]


def test_frames_that_nobody_looked_at_change_nothing() -> None:
    """Between two looks of a detector with ``every`` the event goes on with the objects of the last look."""
    story = Story(rule(min_time_s=0, gap_s=0))
    story.at(0.0, found(), found())
    (between,) = story.events(0.1, looked=False)
    assert (between.phase, between.objects) == (GOING, 2)
    assert story.at(0.2) == [("rule", "ended")]
    assert story.at(0.3, looked=False) == []


def test_nobody_vouches_for_what_happened_without_pictures() -> None:
    """After a long hole in the stream the same sight is another event; after a short one the same."""
    story = Story(rule(min_time_s=0, gap_s=1.0))
    (first,) = story.events(0.0, found())
    assert story.at(4.9, found()) == [("rule", "going")]
    ended, begun = story.events(10.0, found())
    assert (ended.phase, begun.phase, ended.id) == (ENDED, BEGUN, first.id)
    assert begun.id != first.id
    patient = Story(rule(min_time_s=0, gap_s=60))
    patient.at(0.0, found())
    assert patient.at(59.0, found()) == [("rule", "going")]


def test_only_what_the_rule_names_counts() -> None:
    """Another class, or a score below the limit, is no object of the rule; without classes all are."""
    strict = rule(classes=["car", "bus"], confidence=0.5)
    seen = [found("bus", confidence=0.5), found("bus", confidence=0.49), found("person")]
    assert [counts(strict, each, SIZE_WH) for each in seen] == [True, False, False]
    assert counts(rule(), found("anything"), SIZE_WH)


ROAD = [[0.0, 0.5], [1.0, 0.5], [1.0, 1.0], [0.0, 1.0]]


@pytest.mark.parametrize(
    ("foot_xy", "inside"),
    [
        ((50, 40), True),
        ((50, 20), False),  # its box is taller than it is far: the feet count
        ((50, 25), True),  # on the outline
        ((50, 50), True),  # cut by the lower edge of the picture
        ((50, 57), True),  # a box that a detector let reach below it
        ((-3, 40), True),
    ],
)
def test_a_zone_holds_what_stands_in_it(foot_xy: tuple[float, float], inside: bool) -> None:
    """What counts is the middle of the lower edge of the box, outline and picture edges included."""
    assert counts(rule(zone=ROAD), found(foot_xy=foot_xy), SIZE_WH) is inside


def test_each_rule_has_its_own_event() -> None:
    """Rules do not know of each other; their events come in their order."""
    story = Story(
        rule("people", classes=["person"], min_time_s=0), rule("cars", classes=["car"], min_time_s=0)
    )
    assert story.at(0.0, found("car")) == [("cars", "begun")]
    assert story.at(0.1, found("car"), found("person")) == [("people", "begun"), ("cars", "going")]


def test_a_reload_keeps_the_events_of_unchanged_rules() -> None:
    """An unchanged rule goes on with its event, a changed one ends it and begins anew, a new one begins."""
    kept, old = rule("kept", min_time_s=0), rule("changed", min_time_s=0)
    story = Story(kept, old)
    first = story.events(0.0, found())
    story.watch.reload([rule("changed", min_time_s=0, confidence=0.1), kept, rule("new", min_time_s=0)])
    events = story.events(0.1, found())
    assert [(event.rule, event.phase) for event in events] == [
        ("changed", ENDED),
        ("changed", BEGUN),
        ("kept", GOING),
        ("new", BEGUN),
    ]
    assert (events[0].id, events[2].id) == (first[1].id, first[0].id)
    assert events[1].id != first[1].id


def test_a_reload_without_rules_ends_everything_once() -> None:
    """Rules that are gone say good-bye in the next frame, and then nothing."""
    story = Story(rule(min_time_s=0))
    story.at(0.0, found())
    story.watch.reload([])
    assert story.at(0.1, found()) == [("rule", "ended")]
    assert story.at(0.2, found()) == []


steps = st.lists(
    st.tuples(st.integers(1, 3_000), st.integers(0, 3), st.booleans()), min_size=1, max_size=60
)  # ms since the frame before, objects, whether a detector looked


@given(steps, st.integers(0, 2_000), st.integers(0, 2_000))
def test_every_event_is_begun_once_and_ended_at_most_once(
    frames: Sequence[tuple[int, int, bool]], min_time_ms: int, gap_ms: int
) -> None:
    """Whatever the objects do: begun, going …, ended; one event at a time; begun only when seen, on time."""
    story = Story(rule(min_time_s=min_time_ms / 1000, gap_s=gap_ms / 1000))
    phases: dict[str, list[EventPhase]] = {}
    now_ms = 0
    for after_ms, objects, looked in frames:
        now_ms += after_ms
        events = story.events(now_ms / 1000, *[found()] * objects, looked=looked)
        assert sum(event.phase is not ENDED for event in events) <= 1
        for event in events:
            phases.setdefault(event.id, []).append(event.phase)
            if event.phase is BEGUN:
                assert looked
                assert event.objects == objects > 0
                assert now_ms * NS_PER_MS - event.began_ns >= min_time_ms * NS_PER_MS
    running = [event_id for event_id, told in phases.items() if told[-1] is not ENDED]
    assert running == list(phases)[-1:][: len(running)]
    for told in phases.values():
        assert told[0] is BEGUN
        assert told.count(BEGUN) == 1
        assert ENDED not in told[:-1]


@given(steps)
def test_an_id_can_be_a_file_name(frames: Sequence[tuple[int, int, bool]]) -> None:
    """Letters, digits, dots, dashes and underscores, and never the same twice, in the order of time."""
    story = Story(rule("gate-2.b_x", min_time_s=0, gap_s=0))
    times = itertools.accumulate(after_ms for after_ms, _, _ in frames)
    ids = [
        event.id
        for now_ms, (_, objects, _) in zip(times, frames, strict=True)
        for event in story.events(now_ms / 1000, *[found()] * objects)
        if event.phase is BEGUN
    ]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", each) for each in ids)


corners = st.tuples(st.floats(0, 1), st.floats(0, 1))


@given(st.lists(corners, min_size=3, max_size=8), corners, st.integers(0, 7))
def test_it_does_not_matter_where_the_outline_starts_or_turns(
    zone: list[tuple[float, float]], point: tuple[float, float], start: int
) -> None:
    """A polygon is the same from any of its corners; its corners are in it."""
    turned: Iterable[tuple[float, float]] = zone[start % len(zone) :] + zone[: start % len(zone)]
    assert in_zone(point, list(turned)) == in_zone(point, zone)
    assert all(in_zone(corner, zone) for corner in zone)


@given(corners, corners, corners)
def test_a_rectangle_holds_what_lies_between_its_sides(
    a: tuple[float, float], b: tuple[float, float], point: tuple[float, float]
) -> None:
    """For a rectangle the answer is that of comparing coordinates."""
    (left, right), (top, bottom) = sorted((a[0], b[0])), sorted((a[1], b[1]))
    zone = [(left, top), (right, top), (right, bottom), (left, bottom)]
    between = left <= point[0] <= right and top <= point[1] <= bottom
    assert in_zone(point, zone) is between
