"""From boxes to masks: what inside a box is the object, by the two cameras' leave (GrabCut on each).

Semantic training wants a class for each pixel, and annotators often give boxes only. Each camera's picture
is cut on its own; where both say the same, that is the label, where they differ, nobody learns anything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from streamfuse.core.boxes import IGNORE, Box
from streamfuse.errors import UsageError

__all__ = ["boxes_to_mask"]

Plane = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prior:
    """What is known of a kind of object before its picture is seen. Found by looking at MSRS."""

    core: float
    """The ellipse in the middle of the box, as a share of its sides, that is the object for sure."""
    fill_from: float
    """An object that covers less of its box was not found: the cut shrank to the core."""
    fill_to: float
    lift: float = 0.0
    """Share of the height by which it stands nearer than its lower edge says: a rider's feet are above the
    ground, and she covers her bicycle."""


_PRIORS = (
    _Prior(core=0.40, fill_from=0.25, fill_to=0.90, lift=0.25),  # person
    _Prior(core=0.45, fill_from=0.25, fill_to=0.90),  # bicycle
    _Prior(core=0.60, fill_from=0.40, fill_to=0.98),  # car
)

_INNER = 0.8
"""The ellipse that an object usually covers, as a share of the sides of its box."""
_OUTER = 1.2
"""The ellipse beyond which a corner of the box is likely background."""
_MARGIN = 0.3
"""How far around a box, in shares of its sides, the background is learned."""
_SIDE_PX = 56
"""Side of the square with the area of the scaled box: bounds the time, and lets small objects be cut."""
_ROUNDS = 3
_LEAST_BACKGROUND = 0.05
"""Share of the window; with less around an object there is nothing to tell it from."""
_LEAST_CONTRAST = 3.0
"""Levels per pixel across the outline; less is noise."""
_LEAST_OF_OTHER = 0.33
"""A view with a smaller share of the other's contrast keeps silent (visible at night, infrared of cars)."""
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


class _Place(NamedTuple):
    """A rectangle in whole pixels; right and bottom are the first pixels outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size_wh(self) -> tuple[int, int]:
        return self.right - self.left, self.bottom - self.top

    @property
    def area_px(self) -> int:
        width, height = self.size_wh
        return width * height

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def grown(self, image_wh: tuple[int, int]) -> _Place:
        """The window around it, cut at the image."""
        across, down = (max(4, round(_MARGIN * side)) for side in self.size_wh)
        return _Place(
            max(0, self.left - across),
            max(0, self.top - down),
            min(image_wh[0], self.right + across),
            min(image_wh[1], self.bottom + down),
        )

    def within(self, window: _Place) -> _Place:
        """The same place, counted from the corner of a window."""
        x, y = window[:2]
        return _Place(self.left - x, self.top - y, self.right - x, self.bottom - y)


class _Thing(NamedTuple):
    class_id: int
    place: _Place

    @property
    def nearness(self) -> float:
        """The lower an object ends in the picture, the nearer it is (all stand on one ground)."""
        return self.place.bottom + _PRIORS[self.class_id].lift * self.place.size_wh[1]


class _Cut(NamedTuple):
    """What one view says of the pixels of a box."""

    inside: Mask
    contrast: float


def boxes_to_mask(
    visible_rgb: Plane, infrared: Plane, boxes: Sequence[Box], *, min_area_px: float = 150.0
) -> Plane:
    """Label the pixels of boxes: class id + 1 for an object, 255 where it is unclear, 0 elsewhere.

    GrabCut (Rother, Kolmogorov, Blake: "GrabCut", SIGGRAPH 2004) cuts each box out of the visible and of the
    infrared image. Where both views find an object in the box, pixels on which they differ are 255. A view
    keeps silent when its object fills too little or too much of the box, or has little contrast across its
    outline; then the other decides alone, and what it leaves out of the box's inner ellipse is 255. Where
    both are silent, or the box is too small to cut, that ellipse is the object and the rest of the box 255.

    Nearer objects cover farther ones: nearer is whose box ends lower, a person counted a quarter of her
    height lower. The same input always gives the same labels; OpenCV's random generator of this thread is
    reseeded.

    Args:
        visible_rgb: HxWx3 uint8.
        infrared: HxW uint8, registered to it.
        boxes: Class 0 person, 1 bicycle, 2 car.
        min_area_px: Smaller boxes are not cut.

    Returns:
        HxW uint8.

    Raises:
        UsageError: the images differ in size or are not 8 bits, or a box is of another class.
    """
    _check(visible_rgb, infrared, boxes)
    height, width = infrared.shape
    things = [_Thing(box.class_id, _place(box, (width, height))) for box in boxes]
    hints = {kind: _hints(things, kind, shape=(height, width)) for kind in {box.class_id for box in boxes}}
    labels = np.zeros((height, width), np.uint8)
    for thing in sorted(things, key=lambda thing: (thing.nearness, thing)):
        cuts = [
            _cut(view, hints[thing.class_id], thing.place)
            for view in (visible_rgb, infrared)
            if thing.place.area_px >= min_area_px
        ]
        _paint(labels[thing.place.slices], thing, _votes(cuts, _PRIORS[thing.class_id]))
    return labels


def _check(visible_rgb: Plane, infrared: Plane, boxes: Sequence[Box]) -> None:
    got = [(image.shape, str(image.dtype)) for image in (visible_rgb, infrared)]
    shape = infrared.shape[:2]
    if got != [((*shape, 3), "uint8"), (shape, "uint8")]:
        raise UsageError(
            "masks from boxes need visible HxWx3 and infrared HxW of 8 bits and one size, got "
            f"{got[0][0]} {got[0][1]} and {got[1][0]} {got[1][1]}; register and convert them first"
        )
    strange = sorted({box.class_id for box in boxes if box.class_id >= len(_PRIORS)})
    if strange:
        raise UsageError(
            f"masks from boxes know 0 person, 1 bicycle, 2 car, got class {strange[0]}; leave those boxes out"
        )


def _place(box: Box, size_wh: tuple[int, int]) -> _Place:
    """The nearest whole pixels, at least one."""
    left, top, right, bottom = (round(edge) for edge in box.to_pixels(size_wh))
    left, top = min(left, size_wh[0] - 1), min(top, size_wh[1] - 1)
    return _Place(left, top, max(right, left + 1), max(bottom, top + 1))


def _ellipse(size_wh: tuple[int, int], share: float) -> Mask:
    """The pixels of a rectangle whose centres are in the ellipse with this share of its sides."""
    x, y = ((np.arange(side) + 0.5) / side * 2 - 1 for side in size_wh)
    return (x[None, :] / share) ** 2 + (y[:, None] / share) ** 2 <= 1.0


def _hints(things: Sequence[_Thing], class_id: int, *, shape: tuple[int, int]) -> Plane:
    """GrabCut's first guess for one class over the whole image.

    Neighbours of the same class count as objects too: their looks must not be learned as background.
    """
    hints = np.full(shape, cv2.GC_BGD, np.uint8)
    places = [thing.place for thing in things if thing.class_id == class_id]
    for place in places:
        region = hints[place.slices]
        region[region == cv2.GC_BGD] = cv2.GC_PR_BGD
        region[_ellipse(place.size_wh, _OUTER)] = cv2.GC_PR_FGD
    for place in places:
        hints[place.slices][_ellipse(place.size_wh, _PRIORS[class_id].core)] = cv2.GC_FGD
    return hints


def _cut(view: Plane, hints: Plane, place: _Place) -> _Cut:
    """Cut one box out of one view (HxW or HxWx3)."""
    window = place.grown((hints.shape[1], hints.shape[0]))
    scale = _SIDE_PX / math.sqrt(place.area_px)
    small_wh = tuple(max(8, round(side * scale)) for side in window.size_wh)
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    pixels = np.asarray(cv2.resize(view[window.slices], small_wh, interpolation=smooth), np.uint8)
    pixels = np.asarray(cv2.GaussianBlur(pixels, (3, 3), 0), np.uint8)
    guess = np.asarray(cv2.resize(hints[window.slices], small_wh, interpolation=cv2.INTER_NEAREST), np.uint8)
    in_boxes = guess != cv2.GC_BGD
    if np.isin(guess, (cv2.GC_BGD, cv2.GC_PR_BGD)).mean() < _LEAST_BACKGROUND:
        return _Cut(np.ones(place.size_wh[::-1], np.bool_), 0.0)
    outline = _tidy(_grab(pixels, guess))
    contrast = _contrast(pixels, outline, in_boxes) * scale
    full = cv2.resize(outline * np.uint8(255), window.size_wh, interpolation=cv2.INTER_LINEAR) > 127
    return _Cut(full[place.within(window).slices], contrast)


def _grab(pixels: Plane, guess: Plane) -> Plane:
    """1 where GrabCut says object. It draws random numbers, so the draw is fixed."""
    colors = pixels if pixels.ndim == 3 else cv2.merge([pixels] * 3)
    background, thing = np.zeros((1, 65)), np.zeros((1, 65))
    unused = (0, 0, 1, 1)
    cv2.setRNGSeed(1)
    cv2.grabCut(colors, guess, unused, background, thing, _ROUNDS, cv2.GC_INIT_WITH_MASK)
    return np.asarray((guess == cv2.GC_FGD) | (guess == cv2.GC_PR_FGD), np.uint8)


def _tidy(inside: Plane) -> Plane:
    """Without specks and hairs, and without holes (a car has windows)."""
    opened = cv2.morphologyEx(inside, cv2.MORPH_OPEN, _CROSS)
    contours, _ = cv2.findContours(opened, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(inside)
    cv2.drawContours(filled, contours, -1, 1, cv2.FILLED)
    return filled


def _contrast(pixels: Plane, inside: Plane, where: Mask) -> float:
    """Mean slope across the outline, in levels per pixel of ``pixels``; the steepest channel counts."""
    slopes = [
        cv2.Sobel(pixels, cv2.CV_32F, across, 1 - across, scale=1 / 8).reshape(*inside.shape, -1)
        for across in (0, 1)
    ]
    slope = np.hypot(*slopes).max(axis=-1)
    outline = (cv2.dilate(inside, _CROSS) != cv2.erode(inside, _CROSS)) & where
    return float(slope[outline].mean()) if outline.any() else 0.0


def _votes(cuts: Sequence[_Cut], prior: _Prior) -> list[Mask]:
    """The masks that are to be believed, none to two."""
    sound = [cut for cut in cuts if prior.fill_from <= cut.inside.mean() <= prior.fill_to]
    clearest = max((cut.contrast for cut in sound), default=0.0)
    least = max(_LEAST_CONTRAST, _LEAST_OF_OTHER * clearest)
    return [cut.inside for cut in sound if cut.contrast >= least]


def _paint(region: Plane, thing: _Thing, votes: Sequence[Mask]) -> None:
    """Put an object over what is behind it: its own pixels, and doubt, except over its own class."""
    usual = _ellipse(thing.place.size_wh, _INNER)
    match votes:
        case [first, second]:
            inside, unclear = first & second, first ^ second
        case [only]:
            inside, unclear = only, usual & ~only
        case _:
            inside, unclear = usual, ~usual
    label = thing.class_id + 1
    region[unclear & (region != label)] = IGNORE
    region[inside] = label
