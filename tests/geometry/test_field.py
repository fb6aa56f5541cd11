"""The rectangle that both cameras see."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from streamfuse.errors import UsageError
from streamfuse.geometry.field import Field, field_of, largest_rectangle


def most_pixels(mask: npt.NDArray[np.bool_]) -> int:
    """Area of the largest rectangle of true pixels, by trying all."""
    rows, columns = mask.shape
    return max(
        (bottom - top) * (right - left)
        for top in range(rows + 1)
        for bottom in range(top, rows + 1)
        for left in range(columns + 1)
        for right in range(left, columns + 1)
        if mask[top:bottom, left:right].all()
    )


@given(arrays(np.bool_, st.tuples(st.integers(1, 7), st.integers(1, 7))))
def test_no_rectangle_is_larger(mask: npt.NDArray[np.bool_]) -> None:
    """What is found is all true, and as large as the best of all."""
    found = largest_rectangle(mask)
    assert mask[found.slices].all()
    assert found.width * found.height == most_pixels(mask)


@given(st.integers(0, 9), st.integers(0, 9), st.integers(2, 30), st.integers(2, 30))
def test_even_places_and_sides_within(x: int, y: int, width: int, height: int) -> None:
    """The evened field lies within, is even, and loses a pixel on each side at most."""
    evened = Field(x, y, width, height).evened
    assert not any(number % 2 for number in evened)
    assert 0 <= evened.x - x <= 1
    assert 0 <= evened.y - y <= 1
    assert x + width - 2 <= evened.x + evened.width <= x + width
    assert y + height - 2 <= evened.y + evened.height <= y + height


def test_nothing_in_common() -> None:
    """Without a pixel that both see there is no field."""
    with pytest.raises(UsageError, match="the cameras see nothing in common; calibrate them again"):
        field_of(np.zeros((8, 8), np.bool_))
