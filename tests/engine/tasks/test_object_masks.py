"""Masks inside boxes: the same as those of Ultralytics, and never slow."""

from __future__ import annotations

import time

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.core.masks import decode_mask, encode_mask
from streamfuse.engine.tasks.letterbox import Letterbox
from streamfuse.engine.tasks.library import ultralytics
from streamfuse.engine.tasks.masks import MOST_PICTURES, encode_window, object_masks


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 4), st.integers(0, 4), st.data())
def test_a_window_is_encoded_as_the_whole_mask_is(
    width: int, height: int, left: int, top: int, data: st.DataObject
) -> None:
    """Whatever is in the window and wherever it lies, the run lengths are those of the whole image."""
    size_wh = (left + width + data.draw(st.integers(0, 3)), top + height + data.draw(st.integers(0, 3)))
    bits = data.draw(st.lists(st.booleans(), min_size=width * height, max_size=width * height))
    window = np.array(bits).reshape(height, width)
    whole = np.zeros(size_wh[::-1], np.bool_)
    whole[top : top + height, left : left + width] = window
    expected = encode_mask(whole) if window.any() else None
    assert encode_window(window, (left, top), size_wh) == expected


def _blobs(count: int, size_wh: tuple[int, int], cells: tuple[int, int]) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(5)
    prototypes = torch.nn.functional.interpolate(
        torch.from_numpy(rng.normal(size=(1, 32, 6, 8)).astype(np.float32)), cells, mode="bicubic"
    )[0].numpy()
    coefficients = rng.normal(size=(count, 32)).astype(np.float32)
    corners = np.sort(rng.random((count, 2, 2)), axis=1) * size_wh
    return prototypes, coefficients, corners.reshape(count, 4).astype(np.float32)


def test_masks_are_those_of_ultralytics() -> None:
    """Inside a letterbox with scale and padding, all but pixels on the outline agree."""
    for size_wh in ((640, 480), (500, 333)):
        letterbox = Letterbox.fit(size_wh)
        cells = (letterbox.network_wh[1] // 4, letterbox.network_wh[0] // 4)
        prototypes, coefficients, boxes = _blobs(20, size_wh, cells)
        theirs = ultralytics("utils.ops").process_mask_native(
            torch.from_numpy(prototypes),
            torch.from_numpy(coefficients),
            torch.from_numpy(boxes),
            size_wh[::-1],
        )
        ours = list(object_masks(prototypes, coefficients, boxes, letterbox))
        for mask, other in zip(ours, theirs.bool().numpy(), strict=True):
            decoded = np.zeros_like(other) if mask is None else decode_mask(mask, size_wh)
            assert (decoded ^ other).sum() <= 0.02 * max(other.sum(), 100)


def test_ten_thousand_objects_do_not_stall() -> None:
    """The surest get their masks, the others none once they would cover the picture too often."""
    letterbox = Letterbox.fit((640, 480))
    prototypes, coefficients, _ = _blobs(10_000, (640, 480), (120, 160))
    boxes = np.tile(np.array([0, 0, 640, 480], np.float32), (10_000, 1))
    began = time.monotonic()
    masks = list(object_masks(prototypes, coefficients, boxes, letterbox))
    assert time.monotonic() - began < 20, "seconds; some 0.2 on an idle machine, minutes without the limit"
    assert all(mask is not None for mask in masks[:MOST_PICTURES])
    assert not any(masks[MOST_PICTURES:])


def test_boxes_without_a_pixel_have_no_mask() -> None:
    """A box thinner than a pixel, or of no area, is no mistake."""
    letterbox = Letterbox.fit((640, 480))
    prototypes, coefficients, _ = _blobs(2, (640, 480), (120, 160))
    boxes = np.array([[10.2, 20, 10.4, 40], [640, 480, 640, 480]], np.float32)
    assert list(object_masks(prototypes, coefficients, boxes, letterbox)) == [None, None]
