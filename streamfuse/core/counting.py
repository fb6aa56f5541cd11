"""Counts: who crosses a line, and who is in a zone and for how long.

Objects count by their tracks, and are where they stand (:func:`streamfuse.core.rules.foot_of`). Boxes
tremble, so who waits on a line or on the outline of a zone must not be counted again and again: a side of a
line, and the outside of a zone, is believed only at a distance of ``_CLEAR``. Predicted boxes keep a track in
memory; only seen ones move it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, TypeVar

from streamfuse.clock import NS_PER_S
from streamfuse.config.tasks import Rule
from streamfuse.core.rules import foot_of, in_zone
from streamfuse.frames import Count, CountKind, Detection

__all__ = ["GONE_S", "RuleCounter"]

GONE_S: Final = 2.0
"""A track that has not been there for longer has ended: the tracker does not take it up again."""
_CLEAR: Final = 0.01
"""Picture heights from a line or an outline at which it is clear on which side somebody is."""

Point = tuple[float, float]
Points = Sequence[Point]


class RuleCounter:
    """Follows the rules of a pipeline's tasks from frame to frame.

    Args:
        rules: lines and zones; their names differ.
        before: what a predecessor had counted, by rule; those of the same rules go on. Who stood near a line
            is not known any more, and who was in a zone is looked for again (see :class:`_ZoneCounter`).
    """

    def __init__(self, rules: Sequence[Rule], *, before: Mapping[Rule, Count] | None = None) -> None:
        known = before or {}
        self._counters = [_counter(rule, known.get(rule)) for rule in rules]

    @property
    def rules(self) -> tuple[Rule, ...]:
        """What it follows now, in the order of the counts."""
        return tuple(counter.rule for counter in self._counters)

    def see(
        self, detections: Sequence[Detection], *, size_wh: tuple[int, int], capture_ns: int
    ) -> tuple[Count, ...]:
        """What has been counted up to the next frame, in the order of the rules.

        Args:
            detections: all objects of the frame; those without a track do not count.
            size_wh: of the fused image, in pixels.
            capture_ns: when it was captured; monotonic.
        """
        tracks: dict[int, Detection] = {}
        for detection in detections:
            if detection.track_id is not None:
                tracks.setdefault(detection.track_id, detection)
        return tuple(
            counter.see(_Sight.of(counter.rule, tracks, size_wh), capture_ns) for counter in self._counters
        )

    def reload(self, rules: Sequence[Rule]) -> None:
        """Go on with other rules: unchanged ones keep their counts, the others begin at zero."""
        kept = {counter.rule: counter for counter in self._counters}
        self._counters = [kept.get(rule) or _counter(rule, None) for rule in rules]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sight:
    """What a frame has for one rule. Places are in picture heights: a distance means the same everywhere."""

    there: frozenset[int]
    """Tracks of the rule's classes, predicted ones too."""
    feet: Mapping[int, Point]
    """Where those stand that are seen surely enough."""
    aspect: float
    """Width of the picture."""

    @classmethod
    def of(cls, rule: Rule, tracks: Mapping[int, Detection], size_wh: tuple[int, int]) -> _Sight:
        aspect = size_wh[0] / size_wh[1]
        wanted = {
            track: seen
            for track, seen in tracks.items()
            if not rule.classes or seen.class_name in rule.classes
        }
        feet = {
            track: foot_of(seen, size_wh)
            for track, seen in wanted.items()
            if not seen.is_predicted and seen.confidence >= rule.confidence
        }
        scaled = {track: (x * aspect, y) for track, (x, y) in feet.items()}
        return cls(there=frozenset(wanted), feet=scaled, aspect=aspect)

    def scaled(self, points: Points) -> Points:
        """Points of a rule, which are shares of the picture, in picture heights."""
        return [(x * self.aspect, y) for x, y in points]


@dataclass(slots=True)
class _Walker:
    """A track near a line: where it last was clear of it, and how far to the right of it."""

    last_ns: int
    clear: Point | None = None
    right_by: float = 0.0


@dataclass(slots=True)
class _LineCounter:
    rule: Rule
    line: Points
    forward: int = 0
    backward: int = 0
    walkers: dict[int, _Walker] = field(default_factory=dict)

    def see(self, sight: _Sight, capture_ns: int) -> Count:
        line = sight.scaled(self.line)
        for track, foot in sight.feet.items():
            walker = self.walkers.setdefault(track, _Walker(capture_ns))
            right_by = _right_by(foot, line)
            if abs(right_by) < _CLEAR:
                continue
            if walker.clear is not None and _meets(line, (walker.clear, foot), (walker.right_by, right_by)):
                self.forward += right_by > 0
                self.backward += right_by < 0
            walker.clear, walker.right_by = foot, right_by
        _forget(self.walkers, sight.there, capture_ns)
        return Count(
            rule=self.rule.name,
            kind=CountKind.LINE,
            points=tuple(self.line),
            forward=self.forward,
            backward=self.backward,
        )


@dataclass(slots=True)
class _Visitor:
    """A track near a zone: since when it has been inside."""

    last_ns: int
    since_ns: int | None = None


@dataclass(slots=True)
class _ZoneCounter:
    """Who is in a zone: at any time ``entered = left + inside + awaited``.

    Who was inside when a predecessor ended has another track now. So for ``GONE_S`` as many tracks that are
    first seen inside have not entered anew; those who are missing then have left.
    """

    rule: Rule
    zone: Points
    entered: int = 0
    left: int = 0
    awaited: int = 0
    awaited_since_ns: int | None = None
    visitors: dict[int, _Visitor] = field(default_factory=dict)

    def see(self, sight: _Sight, capture_ns: int) -> Count:
        zone = sight.scaled(self.zone)
        self._give_up_waiting(capture_ns)
        for track, foot in sight.feet.items():
            is_new = track not in self.visitors
            visitor = self.visitors.setdefault(track, _Visitor(capture_ns))
            inside = in_zone(foot, zone)
            if inside and visitor.since_ns is None:
                visitor.since_ns = capture_ns
                is_back = is_new and self.awaited > 0
                self.awaited -= is_back
                self.entered += not is_back
            elif not inside and visitor.since_ns is not None and _from_outline(foot, zone) >= _CLEAR:
                visitor.since_ns = None
                self.left += 1
        gone = _forget(self.visitors, sight.there, capture_ns)
        self.left += sum(visitor.since_ns is not None for visitor in gone)
        since = [each.since_ns for each in self.visitors.values() if each.since_ns is not None]
        return Count(
            rule=self.rule.name,
            kind=CountKind.ZONE,
            points=tuple(self.zone),
            inside=len(since),
            entered=self.entered,
            left=self.left,
            longest_s=(capture_ns - min(since, default=capture_ns)) / NS_PER_S,
        )

    def _give_up_waiting(self, capture_ns: int) -> None:
        """Whom a predecessor left inside and who has not been seen for too long has left."""
        if self.awaited_since_ns is None:
            self.awaited_since_ns = capture_ns
        if capture_ns - self.awaited_since_ns > GONE_S * NS_PER_S:
            self.left += self.awaited
            self.awaited = 0


_TrackT = TypeVar("_TrackT", _Walker, _Visitor)


def _counter(rule: Rule, before: Count | None) -> _LineCounter | _ZoneCounter:
    """A counter that goes on from what was counted before; from zero, if nothing was."""
    if rule.line is not None:
        numbers = (0, 0) if before is None else (before.forward, before.backward)
        return _LineCounter(rule, rule.line, *numbers)
    assert rule.zone is not None  # held by Rule
    if before is None:
        return _ZoneCounter(rule, rule.zone)
    return _ZoneCounter(rule, rule.zone, before.entered, before.left, before.entered - before.left)


def _forget(known: dict[int, _TrackT], there: frozenset[int], capture_ns: int) -> list[_TrackT]:
    """Note which tracks are there, and take out those that have not been for too long."""
    for track in known.keys() & there:
        known[track].last_ns = capture_ns
    gone = [track for track, each in known.items() if capture_ns - each.last_ns > GONE_S * NS_PER_S]
    return [known.pop(track) for track in gone]


def _right_by(point: Point, line: Points) -> float:
    """Distance from the infinite line, looking from its first point to its second; negative to its left.

    The y axis points down, so the cross product is positive on the right.
    """
    (ax, ay), (bx, by) = line
    return ((bx - ax) * (point[1] - ay) - (by - ay) * (point[0] - ax)) / math.dist(*line)


def _meets(line: Points, way: Points, right_by: tuple[float, float]) -> bool:
    """Whether a straight way crosses the line between its ends; ``right_by``: of the way's two points."""
    before, after = right_by
    if (before > 0) == (after > 0):
        return False
    part = before / (before - after)
    (x0, y0), (x1, y1) = way
    x, y = x0 + part * (x1 - x0), y0 + part * (y1 - y0)
    (ax, ay), (bx, by) = line
    length = math.dist((ax, ay), (bx, by))
    along = ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length
    return 0 <= along <= length


def _from_outline(point: Point, zone: Points) -> float:
    """Distance to the nearest point of a polygon's outline."""
    return min(_from_segment(point, a, b) for a, b in pairwise((*zone, zone[0])))


def _from_segment(point: Point, a: Point, b: Point) -> float:
    length2 = math.dist(a, b) ** 2
    along = (point[0] - a[0]) * (b[0] - a[0]) + (point[1] - a[1]) * (b[1] - a[1])
    part = 0.0 if length2 == 0 else min(max(along / length2, 0.0), 1.0)
    return math.dist(point, (a[0] + part * (b[0] - a[0]), a[1] + part * (b[1] - a[1])))
