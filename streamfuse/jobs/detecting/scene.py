"""A scene that a detector learns from: its renderings, and the outlines of what is in it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Scene", "Thing", "views_of"]

Rgb = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
XyXy = tuple[float, float, float, float]
Window = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are the first outside."""

_LEAST_PX = 4.0
"""Objects narrower or lower than this in a view are left out: nothing can be told of them."""
_CLOSER = 2
"""Enlarged views of a scene."""
_LEAST_SHARE = 0.35
"""Of an object's box that a view must hold to count as the object."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Thing:
    """One object of a scene.

    Raises:
        ValueError: a box without extent.
    """

    class_id: int
    box_xyxy: XyXy
    """Pixel edges of the scene's images."""
    mask: Mask
    """HxW of the scene: the pixels that show it."""

    def __post_init__(self) -> None:
        left, top, right, bottom = self.box_xyxy
        if not (left < right and top < bottom):
            raise ValueError(f"a box needs left < right and top < bottom, got {self.box_xyxy}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """The same moment in every rendering, with the same objects.

    Raises:
        ValueError: renderings or masks of different sizes.
    """

    name: str
    renderings: Mapping[str, Rgb]
    """HxWx3 uint8, in the order R, G, B."""
    things: tuple[Thing, ...]
    unsure: tuple[XyXy, ...] = ()
    """Boxes of what may be an object: painted over, so that it teaches neither the one nor the other."""
    repeat: int = 1
    """How often each of its views is shown in an epoch."""

    def __post_init__(self) -> None:
        shapes = {image.shape[:2] for image in self.renderings.values()}
        shapes |= {thing.mask.shape for thing in self.things}
        if len(shapes) != 1:
            raise ValueError(f"the images and masks of {self.name} must have one size, got {sorted(shapes)}")

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height, width = next(iter(self.renderings.values())).shape[:2]
        return width, height


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """A part of a scene at its own size, or the whole of it, shrunk."""

    name: str
    renderings: Mapping[str, Rgb]
    labels: str
    """Lines of an Ultralytics label file: a class number and the outline, in shares of the view."""


def views_of(scene: Scene, *, side_px: int) -> Iterator[View]:
    """The scene from near and far: a detector must know things of any size.

    These are squares at its own size, so that small things keep their pixels; all of it, shrunk; and of the
    squares of half the side, enlarged, those that hold the most.

    Args:
        scene: what to look at.
        side_px: of the squares; and the longer side of the whole.
    """
    width, height = scene.size_wh
    images = {kind: _painted_over(image, scene.unsure) for kind, image in scene.renderings.items()}
    painted = replace(scene, renderings=images)
    for window in _windows(scene.size_wh, side_px):
        yield _view(painted, window, scale=1.0)
    if max(width, height) > side_px:
        yield _view(painted, (0, 0, width, height), scale=side_px / max(width, height))
    closer = [_view(painted, window, scale=2.0) for window in _windows(scene.size_wh, side_px // 2)]
    closer.sort(key=lambda view: view.labels.count("\n"), reverse=True)
    yield from (view for view in closer[:_CLOSER] if view.labels)


def _view(scene: Scene, window: Window, *, scale: float) -> View:
    left, top, right, bottom = window
    size_wh = (round((right - left) * scale), round((bottom - top) * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return View(
        name=f"{scene.name}-{left}-{top}-{right - left}",
        renderings={
            kind: _cut(image, window)
            if scale == 1
            else cv2.resize(_cut(image, window), size_wh, interpolation=how).astype(np.uint8, copy=False)
            for kind, image in scene.renderings.items()
        },
        labels=_labels(scene, window, scale),
    )


def _windows(size_wh: tuple[int, int], side_px: int) -> Iterator[Window]:
    """Squares that cover an image, evenly spread, cut where it is smaller."""
    width, height = size_wh
    for top in _starts(height, side_px):
        for left in _starts(width, side_px):
            yield left, top, min(width, left + side_px), min(height, top + side_px)


def _starts(length: int, side_px: int) -> list[int]:
    """Where squares begin that cover a length, evenly spread."""
    count = max(1, math.ceil(length / side_px))
    last = max(0, length - side_px)
    return [round(last * index / max(1, count - 1)) for index in range(count)]


def _cut(image: Rgb, window: Window) -> Rgb:
    left, top, right, bottom = window
    return image[top:bottom, left:right]


def _painted_over(image: Rgb, boxes: tuple[XyXy, ...]) -> Rgb:
    """The mean colour around, where something may or may not be an object."""
    if not boxes:
        return image
    painted = image.copy()
    for box in boxes:
        left, top, right, bottom = (round(edge) for edge in box)
        part = painted[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
        if part.size:
            part[:] = np.rint(part.reshape(-1, 3).mean(axis=0)).astype(np.uint8)
    return painted


def _labels(scene: Scene, window: Window, scale: float) -> str:
    lines = []
    for thing in scene.things:
        box = _clipped(thing.box_xyxy, window)
        if box is None or min(box[2] - box[0], box[3] - box[1]) * scale < _LEAST_PX:
            continue
        outline = outline_in_box(_cut_mask(thing.mask, window), box)
        size = np.array((window[2] - window[0], window[3] - window[1]))
        shares = np.clip(outline / size, 0, 1).ravel()
        lines.append(f"{thing.class_id} " + " ".join(f"{share:.5f}" for share in shares) + "\n")
    return "".join(lines)


def _clipped(box: XyXy, window: Window) -> XyXy | None:
    """The part of a box within a window, in its pixels; None where it shows too little of the object."""
    left, top = max(box[0], window[0]), max(box[1], window[1])
    right, bottom = min(box[2], window[2]), min(box[3], window[3])
    if right <= left or bottom <= top:
        return None
    share = (right - left) * (bottom - top) / ((box[2] - box[0]) * (box[3] - box[1]))
    if share < _LEAST_SHARE:
        return None
    return left - window[0], top - window[1], right - window[0], bottom - window[1]


def _cut_mask(mask: Mask, window: Window) -> Mask:
    left, top, right, bottom = window
    return mask[top:bottom, left:right]


def outline_in_box(mask: Mask, box: XyXy) -> npt.NDArray[np.float64]:
    """Outline of the largest part of a mask, stretched to its box; an ellipse where the mask has nothing.

    Ultralytics takes the box of an object from its outline, and boxes are what annotators are sure of.

    Returns:
        Nx2 in pixels.
    """
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    largest = max(contours, key=cv2.contourArea, default=None)
    if largest is None or len(largest) < 4:
        turn = np.linspace(0, 2 * math.pi, 16, endpoint=False)
        points = np.stack((np.cos(turn), np.sin(turn)), axis=1)
    else:
        points = cv2.approxPolyDP(largest, 0.7, closed=True)[:, 0].astype(np.float64)
        if len(points) < 3:
            points = largest[:, 0].astype(np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    corner, size = np.array(box[:2]), np.array((box[2] - box[0], box[3] - box[1]))
    stretched: npt.NDArray[np.float64] = corner + (points - low) / span * size
    return stretched
