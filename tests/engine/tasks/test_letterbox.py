"""How images enter a network, and how boxes come back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.engine.tasks.letterbox import PADDING, Letterbox
from streamfuse.engine.tasks.library import ultralytics

SIDES = st.integers(1, 1500)


def test_an_image_that_fits_is_not_copied() -> None:
    """640x480 is what the network takes: nothing is done to it."""
    letterbox = Letterbox.fit((640, 480))
    image = np.zeros((480, 640, 3), np.uint8)
    assert letterbox.is_identity
    assert letterbox.apply(image) is image


@pytest.mark.parametrize("size_wh", [(1000, 333), (333, 1000), (320, 240), (641, 479), (7, 900), (640, 481)])
def test_pixels_are_those_of_ultralytics(size_wh: tuple[int, int]) -> None:
    """The same scale, the same padding, the same grey."""
    width, height = size_wh
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    theirs = ultralytics("data.augment").LetterBox((640, 640), auto=True, stride=32)(image=image)
    assert np.array_equal(Letterbox.fit(size_wh).apply(image), theirs)


def test_padding_is_grey() -> None:
    """What is not image is the grey that networks are trained with."""
    boxed = Letterbox.fit((640, 100)).apply(np.zeros((100, 640, 3), np.uint8))
    assert boxed.shape == (128, 640, 3)
    assert (boxed[:14] == PADDING).all()
    assert (boxed[-14:] == PADDING).all()
    assert not boxed[14:-14].any()


@given(SIDES, SIDES, st.sampled_from([320, 640]))
def test_boxes_come_back_to_where_they_were(width: int, height: int, side_px: int) -> None:
    """A box of the image, put into the network's pixels, comes back; the input is whole strides."""
    letterbox = Letterbox.fit((width, height), side_px=side_px)
    assert all(side % 32 == 0 for side in letterbox.network_wh)
    assert max(letterbox.network_wh) == side_px
    (left, top), (wide, high) = letterbox.offset_xy, letterbox.scaled_wh
    inner = np.array([[left, top, left + wide, top + high]], np.float32)
    assert letterbox.boxes_in_image(inner)[0] == pytest.approx(
        [0, 0, width, height], abs=1e-3 * max(width, height)
    )
    beyond = np.array([[-9, -9, 9999, 9999]], np.float32)
    assert letterbox.boxes_in_image(beyond)[0] == pytest.approx([0, 0, width, height])
