"""Trails: the way that each track has come in the last seconds."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from streamfuse.clock import NS_PER_S
from streamfuse.frames import Detection

__all__ = ["Trail", "Trails"]

Point = tuple[float, float]

_CALM_S: Final = 0.4
"""The lower edges of boxes tremble from picture to picture; a trail has their mean over this time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """Where one object stood, the oldest point first."""

    class_id: int
    points: tuple[Point, ...]
    """Middles of the lower edges of its boxes, in pixels of the fused image: means of some pictures, but for
    the last one, which is where it stands."""


class Trails:
    """Remembers where the tracks were.

    Args:
        length_s: what is older is forgotten.
    """

    def __init__(self, *, length_s: float = 3.0) -> None:
        self._length_ns = round(length_s * NS_PER_S)
        self._ways: dict[int, _Way] = {}

    def see(self, detections: Sequence[Detection], *, capture_ns: int) -> tuple[Trail, ...]:
        """The trails of the tracks of the next frame; who is not in it has none, but is not yet forgotten.

        Args:
            detections: all objects of the frame; those without a track leave no trail.
            capture_ns: when it was captured; monotonic.
        """
        since_ns = capture_ns - self._length_ns
        trails = []
        for detection in detections:
            if detection.track_id is None:
                continue
            way = self._ways.setdefault(detection.track_id, _Way())
            left, _, right, bottom = detection.box_xyxy
            foot = ((left + right) / 2, bottom)
            way.step(capture_ns, foot)
            way.forget(since_ns)
            points = tuple(step.calm for step in way.steps)
            trails.append(Trail(class_id=detection.class_id, points=(*points[:-1], foot)))
        for track, way in list(self._ways.items()):
            way.forget(since_ns)
            if not way.steps:
                del self._ways[track]
        return tuple(trails)


@dataclass(frozen=True, slots=True)
class _Step:
    at_ns: int
    foot: Point
    calm: Point


@dataclass(slots=True)
class _Way:
    steps: deque[_Step] = field(default_factory=deque)

    def step(self, at_ns: int, foot: Point) -> None:
        lately = [one.foot for one in self.steps if at_ns - one.at_ns <= _CALM_S * NS_PER_S]
        xs, ys = zip(*lately, foot, strict=True)
        self.steps.append(_Step(at_ns, foot, (sum(xs) / len(xs), sum(ys) / len(ys))))

    def forget(self, since_ns: int) -> None:
        while self.steps and self.steps[0].at_ns < since_ns:
            self.steps.popleft()
