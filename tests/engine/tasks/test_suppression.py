"""One box for each object: what stays, and in which order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.engine.tasks.suppression import surest


@given(st.integers(0, 40), st.sampled_from([0.0, 0.293, 0.457, 0.701, 1.0]), st.integers(0, 2**16))
def test_what_stays_is_surer_than_all_it_overlaps_with(count: int, overlap: float, seed: int) -> None:
    """The same as the definition says, box by box, whatever the boxes and however many are equally sure."""
    rng = np.random.default_rng(seed)
    low = rng.integers(0, 60, (count, 2))
    boxes = np.hstack((low, low + rng.integers(1, 40, (count, 2)))).astype(np.float32)
    confidences = (rng.integers(1, 9, count) / 8).astype(np.float32)
    classes = rng.integers(0, 3, count).astype(np.float32)
    stay: list[int] = []
    for index in np.argsort(-confidences, kind="stable").tolist():
        alike = [other for other in stay if classes[other] == classes[index]]
        if all(_overlap(boxes[index], boxes[other]) <= overlap for other in alike):
            stay.append(index)
    assert surest(boxes, confidences, classes, overlap=overlap).tolist() == stay


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    common = float(np.prod(np.maximum(high - low, 0), dtype=float))
    both = float(np.prod(one[2:] - one[:2], dtype=float) + np.prod(other[2:] - other[:2], dtype=float))
    return common / (both - common)


@pytest.mark.parametrize("count", [0, 1, 6])
def test_few_boxes_are_no_special_case(count: int) -> None:
    """Boxes apart from each other all stay, also none and six of them."""
    boxes = np.array([(20 * place, 0, 20 * place + 10, 10) for place in range(count)], np.float32)
    kept = surest(
        boxes.reshape(-1, 4),
        np.linspace(1, 0.5, count, dtype=np.float32),
        np.zeros(count, np.float32),
        overlap=0.5,
    )
    assert kept.tolist() == list(range(count))
