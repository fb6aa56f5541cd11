"""From raw predictions to checked objects: one suppression of doubles, one way back to the image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from streamfuse.engine.tasks.backends.base import Raw
from streamfuse.engine.tasks.letterbox import Letterbox
from streamfuse.engine.tasks.library import ultralytics
from streamfuse.engine.tasks.masks import object_masks
from streamfuse.frames import Detection

__all__ = ["Found", "Reading", "read_objects"]


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
    """Less sure than asked for, without masks."""


def read_objects(raw: Raw, reading: Reading, letterbox: Letterbox) -> Iterator[Found]:
    """The objects of each image of ``raw``."""
    suppress = ultralytics("utils.nms").non_max_suppression
    with torch.inference_mode():
        found: list[Tensor] = suppress(
            raw.predictions,
            reading.confidence * reading.faint_share,
            reading.overlap,
            classes=None if reading.class_ids is None else list(reading.class_ids),
            max_det=max(raw.predictions.shape[1:]),  # all, so that we know how many are too many
            nc=len(reading.names),
            end2end=reading.is_end_to_end,
        )
    for index, all_rows in enumerate(found):
        sure = all_rows[:, 4] >= reading.confidence
        rows, faint = all_rows[sure], all_rows[~sure]
        prototypes = None if raw.prototypes is None or not reading.masks else raw.prototypes[index]
        yield Found(
            detections=_detections(rows[: reading.most], prototypes, reading.names, letterbox),
            left_out=max(0, len(rows) - reading.most),
            faint=_detections(faint[: reading.most], None, reading.names, letterbox),
        )


def _detections(
    rows: Tensor, prototypes: Tensor | None, names: Mapping[int, str], letterbox: Letterbox
) -> tuple[Detection, ...]:
    """(N, 6 + C): box, confidence, class and coefficients of masks."""
    if not len(rows):
        return ()
    numbers = rows.cpu().numpy()
    boxes = letterbox.boxes_in_image(numbers[:, :4])
    masks: Iterator[tuple[int, ...] | None] = iter([None] * len(numbers))
    if prototypes is not None:
        masks = object_masks(prototypes.cpu().numpy(), numbers[:, 6:], boxes, letterbox)
    return tuple(
        Detection(
            box_xyxy=(left, top, right, bottom),
            class_id=int(class_id),
            class_name=names[int(class_id)],
            confidence=min(confidence, 1.0),
            mask_rle=mask,
        )
        for (left, top, right, bottom), (confidence, class_id), mask in zip(
            boxes.tolist(), numbers[:, 4:6].tolist(), masks, strict=True
        )
    )
