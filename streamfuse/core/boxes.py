"""Boxes of labelled objects: how much two overlap, and what several annotators saw together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["IGNORE", "Box", "Outline", "box_iou", "merge_boxes"]

IGNORE = 255
"""Label of a pixel that belongs to no class and teaches nothing, in maps of class ids."""

_LEAST_SIDE = 1e-6
"""Share of the image's side. Below it areas lose their digits, and no camera has pixels that small."""


_View = tuple["Box", int]
"""A box, and the number of the annotator who drew it."""


@dataclass(frozen=True, slots=True, order=True)
class Box:
    """An upright box around one object, in shares of the image's width (x) and height (y).

    Boxes sort by class, then from left to right.

    Raises:
        ValueError: a negative class, a corner outside 0..1 (or not a number), or a side below 1e-6.
    """

    class_id: int
    x1: float
    """Left edge, 0..1 of the width."""
    y1: float
    """Top edge, 0..1 of the height."""
    x2: float
    y2: float

    def __post_init__(self) -> None:
        if self.class_id < 0:
            raise ValueError(f"class of a box must not be negative, got {self.class_id}")
        if not all(0.0 <= corner <= 1.0 for corner in self.corners):
            raise ValueError(f"corners of a box must be within 0..1, got {self.corners}")
        if self.x2 - self.x1 < _LEAST_SIDE or self.y2 - self.y1 < _LEAST_SIDE:
            raise ValueError(f"a box needs left < right and top < bottom, got {self.corners}")

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom in 0..1."""
        return self.x1, self.y1, self.x2, self.y2

    @property
    def area(self) -> float:
        """Share of the image, 0..1."""
        return (self.x2 - self.x1) * (self.y2 - self.y1)

    @classmethod
    def from_pixels(cls, class_id: int, xyxy: Sequence[float], *, size_wh: tuple[int, int]) -> Box:
        """From left, top, right, bottom as pixel edges (the first pixel spans 0 to 1).

        Raises:
            ValueError: as for the box itself: outside the image, or empty.
        """
        left, top, right, bottom = xyxy
        width, height = size_wh
        return cls(class_id, left / width, top / height, right / width, bottom / height)

    def to_pixels(self, size_wh: tuple[int, int]) -> tuple[float, float, float, float]:
        """Left, top, right, bottom as pixel edges of an image (the first pixel spans 0 to 1), not rounded."""
        width, height = size_wh
        return self.x1 * width, self.y1 * height, self.x2 * width, self.y2 * height


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A polygon around one object, in shares of the image's width (x) and height (y).

    Raises:
        ValueError: fewer than three corners, or as its box.
    """

    class_id: int
    corners: tuple[tuple[float, float], ...]
    """x and y, 0..1."""

    def __post_init__(self) -> None:
        if len(self.corners) < 3:
            raise ValueError(f"an outline needs three corners at least, got {len(self.corners)}")
        _ = self.box  # which checks the corners

    @property
    def box(self) -> Box:
        """The box around it."""
        xs, ys = zip(*self.corners, strict=True)
        return Box(self.class_id, min(xs), min(ys), max(xs), max(ys))

    def to_pixels(self, size_wh: tuple[int, int]) -> list[tuple[float, float]]:
        """Its corners on an image whose first pixel spans 0 to 1, not rounded."""
        width, height = size_wh
        return [(x * width, y * height) for x, y in self.corners]


def box_iou(first: Box, second: Box) -> float:
    """Shared area over joint area of two boxes, 0..1, whatever their classes (the Jaccard index)."""
    width = min(first.x2, second.x2) - max(first.x1, second.x1)
    height = min(first.y2, second.y2) - max(first.y1, second.y1)
    if width <= 0.0 or height <= 0.0:
        return 0.0
    shared = width * height
    return shared / (first.area + second.area - shared)


def merge_boxes(sets: Iterable[Iterable[Box]], *, min_iou: float = 0.4) -> tuple[Box, ...]:
    """The union of what several annotators saw in one scene, sorted.

    Boxes of one class that overlap by more than ``min_iou`` are one object, the closest pairs first, and a
    chain of such pairs is one object too. Two boxes of the same annotator stay two objects: whoever drew
    two saw two; only exact repeats count once. The box of an object is the mean of its boxes, so the order
    of the annotators does not matter.

    Args:
        sets: The boxes of each annotator.
        min_iou: Boxes with a larger IoU are merged; 0..1.

    Raises:
        ValueError: ``min_iou`` outside 0..1.
    """
    if not 0.0 <= min_iou <= 1.0:
        raise ValueError(f"min_iou must be within 0..1, got {min_iou}")
    views = [(box, annotator) for annotator, boxes in enumerate(sets) for box in sorted(set(boxes))]
    objects = {view: frozenset({view}) for view in views}
    for first, second in _close_pairs(views, min_iou=min_iou):
        joint = objects[first] | objects[second]
        if len({annotator for _, annotator in joint}) == len(joint):
            objects.update(dict.fromkeys(joint, joint))
    return tuple(sorted(_mean([box for box, _ in joint]) for joint in set(objects.values())))


def _close_pairs(views: Sequence[_View], *, min_iou: float) -> list[tuple[_View, _View]]:
    """Views of one class that overlap enough, the closest first; ties are broken by place."""
    close = [
        (box_iou(first[0], second[0]), first, second)
        for first, second in itertools.combinations(views, 2)
        if first[0].class_id == second[0].class_id
    ]
    close.sort(key=lambda pair: (-pair[0], *sorted((pair[1][0], pair[2][0]))))
    return [(first, second) for iou, first, second in close if iou > min_iou]


def _mean(boxes: Sequence[Box]) -> Box:
    """Corner by corner; ``fsum`` rounds once, so the order of the boxes leaves no trace."""
    corners = zip(*(box.corners for box in boxes), strict=True)
    return Box(boxes[0].class_id, *(math.fsum(corner) / len(boxes) for corner in corners))
