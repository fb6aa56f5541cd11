"""How well a detector does on folders of images: visible, infrared, or fused by any method."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from streamfuse.core.boxes import Box
from streamfuse.errors import SourceError, UsageError
from streamfuse.frames import Detection
from streamfuse.io.labels import read_box_union
from streamfuse.jobs.evaluating.bootstrap import Resampling, Score
from streamfuse.jobs.evaluating.judging import Judging
from streamfuse.jobs.evaluating.matching import set_names
from streamfuse.jobs.evaluating.pictures import match_images, read_rgb
from streamfuse.jobs.evaluating.scores import GroupScores, SetScores, TaskReport
from streamfuse.metrics.detection import (
    Matches,
    average_precision,
    class_scores,
    match_boxes,
    mean_scores,
    precision_at_recalls,
    resampled_precisions,
)

__all__ = [
    "DetectionEvaluation",
    "DetectionReport",
    "Detector",
    "evaluate_detection",
]


Rgb = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
ByClass = tuple[tuple[Matches, ...], ...]
"""Of each class, its matches in each image."""


class Detector(Protocol):
    """Finds objects in one image after the other."""

    @property
    def class_names(self) -> frozenset[str]:
        """Names of all objects it can find."""

    def look(self, image: Rgb) -> tuple[Detection, ...]:
        """The objects in an HxWx3 uint8 RGB image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionEvaluation:
    """Folders of images of the same scenes, and the labels of these scenes.

    Raises:
        UsageError: no folder, one given twice, classes that are missing or named twice, or a comparison of
            a set that is none.
    """

    images: tuple[Path, ...]
    """One folder for each set; all hold the same stems."""
    labels: tuple[Path, ...]
    """Folders of YOLO text files; an object counts if any of them has it."""
    classes: tuple[str, ...] = ("person", "bicycle", "car")
    """Names of the label ids 0, 1, …, as the detector names them."""
    stems: tuple[str, ...] | None = None
    """Only these images; None: all."""
    judging: Judging = field(default_factory=Judging)

    def __post_init__(self) -> None:
        if not self.images or not self.labels:
            raise UsageError("give at least one folder of images and one of labels")
        if not all(self.classes) or len(set(self.classes)) < len(self.classes) or not self.classes:
            raise UsageError(f"classes must be names, each given once, got {','.join(self.classes)!r}")
        self.judging.check_sets(self.set_names)
        set_names(self.labels)

    @property
    def set_names(self) -> tuple[str, ...]:
        """What each folder of images is called."""
        return set_names(self.images)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionReport(TaskReport):
    """Average precision on each set of images, by class and over all (AP50, AP70, AP90, AP50_95)."""

    curves: Mapping[str, Mapping[str, Floats]]
    """By set and class (T, 101), see :func:`streamfuse.metrics.detection.precision_at_recalls`."""


def evaluate_detection(
    job: DetectionEvaluation,
    detectors: Detector | Mapping[str, Detector],
    *,
    on_progress: Callable[[int, int | None], None] = lambda _done, _total: None,
) -> DetectionReport:
    """Let a detector look at every image and score it against the labels, by class name.

    All sets are scored against the same labels. Objects of other classes than those of the labels are left
    out. Each image is looked at once; groups, draws and curves come from what was found there.

    Args:
        job: what to look at.
        detectors: what looks, at all sets or by name of the set; see
            :func:`streamfuse.jobs.evaluating.detectors.load_detector`.
        on_progress: called in this thread with the images that are done and those there are, over all sets.

    Raises:
        UsageError: a detector that knows none of the classes, or a group without images.
        SourceError: folders that do not hold the same images, an image without label file, a label or an
            image that cannot be read, or no labelled object at all.
    """
    by_set = detectors if isinstance(detectors, Mapping) else dict.fromkeys(job.set_names, detectors)
    unknown = _unknown(job.classes, by_set)
    folders = match_images(job.images, job.stems)
    stems = tuple(folders[0])
    groups = job.judging.places(stems)
    truth = _read_truth(job, stems=stems)
    done, total = itertools.count(), len(folders) * len(truth)

    def tick() -> None:
        on_progress(next(done), total)

    tick()
    found = {
        name: _look(job.classes, by_set[name], paths, truth=truth, tick=tick)
        for name, paths in zip(job.set_names, folders, strict=True)
    }
    resampling = job.judging.resampling
    return DetectionReport(
        whole=_score(job.classes, found, range(len(stems)), resampling),
        groups={name: _score(job.classes, found, places, resampling) for name, places in groups.items()},
        comparisons=job.judging.comparisons,
        resampling=resampling,
        unknown=unknown,
        curves={
            name: dict(zip(job.classes, map(precision_at_recalls, by_class), strict=True))
            for name, by_class in found.items()
        },
    )


def _unknown(classes: Sequence[str], detectors: Mapping[str, Detector]) -> tuple[str, ...]:
    """The classes that some detector has no name for; one that knows none is an error."""
    unknown: dict[str, None] = {}
    for detector in detectors.values():
        lacking = [name for name in classes if name not in detector.class_names]
        if len(lacking) == len(classes):
            some = ", ".join(sorted(detector.class_names)[:5])
            raise UsageError(
                f"the detector knows no {' or '.join(lacking)}, but {some}, …; "
                "give the names of the label ids as it has them with --classes"
            )
        unknown.update(dict.fromkeys(lacking))
    return tuple(unknown)


def _read_truth(job: DetectionEvaluation, *, stems: Sequence[str]) -> dict[str, tuple[Box, ...]]:
    """The labelled objects of each image."""
    truth = {stem: read_box_union(job.labels, stem, classes=len(job.classes)) for stem in stems}
    if not any(truth.values()):
        held = ", ".join(map(str, job.labels))
        raise SourceError(f"{held}: no label file of these {len(stems)} images holds a box; label the images")
    return truth


def _look(
    classes: Sequence[str],
    detector: Detector,
    paths: Mapping[str, Path],
    *,
    truth: Mapping[str, Sequence[Box]],
    tick: Callable[[], None],
) -> ByClass:
    """What a detector finds on one set of images, with a tick after each image."""
    matches: list[list[Matches]] = [[] for _ in classes]
    for stem, path in paths.items():
        rgb = read_rgb(path)
        size_wh = (rgb.shape[1], rgb.shape[0])
        found = detector.look(rgb)
        for class_id, name in enumerate(classes):
            own = [one for one in found if one.class_name == name]
            matches[class_id].append(
                match_boxes(
                    truth=_boxes([box.to_pixels(size_wh) for box in truth[stem] if box.class_id == class_id]),
                    found=_boxes([one.box_xyxy for one in own]),
                    confidence=np.array([one.confidence for one in own], np.float64),
                )
            )
        tick()
    return tuple(map(tuple, matches))


def _score(
    classes: Sequence[str], found: Mapping[str, ByClass], places: Sequence[int], resampling: Resampling
) -> GroupScores:
    """The scores of some of the images, in every set on the same draws."""
    counts = resampling.counts(len(places))
    first = [[matches[place].truths for place in places] for matches in next(iter(found.values()))]
    return GroupScores(
        images=len(places),
        truths=tuple(map(sum, first)),
        empty=sum(not any(of_image) for of_image in zip(*first, strict=True)),
        sets={
            name: _set_scores(classes, [[own[place] for place in places] for own in by_class], counts)
            for name, by_class in found.items()
        },
    )


def _set_scores(
    classes: Sequence[str], by_class: Sequence[Sequence[Matches]], counts: npt.NDArray[np.int64]
) -> SetScores:
    values = [average_precision(matches) for matches in by_class]
    draws = [resampled_precisions(matches, counts) for matches in by_class]
    return SetScores(
        mean=_named(mean_scores(values), mean_scores(draws)),
        classes={
            name: _named(class_scores(value), class_scores(drawn))
            for name, value, drawn in zip(classes, values, draws, strict=True)
        },
    )


def _named(values: Mapping[str, Floats], draws: Mapping[str, Floats]) -> dict[str, Score]:
    return {name: Score(value=float(value), draws=draws[name]) for name, value in values.items()}


def _boxes(corners: Sequence[tuple[float, float, float, float]]) -> Floats:
    return np.array(corners, np.float64).reshape(-1, 4)
