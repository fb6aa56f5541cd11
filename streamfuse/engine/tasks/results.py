"""From raw predictions to checked objects: one suppression of doubles, one way back to the image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from streamfuse.engine.tasks.backends.base import Raw
from streamfuse.engine.tasks.letterbox import Letterbox
from streamfuse.engine.tasks.masks import object_masks
from streamfuse.engine.tasks.suppression import surest
from streamfuse.frames import Detection

if TYPE_CHECKING:  # a backend without torch gives arrays
    from torch import Tensor

__all__ = ["Found", "Reading", "read_objects"]

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What of a network's predictions counts as an object."""

    names: Mapping[int, str]
    """Of all classes of the network."""
    is_end_to_end: bool
    confidence: float
    faint_share: float
    """Objects from this share of ``confidence`` up to it are given apart, for who follows them; 1: none."""
    overlap: float
    class_ids: tuple[int, ...] | None
    """None: all."""
    most: int
    masks: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The objects of one image."""

    detections: tuple[Detection, ...] = ()
    """The surest first."""
    left_out: int = 0
    """Objects beyond the most that were asked for."""
    faint: tuple[Detection, ...] = ()
    """Less sure than asked for."""


def read_objects(raw: Raw, index: int, reading: Reading, letterbox: Letterbox) -> Found:
    """The objects of one image of ``raw``."""
    predictions, least = raw.predictions[index], reading.confidence * reading.faint_share
    if reading.is_end_to_end:
        rows = _of_classes(_on_host(predictions[predictions[:, 4] > least]), reading.class_ids)
    else:
        candidates = _candidates(predictions, classes=len(reading.names), least=least)
        rows = _suppressed(candidates, reading)
    is_sure = rows[:, 4] >= reading.confidence
    sure, faint = rows[is_sure], rows[~is_sure]
    prototypes = None if raw.prototypes is None or not reading.masks else raw.prototypes[index]
    return Found(
        detections=_detections(sure[: reading.most], prototypes, reading.names, letterbox),
        left_out=max(0, len(sure) - reading.most),
        faint=_detections(faint[: reading.most], prototypes, reading.names, letterbox),
    )


def _candidates(predictions: Numbers | Tensor, *, classes: int, least: float) -> Floats:
    """(N, 4 + classes + C), those of (4 + classes + C, anchors) of which any class is surer than ``least``.

    On a GPU they are chosen there, so that few numbers travel. On a CPU numpy chooses: torch would wake its
    threads for it, which takes longer than the choice, and disturbs those of the network's runtime.
    """
    if not isinstance(predictions, np.ndarray) and predictions.device.type != "cpu":
        return _on_host(predictions[:, predictions[4 : 4 + classes].amax(0) > least].T)
    columns = _on_host(predictions)
    return np.ascontiguousarray(columns[:, columns[4 : 4 + classes].max(0) > least].T)


def _suppressed(candidates: Floats, reading: Reading) -> Floats:
    """(N, 6 + C): box, confidence, class and coefficients of masks, the surest of each object, in order."""
    scores, rest = np.split(candidates[:, 4:], [len(reading.names)], axis=1)
    half = candidates[:, 2:4] / 2
    low, high = candidates[:, :2] - half, candidates[:, :2] + half
    best = scores.argmax(1, keepdims=True)
    rows = np.hstack((low, high, np.take_along_axis(scores, best, 1), best.astype(np.float32), rest))
    rows = _of_classes(rows, reading.class_ids)
    return rows[surest(rows[:, :4], rows[:, 4], rows[:, 5], overlap=reading.overlap)]


def _of_classes(rows: Floats, class_ids: Sequence[int] | None) -> Floats:
    return rows if class_ids is None else rows[np.isin(rows[:, 5], class_ids)]


def _on_host(numbers: Numbers | Tensor) -> Floats:
    """On the host; what is there already is not copied."""
    copied: Floats = numbers if isinstance(numbers, np.ndarray) else numbers.cpu().numpy()
    return copied


def _detections(
    rows: Floats, prototypes: Numbers | Tensor | None, names: Mapping[int, str], letterbox: Letterbox
) -> tuple[Detection, ...]:
    """(N, 6 + C): box, confidence, class and coefficients of masks."""
    if not len(rows):
        return ()
    boxes = letterbox.boxes_in_image(rows[:, :4])
    masks: Iterator[tuple[int, ...] | None] = iter([None] * len(rows))
    if prototypes is not None:
        masks = object_masks(_on_host(prototypes), rows[:, 6:], boxes, letterbox)
    return tuple(
        Detection(
            box_xyxy=(left, top, right, bottom),
            class_id=int(class_id),
            class_name=names[int(class_id)],
            confidence=min(confidence, 1.0),
            mask_rle=mask,
        )
        for (left, top, right, bottom), (confidence, class_id), mask in zip(
            boxes.tolist(), rows[:, 4:6].tolist(), masks, strict=True
        )
    )
