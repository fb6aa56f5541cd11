"""IoU of label maps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.metrics.segmentation import IGNORE, ConfusionMatrix


def labels(*rows: list[int]) -> npt.NDArray[np.uint8]:
    """A label map."""
    return np.array(rows, np.uint8)


def test_a_case_by_hand() -> None:
    """Rows are truth, columns prediction; ignored pixels count nowhere, whatever is predicted there."""
    matrix = ConfusionMatrix(3)
    matrix.add(truth=labels([0, 0, 1], [1, IGNORE, 0]), predicted=labels([0, 1, 1], [1, IGNORE, 0]))
    assert matrix.counts.tolist() == [[2, 1, 0], [0, 2, 0], [0, 0, 0]]
    assert matrix.iou() == pytest.approx([2 / 3, 2 / 3, np.nan], nan_ok=True)
    assert matrix.absent() == (2,)
    assert matrix.mean_iou() == pytest.approx(2 / 3)
    assert matrix.accuracy() == pytest.approx(4 / 5)


@given(seed=st.integers(0, 2**32 - 1), classes=st.integers(1, 12))
def test_iou_is_what_sets_of_pixels_give(seed: int, classes: int) -> None:
    """Counting pairs gives the same as intersecting and joining the sets of pixels, also in parts."""
    rng = np.random.default_rng(seed)
    truth, predicted = rng.integers(0, classes, (2, 9, 7)).astype(np.uint8)
    truth[rng.random(truth.shape) < 0.2] = IGNORE
    matrix = ConfusionMatrix(classes)
    for rows in (slice(0, 4), slice(4, 9)):
        matrix.add(truth=truth[rows], predicted=predicted[rows])
    judged = truth != IGNORE
    for class_id, iou in enumerate(matrix.iou()):
        true, found = (truth == class_id) & judged, (predicted == class_id) & judged
        if (true | found).any():
            assert iou == pytest.approx((true & found).sum() / (true | found).sum())
        else:
            assert class_id in matrix.absent()


def test_nothing_judged_is_not_a_number() -> None:
    """A map of ignored pixels only scores nothing, neither 0 nor 1."""
    matrix = ConfusionMatrix(2)
    matrix.add(truth=labels([IGNORE]), predicted=labels([1]))
    assert np.isnan([matrix.mean_iou(), matrix.accuracy()]).all()


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        ([0, 1], [0], r"one shape, got \(1, 2\) and \(1, 1\)"),
        ([0, 2], [0, 0], "below 2 .* got 2"),
        ([0, 0], [0, IGNORE], "below 2 .* got 255"),
    ],
)
def test_maps_that_cannot_be_compared_are_refused(
    truth: list[int], predicted: list[int], message: str
) -> None:
    """Shapes that differ and ids that are no class are named; a prediction may not ignore."""
    with pytest.raises(ValueError, match=message):
        ConfusionMatrix(2).add(truth=labels(truth), predicted=labels(predicted))


def test_the_number_of_classes_must_leave_room_for_ignore() -> None:
    """There are 1 to 255 classes."""
    with pytest.raises(ValueError, match=r"1\.\.255, got 256"):
        ConfusionMatrix(256)
