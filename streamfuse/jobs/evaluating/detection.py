"""How well a detector does on folders of images: visible, infrared, or fused by any method."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from streamfuse.config.pipeline import Detect, Tasks
from streamfuse.core.boxes import Box
from streamfuse.engine.tasks import TaskRunner
from streamfuse.errors import SourceError, UsageError, WeightsError
from streamfuse.frames import Detection, Image, PixelFormat
from streamfuse.io.images import match_stems, read_image
from streamfuse.io.labels import read_box_union
from streamfuse.jobs.evaluating.matching import set_names
from streamfuse.metrics.detection import Matches, average_precision, class_scores, match_boxes, mean_scores

__all__ = [
    "LEAST_CONFIDENCE",
    "DetectionEvaluation",
    "DetectionReport",
    "Detector",
    "evaluate_detection",
    "load_detector",
]

Rgb = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

LEAST_CONFIDENCE = 0.001
"""Average precision looks at all thresholds, so the detector must hardly have one; as Ultralytics does it."""


class Detector(Protocol):
    """Finds objects: :class:`streamfuse.engine.tasks.TaskRunner`."""

    @property
    def class_names(self) -> frozenset[str]:
        """Names of all objects it can find."""

    def run(self, images: Sequence[Rgb], *, pair_ids: Sequence[int]) -> list[tuple[Detection, ...]]:
        """The objects in each HxWx3 uint8 RGB image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionEvaluation:
    """Folders of images of the same scenes, and the labels of these scenes.

    Raises:
        UsageError: no folder, one given twice, or classes that are missing or named twice.
    """

    images: tuple[Path, ...]
    """One folder for each set; all hold the same stems."""
    labels: tuple[Path, ...]
    """Folders of YOLO text files; an object counts if any of them has it."""
    classes: tuple[str, ...] = ("person", "bicycle", "car")
    """Names of the label ids 0, 1, …, as the detector names them."""
    stems: tuple[str, ...] | None = None
    """Only these images; None: all."""

    def __post_init__(self) -> None:
        if not self.images or not self.labels:
            raise UsageError("give at least one folder of images and one of labels")
        if not all(self.classes) or len(set(self.classes)) < len(self.classes) or not self.classes:
            raise UsageError(f"classes must be names, each given once, got {','.join(self.classes)!r}")
        set_names(self.images)
        set_names(self.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionReport:
    """Average precision of one detector on each set of images."""

    classes: tuple[str, ...]
    truths: tuple[int, ...]
    """Labelled objects of each class."""
    images: int
    """In each set."""
    empty: int
    """Images without a labelled object, where every detection is a false alarm."""
    unknown: tuple[str, ...]
    """Classes that the detector has no name for: it cannot find them."""
    precisions: Mapping[str, tuple[Floats, ...]]
    """Name of a set to (T,) for each class; see :func:`streamfuse.metrics.detection.average_precision`."""

    def mean(self, set_name: str) -> dict[str, float | None]:
        """mAP50, mAP70, mAP90 and mAP50_95 over the classes that have labelled objects."""
        return _finite(mean_scores(self.precisions[set_name]))

    def by_class(self, set_name: str) -> dict[str, dict[str, float | None]]:
        """AP50, AP70, AP90 and AP50_95 of each class; None without labelled objects."""
        scores = (_finite(class_scores(values)) for values in self.precisions[set_name])
        return dict(zip(self.classes, scores, strict=True))

    def as_dict(self) -> dict[str, object]:
        """The report in plain values, for JSON."""
        return {
            "images": self.images,
            "empty": self.empty,
            "truths": dict(zip(self.classes, self.truths, strict=True)),
            "unknown": list(self.unknown),
            "sets": {
                name: {"mean": self.mean(name), "classes": self.by_class(name)} for name in self.precisions
            },
        }


def load_detector(weights: Path) -> TaskRunner:
    """A YOLO detector for evaluation: it says whatever it finds likelier than 0.001.

    Raises:
        WeightsError: no such file, or no detector of Ultralytics.
    """
    if weights.suffix != ".pt":
        raise WeightsError(f"{weights}: wanted a YOLO detector of Ultralytics, a file that ends in .pt")
    return TaskRunner.load(Tasks(detect=Detect(weights=str(weights.absolute()), confidence=LEAST_CONFIDENCE)))


def evaluate_detection(
    job: DetectionEvaluation,
    detector: Detector,
    *,
    on_progress: Callable[[int, int | None], None] = lambda _done, _total: None,
) -> DetectionReport:
    """Let a detector look at every image and score it against the labels, by class name.

    All sets are scored against the same labels. Objects of other classes than those of the labels are left
    out. Images are looked at one by one: in a batch of mixed sizes Ultralytics pads them differently.

    Args:
        job: what to look at.
        detector: what looks; see :func:`load_detector`.
        on_progress: called in this thread with the images that are done and those there are, over all sets.

    Raises:
        UsageError: a detector that knows none of the classes.
        SourceError: folders that do not hold the same images, an image without label file, a label or an
            image that cannot be read, or no labelled object at all.
    """
    unknown = tuple(name for name in job.classes if name not in detector.class_names)
    if len(unknown) == len(job.classes):
        some = ", ".join(sorted(detector.class_names)[:5])
        raise UsageError(
            f"the detector knows no {' or '.join(unknown)}, but {some}, …; "
            "give the names of the label ids as it has them with --classes"
        )
    folders = _match(job)
    truth = _read_truth(job, stems=tuple(folders[0]))
    done, total = itertools.count(), len(folders) * len(truth)

    def tick() -> None:
        on_progress(next(done), total)

    tick()
    precisions = {
        name: _score(job.classes, detector, paths, truth=truth, tick=tick)
        for name, paths in zip(set_names(job.images), folders, strict=True)
    }
    objects = [box.class_id for boxes in truth.values() for box in boxes]
    return DetectionReport(
        classes=job.classes,
        truths=tuple(objects.count(class_id) for class_id in range(len(job.classes))),
        images=len(truth),
        empty=sum(not boxes for boxes in truth.values()),
        unknown=unknown,
        precisions=precisions,
    )


def _match(job: DetectionEvaluation) -> list[dict[str, Path]]:
    """The wanted images of each folder by stem, in one order."""
    first = job.images[0]
    folders: list[dict[str, Path]] = []
    for folder in job.images:
        match = match_stems(first, folder)
        paths = {path.stem: path for _, path in match.pairs}
        lacking = match.only_visible if job.stems is None else [s for s in job.stems if s not in paths]
        if lacking:
            raise SourceError(
                f"{folder}: holds no image {lacking[0]} ({len(lacking)} are missing); add it, or name the "
                "images to look at with --names"
            )
        if job.stems is None and match.only_infrared:
            raise SourceError(
                f"{folder}: holds {match.only_infrared[0]}, which {first} lacks, and all sets must be of the "
                "same images; take it out, or name the images to look at with --names"
            )
        folders.append(paths if job.stems is None else {stem: paths[stem] for stem in job.stems})
    return folders


def _read_truth(job: DetectionEvaluation, *, stems: Sequence[str]) -> dict[str, tuple[Box, ...]]:
    """The labelled objects of each image."""
    truth = {stem: read_box_union(job.labels, stem, classes=len(job.classes)) for stem in stems}
    if not any(truth.values()):
        held = ", ".join(map(str, job.labels))
        raise SourceError(f"{held}: no label file of these {len(stems)} images holds a box; label the images")
    return truth


def _score(
    classes: Sequence[str],
    detector: Detector,
    paths: Mapping[str, Path],
    *,
    truth: Mapping[str, Sequence[Box]],
    tick: Callable[[], None],
) -> tuple[Floats, ...]:
    """Average precision of each class on one set of images, with a tick after each image."""
    matches: list[list[Matches]] = [[] for _ in classes]
    for index, (stem, path) in enumerate(paths.items()):
        rgb = _rgb(read_image(path), path)
        size_wh = (rgb.shape[1], rgb.shape[0])
        (found,) = detector.run([rgb], pair_ids=[index])
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
    return tuple(average_precision(of_class) for of_class in matches)


def _rgb(image: Image, path: Path) -> Rgb:
    """HxWx3 uint8; grey is grey in all three channels."""
    if image.spec.format is PixelFormat.GRAY16:
        raise SourceError(f"{path}: has 16-bit samples; bring it to 8 bits first, as fuse does")
    pixels = cast("Rgb", image.planes[0])
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)


def _boxes(corners: Sequence[tuple[float, float, float, float]]) -> Floats:
    return np.array(corners, np.float64).reshape(-1, 4)


def _finite(scores: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in scores.items()}
