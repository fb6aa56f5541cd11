"""The labelled objects of an image, and which of them a detector found: by boxes and, if wanted, by masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from streamfuse.core.boxes import Box, Outline
from streamfuse.core.masks import decode_mask, fill_outline
from streamfuse.frames import Detection
from streamfuse.io.labels import find_label, read_box_union, read_outlines
from streamfuse.metrics.detection import MAX_DETECTIONS, Matches, match_boxes, match_masks

__all__ = ["Labelled", "read_labelled"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """The labelled objects of one image."""

    boxes: tuple[Box, ...]
    outlines: tuple[Outline, ...] | None
    """Of the same objects; None where masks are not judged."""

    def match(
        self, found: Sequence[Detection], *, class_id: int, size_wh: tuple[int, int]
    ) -> dict[str, Matches]:
        """How detections of a class fare in an image of this size, in pixels.

        Args:
            found: of the class, whatever their own numbers of it.
            class_id: of the labels.
            size_wh: of the image.

        Returns:
            By what begins the names of the scores: nothing for boxes and ``mask_`` for masks.

        An object whose mask is empty is one that no label has the shape of.
        """
        confidence = np.array([one.confidence for one in found], np.float64)
        corners = [box.to_pixels(size_wh) for box in self.boxes if box.class_id == class_id]
        by_kind = {
            "": match_boxes(
                truth=_array(corners),
                found=_array([one.box_xyxy for one in found]),
                confidence=confidence,
            )
        }
        if self.outlines is None:
            return by_kind
        surest = np.argsort(-confidence, kind="stable")[:MAX_DETECTIONS]  # no more masks than count
        by_kind["mask_"] = match_masks(
            truth=[
                fill_outline(each.to_pixels(size_wh), size_wh)
                for each in self.outlines
                if each.class_id == class_id
            ],
            found=[_mask_of(found[index], size_wh) for index in surest],
            confidence=confidence[surest],
        )
        return by_kind


def read_labelled(folders: Sequence[Path], stem: str, *, classes: int, masks: bool) -> Labelled:
    """The labelled objects of the image with this stem.

    Args:
        folders: of YOLO label files, one for each annotator; one folder of outlines, if masks are judged.
        stem: the image's name without suffix.
        classes: how many classes there are.
        masks: whether masks are judged.

    Raises:
        SourceError: a file is missing or is not as wanted.
    """
    if not masks:
        return Labelled(boxes=read_box_union(folders, stem, classes=classes), outlines=None)
    (folder,) = folders
    outlines = read_outlines(find_label(folder, stem), classes=classes)
    return Labelled(boxes=tuple(each.box for each in outlines), outlines=outlines)


def _mask_of(found: Detection, size_wh: tuple[int, int]) -> npt.NDArray[np.bool_]:
    if found.mask_rle is None:
        return np.zeros(size_wh[::-1], np.bool_)
    return decode_mask(found.mask_rle, size_wh)


def _array(corners: Sequence[tuple[float, float, float, float]]) -> Floats:
    return np.array(corners, np.float64).reshape(-1, 4)
