"""How well folders of predicted label maps agree with the true ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from streamfuse.errors import SourceError, UsageError
from streamfuse.io.images import match_stems
from streamfuse.io.labels import read_label_map
from streamfuse.jobs.evaluating.matching import set_names
from streamfuse.metrics.segmentation import IGNORE, ConfusionMatrix

__all__ = ["SegmentationEvaluation", "SegmentationReport", "evaluate_segmentation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentationEvaluation:
    """Folders of predicted maps and the folder of true ones: PNG files of class ids, matched by stem.

    Raises:
        UsageError: no folder, one given twice, or a number of classes outside 2..255.
    """

    predicted: tuple[Path, ...]
    labels: Path
    classes: int = 9
    """With background; 9 as in MSRS and MFNet."""

    def __post_init__(self) -> None:
        if not self.predicted:
            raise UsageError("give at least one folder of predicted label maps")
        if not 2 <= self.classes <= IGNORE:
            raise UsageError(f"classes must be within 2..{IGNORE}, got {self.classes}")
        set_names(self.predicted)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentationReport:
    """The confusion of each set of predicted maps."""

    sets: Mapping[str, ConfusionMatrix]
    images: int
    """In each set: as many as there are true maps."""

    def as_dict(self) -> dict[str, object]:
        """The report in plain values, for JSON; the IoU of a class that is nowhere is None."""
        return {
            "images": self.images,
            "sets": {
                name: {
                    "mean": {"mIoU": _finite(matrix.mean_iou()), "accuracy": _finite(matrix.accuracy())},
                    "classes": {str(i): {"IoU": _finite(iou)} for i, iou in enumerate(matrix.iou().tolist())},
                }
                for name, matrix in self.sets.items()
            },
        }


def evaluate_segmentation(
    job: SegmentationEvaluation,
    *,
    on_progress: Callable[[int, int | None], None] = lambda _done, _total: None,
) -> SegmentationReport:
    """Compare every true map with the predicted ones; pixels whose true label is 255 are not judged.

    Args:
        job: what to compare.
        on_progress: called in this thread with the maps that are done and those there are, over all sets.

    Raises:
        SourceError: a true map without a predicted one, a map that cannot be read or holds other ids, maps of
            different sizes, or a prediction that names no class where the truth does.
    """
    names = set_names(job.predicted)
    folders = [_match(job.labels, folder) for folder in job.predicted]
    sets: dict[str, ConfusionMatrix] = {}
    done, total = 0, sum(map(len, folders))
    on_progress(done, total)
    for name, pairs in zip(names, folders, strict=True):
        sets[name] = ConfusionMatrix(job.classes)
        for label_path, path in pairs:
            _add(sets[name], label_path, path, classes=job.classes)
            done += 1
            on_progress(done, total)
    return SegmentationReport(sets=sets, images=len(folders[0]))


def _match(labels: Path, predicted: Path) -> tuple[tuple[Path, Path], ...]:
    """(true, predicted) maps; more may have been predicted than there is truth for."""
    match = match_stems(labels, predicted)
    if match.only_visible:
        raise SourceError(
            f"{predicted}: holds no map {match.only_visible[0]}, which {labels} has "
            f"({len(match.only_visible)} are missing); predict it, or take its label out"
        )
    return match.pairs


def _add(matrix: ConfusionMatrix, label_path: Path, path: Path, *, classes: int) -> None:
    truth, predicted = read_label_map(label_path, classes=classes), read_label_map(path, classes=classes)
    if truth.shape != predicted.shape:
        (height, width), (true_height, true_width) = predicted.shape, truth.shape
        raise SourceError(
            f"{path} is {width}x{height} and {label_path} {true_width}x{true_height}; "
            "predict at the size of the labels"
        )
    if np.any((predicted == IGNORE) & (truth != IGNORE)):
        raise SourceError(f"{path}: holds {IGNORE} where {label_path} names a class; predict one everywhere")
    matrix.add(truth=truth, predicted=predicted)


def _finite(value: float) -> float | None:
    return None if math.isnan(value) else value
