"""Masks as run lengths."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from streamfuse.core.masks import decode_mask, decode_window, encode_mask, fill_outline
from streamfuse.geometry.outlines import outlines


@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_a_mask_comes_back(mask: np.ndarray) -> None:
    """Encoding loses nothing, runs alternate and cover the image once, only the first may be empty."""
    runs = encode_mask(mask)
    height, width = mask.shape
    np.testing.assert_array_equal(decode_mask(runs, (width, height)), mask)
    assert sum(runs) == mask.size
    assert all(run > 0 for run in runs[1:])
    assert (runs[0] == 0) == bool(mask[0, 0])
    assert all(type(run) is int for run in runs), "plain numbers, as JSON wants them"


@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_a_window_is_the_part_of_the_mask_with_the_object(mask: np.ndarray) -> None:
    """Put back in its place it is the whole mask, and each of its four sides touches the object."""
    window, (left, top) = decode_window(encode_mask(mask), mask.shape[::-1])
    height, width = window.shape
    whole = np.zeros_like(mask)
    whole[top : top + height, left : left + width] = window
    np.testing.assert_array_equal(whole, mask)
    if mask.any():
        assert all(side.any() for side in (window[0], window[-1], window[:, 0], window[:, -1]))
    else:
        assert window.size == 0


@pytest.mark.parametrize(
    ("mask", "runs"),
    [
        ([[0, 0], [0, 0]], (4,)),
        ([[1, 1], [1, 1]], (0, 4)),
        ([[0, 1], [1, 0]], (1, 2, 1)),
        ([[1, 0, 1]], (0, 1, 1, 1)),
    ],
)
def test_runs_go_row_by_row_from_background(mask: list[list[int]], runs: tuple[int, ...]) -> None:
    """The first run is background, and rows follow each other without a break."""
    assert encode_mask(np.array(mask, dtype=bool)) == runs


@given(
    st.lists(st.integers(-3, 20), max_size=6).filter(lambda runs: min(runs, default=0) < 0 or sum(runs) != 12)
)
def test_runs_that_do_not_fill_the_image_are_refused(runs: list[int]) -> None:
    """Runs of another size are a mistake, not a mask."""
    with pytest.raises(ValueError, match="4x3 mask must add up to 12"):
        decode_mask(runs, (4, 3))


@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_exact_outlines_are_filled_to_the_same_mask(mask: np.ndarray) -> None:
    """But for holes, which outlines do not have."""
    height, width = mask.shape
    filled = np.zeros_like(mask)
    for outline in outlines(mask, tolerance_px=0):
        filled |= fill_outline(outline, (width, height))
    _, parts = cv2.connectedComponents(
        np.pad(~mask, 1, constant_values=True).astype(np.uint8), connectivity=4
    )
    np.testing.assert_array_equal(filled, (parts != parts[0, 0])[1:-1, 1:-1])


def test_a_pixel_is_within_when_its_middle_is() -> None:
    """A slanted edge, corners between pixels and beyond the picture; a polygon twice around is empty."""
    triangle = fill_outline([(-10.0, 0.0), (4.0, 0.0), (-10.0, 14.0)], (6, 5))
    np.testing.assert_array_equal(triangle, np.add.outer(np.arange(5), np.arange(6)) < 3)
    square = [(0.5, 0.5), (2.6, 0.5), (2.6, 2.4), (0.5, 2.4)]
    np.testing.assert_array_equal(
        np.argwhere(fill_outline(square, (4, 4))), [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    )
    assert not fill_outline([*square, *square], (4, 4)).any()
