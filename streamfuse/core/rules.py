"""Events: when something that was found is one, and for how long it is the same one.

A rule looks for objects of some classes, above some confidence, within some zone. Its event begins when
there has been such an object for ``min_time_s`` and ends when there has been none for more than ``gap_s``:
detectors blink, people pass behind posts. The same gaps are allowed until it begins.

An object is where it stands, so what counts is the middle of the lower edge of its box. A rule has one event
at a time, however many objects there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from streamfuse.clock import NS_PER_S, Utc, utc_datetime
from streamfuse.config.outputs import EventRule
from streamfuse.frames import Detection, Event, EventPhase

__all__ = ["RuleWatch", "counts", "event_id", "foot_of", "in_zone"]

_BLIND_S: Final = 5.0
"""After so long without a picture (or ``gap_s``, if longer) what is seen is not taken for the same."""

Point = tuple[float, float]


class RuleWatch:
    """Follows the rules of a pipeline from frame to frame.

    Its memory is that of the process: after a restart of the engine, what still goes on is a new event.

    Args:
        rules: what to look for; their names differ.
        utc: labels the capture times in the ids of events.
    """

    def __init__(self, rules: Sequence[EventRule], *, utc: Utc) -> None:
        self._utc = utc
        self._watched = [_Watched(rule) for rule in rules]
        self._farewells: list[Event] = []
        self._looked_ns: int | None = None

    def see(
        self,
        detections: Sequence[Detection],
        *,
        size_wh: tuple[int, int],
        capture_ns: int,
        pair_id: int,
        looked: bool = True,
    ) -> tuple[Event, ...]:
        """What the rules say of the next frame; in the order of the rules, an end before a new beginning.

        Args:
            detections: all objects of the frame.
            size_wh: of the fused image, in pixels.
            capture_ns: when it was captured; monotonic.
            pair_id: of its pair.
            looked: False where no detector ran on this frame (``every``): it neither confirms nor denies.
        """
        events, self._farewells = self._farewells, []
        if not looked:
            going = [each.event(EventPhase.GOING) for each in self._watched if each.id is not None]
            return (*events, *going)
        blind_ns = 0 if self._looked_ns is None else capture_ns - self._looked_ns
        self._looked_ns = capture_ns
        for each in self._watched:
            objects = sum(counts(each.rule, detection, size_wh) for detection in detections)
            events += each.step(objects, capture_ns, blind_ns=blind_ns)
            if objects and each.is_ripe(capture_ns):
                events.append(each.begin(self._id(each, pair_id)))
        return tuple(events)

    def reload(self, rules: Sequence[EventRule]) -> None:
        """Go on with other rules: unchanged ones keep their events, the others' end in the next frame."""
        kept = {each.rule: each for each in self._watched if each.rule in rules}
        gone = [each for each in self._watched if each.rule not in kept]
        self._farewells += [each.end() for each in gone if each.id is not None]
        self._watched = [kept.get(rule) or _Watched(rule) for rule in rules]

    def _id(self, each: _Watched, pair_id: int) -> str:
        assert each.first_ns is not None  # it has been seen, or would not begin
        return event_id(each.rule.name, self._utc.utc_of(each.first_ns), pair_id)


@dataclass(slots=True)
class _Watched:
    """A rule and what is going on of it."""

    rule: EventRule
    first_ns: int | None = None
    """When its objects were first seen, without a longer gap since; None while there are none."""
    last_ns: int = 0
    objects: int = 0
    id: str | None = None
    """Of the event that goes on."""

    def step(self, objects: int, capture_ns: int, *, blind_ns: int) -> list[Event]:
        """Go on to a frame with so many objects; returns how the event that was going on stands."""
        told = []
        gap_ns = self.rule.gap_s * NS_PER_S
        blind = blind_ns > max(gap_ns, _BLIND_S * NS_PER_S)
        if blind or (not objects and capture_ns - self.last_ns > gap_ns):
            if self.id is not None:
                told.append(self.end())
            self.first_ns = None
        self.objects = objects
        if objects:
            self.first_ns = capture_ns if self.first_ns is None else self.first_ns
            self.last_ns = capture_ns
        if self.id is not None:
            told.append(self.event(EventPhase.GOING))
        return told

    def is_ripe(self, capture_ns: int) -> bool:
        """Whether it has not begun and should now."""
        waited_ns = 0 if self.first_ns is None else capture_ns - self.first_ns
        return self.id is None and waited_ns >= self.rule.min_time_s * NS_PER_S

    def begin(self, event_id: str) -> Event:
        self.id = event_id
        return self.event(EventPhase.BEGUN)

    def end(self) -> Event:
        self.objects = 0
        event = self.event(EventPhase.ENDED)
        self.id = None
        return event

    def event(self, phase: EventPhase) -> Event:
        assert self.id is not None  # only an event that has begun is told
        assert self.first_ns is not None
        return Event(
            id=self.id, rule=self.rule.name, phase=phase, began_ns=self.first_ns, objects=self.objects
        )


def event_id(rule: str, began_utc_ns: int, pair_id: int) -> str:
    """Name of an event, unlike that of any other.

    Args:
        rule: its name.
        began_utc_ns: when it began, nanoseconds of UTC.
        pair_id: of the pair in which it is told first.
    """
    return f"{utc_datetime(began_utc_ns):%Y%m%dT%H%M%SZ}-{rule}-{pair_id}"


def counts(rule: EventRule, detection: Detection, size_wh: tuple[int, int]) -> bool:
    """Whether an object in an image of this size, in pixels, is one that the rule looks for."""
    if rule.classes and detection.class_name not in rule.classes:
        return False
    if detection.confidence < rule.confidence:
        return False
    return rule.zone is None or in_zone(foot_of(detection, size_wh), rule.zone)


def foot_of(detection: Detection, size_wh: tuple[int, int]) -> Point:
    """Where an object stands: the middle of the lower edge of its box, as shares of the picture."""
    left, _, right, bottom = detection.box_xyxy
    width, height = size_wh
    # Boxes may reach beyond the picture; the object is then seen at its edge.
    return min(max((left + right) / 2 / width, 0.0), 1.0), min(max(bottom / height, 0.0), 1.0)


def in_zone(point: Point, zone: Sequence[Point]) -> bool:
    """Whether a point is in a polygon or on its outline; where the outline crosses itself, even-odd decides.

    A ray to the right is followed from the point: inside it meets the outline an odd number of times.
    """
    x, y = point
    inside = False
    for (ax, ay), (bx, by) in pairwise((*zone, zone[0])):
        turn = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
        if turn == 0 and min(ax, bx) <= x <= max(ax, bx) and min(ay, by) <= y <= max(ay, by):
            return True
        if (ay > y) != (by > y) and (turn > 0) == (by > ay):
            inside = not inside
    return inside
