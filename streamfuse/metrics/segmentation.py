"""Intersection over union of label maps, class by class.

Source: Everingham et al., "The PASCAL Visual Object Classes Challenge", IJCV 2010, section 4.3.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["IGNORE", "ConfusionMatrix", "accuracies", "ious", "mean_ious"]

Labels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64] | Floats

IGNORE = 255
"""True label of a pixel that is not judged."""


class ConfusionMatrix:
    """Counts, over any number of label maps, which class the pixels of each class were taken for.

    Args:
        classes: Number of classes, 1 to 255; their ids are 0 to ``classes - 1``.

    Raises:
        ValueError: another number.
    """

    def __init__(self, classes: int) -> None:
        if not 1 <= classes <= IGNORE:
            raise ValueError(f"classes must be within 1..{IGNORE}, got {classes}")
        self._counts = np.zeros((classes, classes), np.int64)

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Pixels by true class (row) and predicted class (column)."""
        return self._counts.copy()

    def add(self, *, truth: Labels, predicted: Labels) -> None:
        """Count the pixels of one map; those with the true label 255 are left out.

        Args:
            truth: HxW uint8, class ids or 255.
            predicted: HxW uint8, a class id wherever the truth is not 255.

        Raises:
            ValueError: different shapes, or an id that is no class.
        """
        if truth.shape != predicted.shape:
            raise ValueError(f"maps must have one shape, got {truth.shape} and {predicted.shape}")
        judged = truth != IGNORE
        classes = len(self._counts)
        true_ids, ids = truth[judged].astype(np.intp), predicted[judged].astype(np.intp)
        highest = int(max(true_ids.max(initial=0), ids.max(initial=0)))
        if highest >= classes:
            raise ValueError(f"class ids must be below {classes} where the truth is not 255, got {highest}")
        pairs = np.bincount(true_ids * classes + ids, minlength=classes * classes)
        self._counts += pairs.reshape(classes, classes)

    def iou(self) -> Floats:
        """(C,) pixels in both over pixels in either; NaN for a class that is in neither."""
        return ious(self._counts)

    def absent(self) -> tuple[int, ...]:
        """Classes that neither truth nor prediction holds: they are not in the mean."""
        return tuple(np.flatnonzero(np.isnan(self.iou())).tolist())

    def mean_iou(self) -> float:
        """Mean IoU of the classes that are there, 0..1; NaN before a pixel was judged."""
        return float(mean_ious(self._counts))

    def accuracy(self) -> float:
        """Share of judged pixels that have their true class, 0..1; NaN before a pixel was judged."""
        return float(accuracies(self._counts))


def ious(counts: Counts) -> Floats:
    """Intersection over union of each class, of many matrices at once.

    Args:
        counts: (..., C, C) pixels by true and predicted class.

    Returns:
        (..., C) within 0..1; NaN for a class that is nowhere.
    """
    both = np.diagonal(counts, axis1=-2, axis2=-1)
    return _ratio(both, counts.sum(axis=-2) + counts.sum(axis=-1) - both)


def mean_ious(counts: Counts) -> Floats:
    """(...) means of the classes that are there; NaN where no pixel was judged."""
    iou = ious(counts)
    return _ratio(np.nansum(iou, axis=-1), np.count_nonzero(~np.isnan(iou), axis=-1))


def accuracies(counts: Counts) -> Floats:
    """(...) shares of judged pixels that have their true class; NaN where no pixel was judged."""
    return _ratio(np.trace(counts, axis1=-2, axis2=-1), counts.sum(axis=(-2, -1)))


def _ratio(part: npt.ArrayLike, whole: npt.ArrayLike) -> Floats:
    """NaN where the whole is 0."""
    whole = np.asarray(whole, np.float64)
    ratio: Floats = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
    return ratio
