"""Grey levels as the published metrics see them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from streamfuse.errors import UsageError
from streamfuse.metrics.gray import gray_of


@given(hnp.arrays(np.uint8, (5, 7)))
def test_grey_in_three_channels_is_that_grey(image: np.ndarray) -> None:
    """R = G = B = g gives g, and a grey image is passed on as it is."""
    np.testing.assert_array_equal(gray_of(np.dstack([image] * 3)), image)
    assert gray_of(image) is image


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_colours_are_weighed_as_in_matlab(colour: tuple[int, int, int]) -> None:
    """The published weights, to six digits, and rounded to the nearest level."""
    weighed = float(np.dot(colour, (0.298936, 0.587043, 0.114021)))
    level = int(gray_of(np.array([[colour]], np.uint8))[0, 0])
    assert abs(level - weighed) <= 0.5 + 3e-4


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4, 4), np.uint8), np.zeros(4, np.uint8), np.zeros((4, 4, 3), np.uint16)]
)
def test_other_images_are_refused(image: np.ndarray) -> None:
    """Four channels, a row alone, 16 bits: the message says what came."""
    with pytest.raises(UsageError, match=r"\(4, 4, 4\)|\(4,\)|uint16"):
        gray_of(image)
