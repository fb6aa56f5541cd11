"""Average precision of boxes or masks, as COCO counts it, over objects of all sizes.

Detections are taken in the order of their confidence. Each claims the free true object it overlaps most, if
their IoU reaches the threshold; what claims none is a false alarm, also a second detection of one object.
Precision is read at 101 recalls from 0 to 1, each time the best precision at that recall or a higher one,
and averaged.

Source: Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014, and its evaluation code,
pycocotools, whose numbers these are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "IOU_THRESHOLDS",
    "MAX_DETECTIONS",
    "RECALLS",
    "Matches",
    "average_precision",
    "class_scores",
    "match_boxes",
    "match_masks",
    "mean_scores",
    "precision_at_recalls",
    "resampled_precisions",
]

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

IOU_THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)
"""From which IoU on a detection counts as found: .50, .55, …, .95."""

MAX_DETECTIONS = 100
"""Detections of one class in one image that count, the most confident first."""

RECALLS: Floats = np.linspace(0.0, 1.0, 101)
"""Where precision is read: .00, .01, …, 1.00."""

_NAMED = {"50": 0, "70": 4, "90": 8}
"""Thresholds that are reported by themselves, as places in ``IOU_THRESHOLDS``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Matches:
    """How the D detections of one class in one image fared at the T thresholds.

    Raises:
        ValueError: shapes that do not belong together.
    """

    confidence: Floats
    """(D,) falling."""
    hit: npt.NDArray[np.bool_]
    """(T, D): whether the detection found an object that no better one had found."""
    truths: int
    """Objects of the class in the image."""

    def __post_init__(self) -> None:
        expected = (len(IOU_THRESHOLDS), len(self.confidence))
        if self.hit.shape != expected:
            raise ValueError(f"hits must be thresholds x detections = {expected}, got {self.hit.shape}")


def match_boxes(*, truth: Floats, found: Floats, confidence: Floats) -> Matches:
    """Match the detections of one class in one image with its true boxes.

    Args:
        truth: (N, 4) left, top, right, bottom, in any one unit.
        found: (D, 4) in the same unit.
        confidence: (D,); where two are equal, the earlier comes first.

    Raises:
        ValueError: other shapes.
    """
    if truth.shape[1:] != (4,) or found.shape[1:] != (4,) or confidence.shape != found.shape[:1]:
        raise ValueError(
            "wanted (N, 4) true boxes, (D, 4) found boxes and (D,) confidences, "
            f"got {truth.shape}, {found.shape} and {confidence.shape}"
        )
    order = _surest(confidence)
    return _matches(_ious(found[order], truth), confidence[order])


def match_masks(*, truth: Sequence[Mask], found: Sequence[Mask], confidence: Floats) -> Matches:
    """Match the detections of one class in one image with its true masks.

    Args:
        truth: N masks, HxW.
        found: D masks of the same size.
        confidence: (D,); where two are equal, the earlier comes first.

    Raises:
        ValueError: other shapes.
    """
    if len({mask.shape for mask in (*truth, *found)}) > 1 or confidence.shape != (len(found),):
        sizes = sorted({mask.shape for mask in (*truth, *found)})
        raise ValueError(
            f"wanted masks of one size and a confidence for each of the {len(found)} found, "
            f"got sizes {sizes} and {confidence.shape}"
        )
    order = _surest(confidence)
    return _matches(_mask_ious([found[index] for index in order], truth), confidence[order])


def _surest(confidence: Floats) -> npt.NDArray[np.intp]:
    """Which detections count, the most confident first."""
    return np.argsort(-confidence, kind="stable")[:MAX_DETECTIONS]


def _matches(iou: Floats, confidence: Floats) -> Matches:
    """Match D detections, the most confident first, with N objects, given how much they overlap: (D, N)."""
    truths = iou.shape[1]
    hit = np.zeros((len(IOU_THRESHOLDS), len(confidence)), np.bool_)
    free = np.ones((len(IOU_THRESHOLDS), truths), np.bool_)
    for index in np.flatnonzero(iou.max(axis=1, initial=0.0) >= IOU_THRESHOLDS[0]):
        claimable = free & (iou[index] >= IOU_THRESHOLDS[:, None])
        # Of equal overlaps COCO takes the last.
        best = truths - 1 - np.argmax(np.where(claimable, iou[index], -1.0)[:, ::-1], axis=1)
        hit[:, index] = claimable.any(axis=1)
        levels = np.flatnonzero(hit[:, index])
        free[levels, best[levels]] = False
    return Matches(confidence=confidence, hit=hit, truths=truths)


def average_precision(matches: Sequence[Matches]) -> Floats:
    """Average precision of one class over its images, in their order, which breaks ties of confidence.

    Returns:
        (T,) within 0..1, one for each of ``IOU_THRESHOLDS``; NaN if no image holds the class.
    """
    return np.asarray(np.mean(precision_at_recalls(matches), axis=1))


def precision_at_recalls(matches: Sequence[Matches]) -> Floats:
    """The curve of precision over recall of one class, whose mean is its average precision.

    Returns:
        (T, 101) within 0..1, at each of ``RECALLS`` the best precision there or at a higher recall; 0 where
        the recall is never reached, NaN if no image holds the class.
    """
    truths = sum(match.truths for match in matches)
    if not truths:
        return np.full((len(IOU_THRESHOLDS), len(RECALLS)), np.nan)
    order = np.argsort(-np.concatenate([match.confidence for match in matches]), kind="stable")
    found = np.cumsum(np.concatenate([match.hit for match in matches], axis=1)[:, order], axis=1)
    precision = found / np.arange(1, len(order) + 1)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    reached = np.pad(best, ((0, 0), (0, 1)))  # a recall that is never reached has precision 0
    recalls = found / truths
    return np.array(
        [values[np.searchsorted(recall, RECALLS)] for values, recall in zip(reached, recalls, strict=True)]
    )


def resampled_precisions(matches: Sequence[Matches], counts: npt.NDArray[np.integer]) -> Floats:
    """Average precision of one class on many selections of its images, an image any number of times.

    The same as :func:`average_precision` of each selection with its images repeated, but for the order of
    equal confidences, and much faster: between two hits precision only falls, so hits alone are looked at.

    Args:
        matches: of the N images.
        counts: (R, N), how often each selection holds each image.

    Returns:
        (R, T) within 0..1; NaN where a selection does not hold the class.

    Raises:
        ValueError: counts of another number of images.
    """
    if counts.shape[1:] != (len(matches),):
        raise ValueError(f"wanted counts of {len(matches)} images in each row, got {counts.shape}")
    order = np.argsort(-np.concatenate([match.confidence for match in matches]), kind="stable")
    hit = np.concatenate([match.hit for match in matches], axis=1)[:, order]
    image = np.repeat(np.arange(len(matches)), [len(match.confidence) for match in matches])[order]
    own = image == np.arange(len(matches))[:, None]
    often = counts.astype(np.float64)  # whole numbers all the same; BLAS knows no others
    truths = often @ [match.truths for match in matches]
    ranks = np.cumsum(own, axis=1)
    precisions = []
    for at in hit:
        found, rank = often @ np.cumsum(own[:, at], axis=1), often @ ranks[:, at]
        precisions.append(_areas(found, rank, truths))
    return np.where(truths[:, None] > 0, np.stack(precisions, axis=1), np.nan)


def _areas(found: Floats, rank: Floats, truths: Floats) -> Floats:
    """(R,) mean of the precisions at ``RECALLS``.

    Args:
        found: (R, H) hits up to and with each hit, the most confident first.
        rank: (R, H) detections up to and with it.
        truths: (R,) objects.
    """
    precision = found / np.maximum(rank, 1.0)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    # Each recall is read at the first hit that reaches it, so a hit counts as often as it is the first.
    reached = np.searchsorted(RECALLS, found / np.maximum(truths, 1.0)[:, None], side="right")
    return np.asarray(np.sum(best * np.diff(reached, prepend=0, axis=1), axis=1) / len(RECALLS))


def class_scores(precisions: Floats) -> dict[str, Floats]:
    """The scores of one class by name: AP50, AP70, AP90, and AP50_95, the mean of all thresholds.

    Args:
        precisions: (..., T) as of :func:`average_precision` or :func:`resampled_precisions`.

    Returns:
        (...) each.
    """
    named = {f"AP{name}": np.asarray(precisions[..., place]) for name, place in _NAMED.items()}
    return named | {"AP50_95": np.asarray(np.mean(precisions, axis=-1))}


def mean_scores(precisions: Sequence[Floats]) -> dict[str, Floats]:
    """The means over the classes by name: mAP50, mAP70, mAP90, mAP50_95.

    Args:
        precisions: (..., T) for each class; a class without truth (NaN) is left out, as COCO does.

    Returns:
        (...) each; NaN where no class is left.
    """
    stacked = np.stack(precisions)
    present = ~np.isnan(stacked)
    mean = np.divide(
        np.sum(stacked, axis=0, where=present),
        np.count_nonzero(present, axis=0),
        out=np.full(stacked.shape[1:], np.nan),
        where=present.any(axis=0),
    )
    return {f"m{name}": value for name, value in class_scores(mean).items()}


def _ious(first: Floats, second: Floats) -> Floats:
    """(D, N) shared area over joint area of each two boxes; 0 where they share none."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (first, second)]
    joint = areas[0][:, None] + areas[1][None, :] - shared
    iou: Floats = np.divide(shared, joint, out=np.zeros_like(shared), where=shared > 0.0)
    return iou


def _mask_ious(first: Sequence[Mask], second: Sequence[Mask]) -> Floats:
    """(D, N) shared pixels over joint pixels of each two masks; 0 where they share none."""
    iou = np.zeros((len(first), len(second)))
    if not second:
        return iou
    flat = np.stack([mask.ravel() for mask in second])
    areas = np.count_nonzero(flat, axis=1)
    for index, mask in enumerate(first):
        pixels = np.flatnonzero(mask)
        shared = np.count_nonzero(flat[:, pixels], axis=1)
        iou[index] = shared / np.maximum(areas + len(pixels) - shared, 1)
    return iou
