"""How well label maps, from files or made by a network of images, agree with the true ones."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from streamfuse.errors import SourceError, UsageError
from streamfuse.io.images import by_stem, list_images, match_stems
from streamfuse.io.labels import read_label_map
from streamfuse.jobs.evaluating.bootstrap import Resampling, Score
from streamfuse.jobs.evaluating.judging import Judging
from streamfuse.jobs.evaluating.matching import set_names
from streamfuse.jobs.evaluating.pictures import read_rgb
from streamfuse.jobs.evaluating.scores import GroupScores, SetScores, TaskReport
from streamfuse.metrics.segmentation import IGNORE, ConfusionMatrix, accuracies, ious, mean_ious

__all__ = ["SegmentationEvaluation", "Segmenter", "class_names", "evaluate_segmentation"]

Labels = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.int64]


class Segmenter(Protocol):
    """Names the class of every pixel."""

    @property
    def class_names(self) -> frozenset[str]:
        """Names of all that it can find."""

    def label(self, image: npt.NDArray[np.uint8], classes: Sequence[str]) -> Labels:
        """HxW uint8 places in ``classes``, 0 where nothing was found, of an HxWx3 uint8 RGB image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentationEvaluation:
    """Folders of predicted maps or of images, and the folder of true maps: PNG files of class ids, by stem.

    Raises:
        UsageError: no folder, one given twice, names given twice, a number of classes outside 2..255, or a
            comparison of a set that is none.
    """

    predicted: tuple[Path, ...]
    """One folder for each set: label maps, or the images that a segmenter looks at."""
    labels: Path
    classes: tuple[str, ...] = tuple(map(str, range(9)))
    """Names of the ids 0, 1, …, background first; 9 as in MSRS and MFNet."""
    stems: tuple[str, ...] | None = None
    """Only these maps; None: all true ones."""
    judging: Judging = field(default_factory=Judging)

    def __post_init__(self) -> None:
        if not self.predicted:
            raise UsageError("give at least one folder of predicted label maps, or of images")
        if not 2 <= len(self.classes) <= IGNORE:
            raise UsageError(f"classes must be within 2..{IGNORE}, got {len(self.classes)}")
        if not all(self.classes) or len(set(self.classes)) < len(self.classes):
            raise UsageError(f"classes must be names, each given once, got {','.join(self.classes)!r}")
        self.judging.check_sets(self.set_names)

    @property
    def set_names(self) -> tuple[str, ...]:
        """What each folder is called."""
        return set_names(self.predicted)


def class_names(text: str) -> tuple[str, ...]:
    """The names of classes as a user gives them: ``background,car,person``, or only how many there are."""
    if text.strip().isdecimal():
        return tuple(map(str, range(min(int(text), IGNORE + 1))))
    return tuple(name.strip() for name in text.split(","))


def evaluate_segmentation(
    job: SegmentationEvaluation,
    segmenter: Segmenter | None = None,
    *,
    on_progress: Callable[[int, int | None], None] = lambda _done, _total: None,
) -> TaskReport:
    """Compare every true map with the predicted ones; pixels whose true label is 255 are not judged.

    The scores are those of all pixels of a set together, not means over the maps; draws are of whole maps.

    Args:
        job: what to compare.
        segmenter: what looks at the images; None: the folders hold its label maps.
        on_progress: called in this thread with the maps that are done and those there are, over all sets.

    Returns:
        mIoU and accuracy of each set, the IoU of each class; a class that is nowhere has none.

    Raises:
        UsageError: a segmenter that knows none of the classes, or a group without maps.
        SourceError: a true map without a predicted one, a map that cannot be read or holds other ids, maps of
            different sizes, or a prediction that names no class where the truth does.
    """
    unknown = () if segmenter is None else _unknown(job.classes, segmenter)
    folders = [_match(job.labels, folder, job.stems) for folder in job.predicted]
    stems = tuple(label.stem for label, _ in folders[0])
    groups = job.judging.places(stems)
    done, total = itertools.count(), sum(map(len, folders))

    def tick() -> None:
        on_progress(next(done), total)

    tick()
    found = {
        name: _compare(job.classes, pairs, segmenter, tick=tick)
        for name, pairs in zip(job.set_names, folders, strict=True)
    }
    resampling = job.judging.resampling
    return TaskReport(
        whole=_score(job.classes, found, resampling),
        groups={
            name: _score(job.classes, {key: own[places] for key, own in found.items()}, resampling)
            for name, places in groups.items()
        },
        comparisons=job.judging.comparisons,
        resampling=resampling,
        unknown=unknown,
    )


def _unknown(classes: Sequence[str], segmenter: Segmenter) -> tuple[str, ...]:
    """The classes but the background that a network has no name for; one that knows none is an error."""
    unknown = tuple(name for name in classes[1:] if name not in segmenter.class_names)
    if len(unknown) == len(classes) - 1:
        some = ", ".join(sorted(segmenter.class_names)[:5])
        raise UsageError(
            f"the network knows no {' or '.join(unknown[:5])}, but {some}, …; give the names of the label "
            "ids as it has them with --classes, background first"
        )
    return unknown


def _match(labels: Path, predicted: Path, stems: Sequence[str] | None) -> tuple[tuple[Path, Path], ...]:
    """(true, predicted) maps; more may have been predicted than there is truth for."""
    if stems is not None:
        return tuple((_named(labels, stem), _named(predicted, stem)) for stem in stems)
    match = match_stems(labels, predicted)
    if match.only_visible:
        raise SourceError(
            f"{predicted}: holds no map {match.only_visible[0]}, which {labels} has "
            f"({len(match.only_visible)} are missing); predict it, or take its label out"
        )
    return match.pairs


def _named(folder: Path, stem: str) -> Path:
    path = by_stem(list_images(folder)).get(stem)
    if path is None:
        raise SourceError(f"{folder}: holds no image {stem}; add it, or take it off the list of names")
    return path


def _compare(
    classes: Sequence[str],
    pairs: Sequence[tuple[Path, Path]],
    segmenter: Segmenter | None,
    *,
    tick: Callable[[], None],
) -> Counts:
    """(N, C, C) confusion of each map of a set, with a tick after each."""
    matrices = []
    for label_path, path in pairs:
        truth = read_label_map(label_path, classes=len(classes))
        if segmenter is None:
            predicted = read_label_map(path, classes=len(classes))
        else:
            predicted = segmenter.label(read_rgb(path), classes)
        matrices.append(_confusion(truth, predicted, classes=len(classes), paths=(label_path, path)))
        tick()
    return np.stack(matrices)


def _confusion(truth: Labels, predicted: Labels, *, classes: int, paths: tuple[Path, Path]) -> Counts:
    label_path, path = paths
    if truth.shape != predicted.shape:
        (height, width), (true_height, true_width) = predicted.shape, truth.shape
        raise SourceError(
            f"{path} is {width}x{height} and {label_path} {true_width}x{true_height}; "
            "predict at the size of the labels"
        )
    if np.any((predicted == IGNORE) & (truth != IGNORE)):
        raise SourceError(f"{path}: holds {IGNORE} where {label_path} names a class; predict one everywhere")
    matrix = ConfusionMatrix(classes)
    matrix.add(truth=truth, predicted=predicted)
    return matrix.counts


def _score(classes: Sequence[str], found: Mapping[str, Counts], resampling: Resampling) -> GroupScores:
    """The scores of some of the maps, in every set on the same draws."""
    first = next(iter(found.values()))
    draws = resampling.counts(len(first))
    pixels = first.sum(axis=2)
    return GroupScores(
        images=len(first),
        truths=tuple(pixels.sum(axis=0).tolist()),
        empty=int(np.count_nonzero(pixels[:, 1:].sum(axis=1) == 0)),
        sets={name: _set_scores(classes, own, draws) for name, own in found.items()},
    )


def _set_scores(classes: Sequence[str], counts: Counts, draws: npt.NDArray[np.int64]) -> SetScores:
    """Of (N, C, C) counts and (R, N) draws."""
    whole = counts.sum(axis=0)
    # Floats for BLAS; pixels are whole numbers up to 2^53 all the same.
    drawn = np.tensordot(draws.astype(np.float64), counts.astype(np.float64), axes=1)
    iou, iou_drawn = ious(whole), ious(drawn)
    return SetScores(
        mean={
            "mIoU": Score(value=float(mean_ious(whole)), draws=mean_ious(drawn)),
            "accuracy": Score(value=float(accuracies(whole)), draws=accuracies(drawn)),
        },
        classes={
            name: {"IoU": Score(value=float(iou[place]), draws=iou_drawn[:, place])}
            for place, name in enumerate(classes)
        },
    )
