"""Trails: the way that each track has come in the last seconds."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from streamfuse.clock import NS_PER_S
from streamfuse.frames import Detection

__all__ = ["Trail", "Trails"]

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """Where one object stood, the oldest point first."""

    class_id: int
    points: tuple[Point, ...]
    """Middles of the lower edges of its boxes, in pixels of the fused image."""


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
            way = self._ways.setdefault(detection.track_id, _Way(deque()))
            left, _, right, bottom = detection.box_xyxy
            way.steps.append((capture_ns, ((left + right) / 2, bottom)))
            way.forget(since_ns)
            points = tuple(point for _, point in way.steps)
            trails.append(Trail(class_id=detection.class_id, points=points))
        for track, way in list(self._ways.items()):
            way.forget(since_ns)
            if not way.steps:
                del self._ways[track]
        return tuple(trails)


@dataclass(slots=True)
class _Way:
    steps: deque[tuple[int, Point]]
    """When and where."""

    def forget(self, since_ns: int) -> None:
        while self.steps and self.steps[0][0] < since_ns:
            self.steps.popleft()
