"""How well a detector does on folders of images: visible, infrared, or fused by any method."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from streamfuse.errors import SourceError, UsageError
from streamfuse.frames import Detection
from streamfuse.jobs.evaluating.bootstrap import Resampling, Score
from streamfuse.jobs.evaluating.judging import Judging
from streamfuse.jobs.evaluating.matching import set_names
from streamfuse.jobs.evaluating.objects import Labelled, read_labelled
from streamfuse.jobs.evaluating.pictures import match_images, read_rgb
from streamfuse.jobs.evaluating.scores import GroupScores, SetScores, TaskReport
from streamfuse.metrics.detection import (
    Matches,
    average_precision,
    class_scores,
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
ByKind = Mapping[str, ByClass]
"""The same for boxes and masks, by what begins the names of their scores: nothing, and ``mask_``."""
_BOXES = ""


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
            a set that is none; several folders of labels where masks are judged.
    """

    images: tuple[Path, ...]
    """One folder for each set; all hold the same stems."""
    labels: tuple[Path, ...]
    """Folders of YOLO text files; an object counts if any of them has it."""
    masks: bool = False
    """Judge masks beside boxes; the labels are outlines then."""
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
        if self.masks and len(self.labels) > 1:
            raise UsageError(
                f"masks are judged against one folder of outlines, got {len(self.labels)} folders of labels; "
                "give one, or judge boxes alone"
            )

    @property
    def set_names(self) -> tuple[str, ...]:
        """What each folder of images is called."""
        return set_names(self.images)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionReport(TaskReport):
    """Average precision on each set of images, by class and over all (AP50, AP70, AP90, AP50_95).

    Those of masks are AP50 and AP50_95, with names that begin with ``mask_``.
    """

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
            image that cannot be read, no labelled object at all, or a detector without the masks to judge.
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
            name: dict(zip(job.classes, map(precision_at_recalls, by_kind[_BOXES]), strict=True))
            for name, by_kind in found.items()
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


def _read_truth(job: DetectionEvaluation, *, stems: Sequence[str]) -> dict[str, Labelled]:
    """The labelled objects of each image."""
    classes = len(job.classes)
    truth = {stem: read_labelled(job.labels, stem, classes=classes, masks=job.masks) for stem in stems}
    if not any(labelled.boxes for labelled in truth.values()):
        held = ", ".join(map(str, job.labels))
        raise SourceError(f"{held}: no label file of these {len(stems)} images holds a box; label the images")
    return truth


def _look(
    classes: Sequence[str],
    detector: Detector,
    paths: Mapping[str, Path],
    *,
    truth: Mapping[str, Labelled],
    tick: Callable[[], None],
) -> ByKind:
    """What a detector finds on one set of images, with a tick after each image."""
    matches: list[list[dict[str, Matches]]] = [[] for _ in classes]
    for stem, path in paths.items():
        rgb = read_rgb(path)
        size_wh = (rgb.shape[1], rgb.shape[0])
        found = detector.look(rgb)
        for class_id, name in enumerate(classes):
            own = [one for one in found if one.class_name == name]
            matches[class_id].append(truth[stem].match(own, class_id=class_id, size_wh=size_wh))
        tick()
    kinds = matches[0][0]
    return {kind: tuple(tuple(each[kind] for each in own) for own in matches) for kind in kinds}


def _score(
    classes: Sequence[str], found: Mapping[str, ByKind], places: Sequence[int], resampling: Resampling
) -> GroupScores:
    """The scores of some of the images, in every set on the same draws."""
    counts = resampling.counts(len(places))
    first = [[matches[place].truths for place in places] for matches in next(iter(found.values()))[_BOXES]]
    return GroupScores(
        images=len(places),
        truths=tuple(map(sum, first)),
        empty=sum(not any(of_image) for of_image in zip(*first, strict=True)),
        sets={name: _set_scores(classes, by_kind, places, counts) for name, by_kind in found.items()},
    )


def _set_scores(
    classes: Sequence[str], by_kind: ByKind, places: Sequence[int], counts: npt.NDArray[np.int64]
) -> SetScores:
    mean: dict[str, Score] = {}
    by_name: dict[str, dict[str, Score]] = {name: {} for name in classes}
    for kind, by_class in by_kind.items():
        drawn = [[own[place] for place in places] for own in by_class]
        values = [average_precision(matches) for matches in drawn]
        draws = [resampled_precisions(matches, counts) for matches in drawn]
        mean |= _named(kind, mean_scores(values), mean_scores(draws))
        for name, value, of_draws in zip(classes, values, draws, strict=True):
            by_name[name] |= _named(kind, class_scores(value), class_scores(of_draws))
    return SetScores(mean=mean, classes=by_name)


def _named(kind: str, values: Mapping[str, Floats], draws: Mapping[str, Floats]) -> dict[str, Score]:
    """Scores under the names of their kind: all of boxes, and of masks the two that everybody gives."""
    told = [name for name in values if kind == _BOXES or name.endswith(("AP50", "AP50_95"))]
    return {f"{kind}{name}": Score(value=float(values[name]), draws=draws[name]) for name in told}
