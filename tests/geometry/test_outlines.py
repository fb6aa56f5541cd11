"""Masks as polygons."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from streamfuse.geometry.outlines import outlines

masks = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))


def area(polygon: tuple[tuple[float, float], ...]) -> float:
    """Of a simple polygon, by the shoelace formula."""
    x, y = np.array(polygon).T
    return float(abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2)


def test_a_rectangle_has_its_own_corners() -> None:
    """Four corners on the edges of the pixels, as its box has them; moved with its window."""
    mask = np.zeros((40, 60), bool)
    mask[10:30, 20:50] = True
    (polygon,) = outlines(mask, offset_xy=(100, 200))
    assert set(polygon) == {(120, 210), (150, 210), (150, 230), (120, 230)}
    assert area(polygon) == mask.sum()


def test_parts_are_apart_and_holes_are_filled() -> None:
    """Two parts are two polygons, the larger one first; a hole makes no polygon of its own."""
    mask = np.zeros((40, 60), bool)
    mask[2:6, 2:6] = True
    mask[10:35, 20:50] = True
    mask[15:25, 30:40] = False
    assert [area(polygon) for polygon in outlines(mask)] == [25 * 30, 16]


def test_a_round_object_has_few_corners_and_keeps_its_shape() -> None:
    """A disc of 40 pixels across: within a few hundredths of its area, with a third of its steps."""
    rows, columns = np.mgrid[:60, :60]
    mask = (rows - 30) ** 2 + (columns - 30) ** 2 < 20**2
    (smooth,), (exact,) = outlines(mask), outlines(mask, tolerance_px=0)
    assert area(smooth) == pytest.approx(mask.sum(), rel=0.03)
    assert len(smooth) < len(exact) / 3
    scale = 8
    whole = np.kron(mask, np.ones((scale, scale), bool))
    corners = np.round(np.array(smooth) * scale).astype(int)
    drawn = cv2.fillPoly(np.zeros(whole.shape, np.uint8), [corners], 1) > 0
    assert (drawn & whole).sum() / (drawn | whole).sum() > 0.94


def test_nothing_has_no_outline() -> None:
    """A mask without pixels, and one without size, have no polygon; a single pixel has one."""
    assert outlines(np.zeros((5, 5), bool)) == ()
    assert outlines(np.zeros((0, 0), bool)) == ()
    (pixel,) = outlines(np.ones((1, 1), bool))
    assert area(pixel) == 1


def test_a_negative_tolerance_is_refused() -> None:
    """It means nothing."""
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        outlines(np.ones((2, 2), bool), tolerance_px=-1)


@given(masks, st.sampled_from([0.0, 0.75, 3.0]))
def test_every_part_has_one_outline_within_the_mask(mask: np.ndarray, tolerance_px: float) -> None:
    """As many polygons as there are parts, each with an area and none outside the picture."""
    polygons = outlines(mask, tolerance_px=tolerance_px)
    count, _ = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    assert len(polygons) == count - 1
    for polygon in polygons:
        assert len(polygon) >= 3
        assert np.min(polygon) >= 0
        assert (np.max(polygon, axis=0) <= (mask.shape[1], mask.shape[0])).all()
