"""An earlier detector as an annotator of scenes that nobody has labelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from streamfuse.config.pipeline import Segment, Tasks
from streamfuse.config.training_detector import Guesses
from streamfuse.core.boxes import Box, box_iou, merge_boxes
from streamfuse.core.masks import decode_mask, encode_mask
from streamfuse.engine.tasks.runner import TaskRunner
from streamfuse.frames import Detection
from streamfuse.jobs.detecting.scene import Thing

__all__ = ["DetectorGuesses", "open_guesses"]

Rgb = npt.NDArray[np.uint8]
XyXy = tuple[float, float, float, float]

_MAYBE = 0.15
"""What is surer than this may be an object."""
_GREY = 114
"""What Ultralytics pads with, so that it means nothing to a detector."""
_SAME = 0.5
"""Two boxes that overlap more than this (IoU) are of one object."""


@dataclass(frozen=True, slots=True)
class DetectorGuesses:
    """Says what is in a scene.

    It looks at every rendering, as it is and from twice as far, and takes the union, as one takes that of
    several annotators: what the smoke hides from one camera the other one shows, and who is too near to be
    known from what it learnt stands farther away.
    """

    runner: TaskRunner
    classes: Sequence[str]
    confidence: float

    def __call__(self, renderings: Mapping[str, Rgb]) -> tuple[tuple[Thing, ...], tuple[XyXy, ...]]:
        """Objects, and boxes of what may be one."""
        images = list(renderings.values())
        height, width = images[0].shape[:2]
        size_wh = (width, height)
        far = [_farther(image) for image in images]
        looked = self.runner.run([*images, *far], pair_ids=range(2 * len(images)))
        found = [[one for one in each.detections if one.class_name in self.classes] for each in looked]
        found[len(images) :] = [[_nearer(one, size_wh) for one in each] for each in found[len(images) :]]
        sure, maybe = (
            merge_boxes([self._boxes(each, size_wh, least=least) for each in found], min_iou=_SAME)
            for least in (self.confidence, _MAYBE)
        )
        known = [box for each in found for box in each]
        things = tuple(_thing(box, known, self.classes, size_wh) for box in sure)
        unsure = tuple(
            box.to_pixels(size_wh) for box in maybe if all(box_iou(box, other) < _SAME for other in sure)
        )
        return things, unsure

    def _boxes(self, found: Sequence[Detection], size_wh: tuple[int, int], *, least: float) -> list[Box]:
        return [
            _box(one, self.classes, size_wh) for one in found if one.confidence >= least and _has_extent(one)
        ]


def open_guesses(guesses: Guesses, classes: Sequence[str]) -> DetectorGuesses:
    """Load the earlier detector.

    Raises:
        WeightsError: it cannot be read, or makes no masks.
    """
    tasks = Tasks(segment=Segment(weights=str(guesses.weights), confidence=_MAYBE))
    return DetectorGuesses(TaskRunner.load(tasks), classes, guesses.confidence)


def _farther(image: Rgb) -> Rgb:
    """The image at half its size, in the corner of a grey one."""
    height, width = image.shape[:2]
    canvas = np.full_like(image, _GREY)
    half = cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    canvas[: height // 2, : width // 2] = half
    return canvas


def _nearer(one: Detection, size_wh: tuple[int, int]) -> Detection:
    """What was found in :func:`_farther`, in pixels of the image itself."""
    width, height = size_wh
    left, top, right, bottom = (2 * edge for edge in one.box_xyxy)
    mask = None
    if one.mask_rle is not None:
        far = decode_mask(one.mask_rle, size_wh)[: height // 2, : width // 2].astype(np.uint8)
        near = cv2.resize(far, (width, height), interpolation=cv2.INTER_NEAREST)
        mask = encode_mask(near.astype(np.bool_))
    return replace(one, box_xyxy=(left, top, right, bottom), mask_rle=mask)


def _box(one: Detection, classes: Sequence[str], size_wh: tuple[int, int]) -> Box:
    limits = (*size_wh, *size_wh)
    corners = [min(max(0.0, edge), limit) for edge, limit in zip(one.box_xyxy, limits, strict=True)]
    return Box.from_pixels(classes.index(one.class_name), corners, size_wh=size_wh)


def _has_extent(one: Detection) -> bool:
    left, top, right, bottom = one.box_xyxy
    return right - left >= 1 and bottom - top >= 1


def _thing(box: Box, known: Sequence[Detection], classes: Sequence[str], size_wh: tuple[int, int]) -> Thing:
    """The object of a box, with the mask of the detection that fits it best."""
    fitting = [one for one in known if one.class_name == classes[box.class_id] and _has_extent(one)]
    best = max(fitting, key=lambda one: box_iou(box, _box(one, classes, size_wh)))
    height, width = size_wh[::-1]
    empty = np.zeros((height, width), np.bool_)
    mask = empty if best.mask_rle is None else decode_mask(best.mask_rle, size_wh)
    return Thing(class_id=box.class_id, box_xyxy=box.to_pixels(size_wh), mask=mask)
