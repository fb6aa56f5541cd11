"""One grey plane of any image."""

from __future__ import annotations

import numpy as np
import pytest

from streamfuse.frames import ColorRange, Image, ImageSpec, PixelFormat
from streamfuse.geometry.gray import gray8


def test_full_range_grey_is_not_copied() -> None:
    """An 8-bit full-range image gives its own plane."""
    image = Image.from_gray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    assert gray8(image) is image.planes[0]


def test_limited_range_is_widened() -> None:
    """Codes 16 and 235 become black and white, codes beyond them too, and the middle stays in the middle."""
    spec = ImageSpec(format=PixelFormat.GRAY8, size_wh=(5, 1), range=ColorRange.LIMITED)
    image = Image(spec, (np.array([[0, 16, 126, 235, 255]], np.uint8),))
    np.testing.assert_array_equal(gray8(image), [[0, 0, 128, 255, 255]])


def test_luma_of_yuv_is_read_from_memory_that_cannot_be_written() -> None:
    """A YUV image over a read-only buffer gives its widened luma plane."""
    spec = ImageSpec(format=PixelFormat.YUV420P, size_wh=(4, 2), range=ColorRange.LIMITED)
    image = Image.from_buffer(spec, bytes([235] * 8 + [128] * 4))
    np.testing.assert_array_equal(gray8(image), np.full((2, 4), 255))


@pytest.mark.parametrize(("rgb", "luma"), [((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29)])
def test_rgb_becomes_bt601_luma(rgb: tuple[int, int, int], luma: int) -> None:
    """Pure colours have the weights .299, .587 and .114."""
    assert gray8(Image.from_rgb(np.full((1, 1, 3), rgb, np.uint8)))[0, 0] == luma


def test_counts_of_16_bits_fill_the_grey_scale() -> None:
    """A ramp over a few hundred counts uses all of 0..255 and keeps its order."""
    counts = np.tile(np.arange(30_000, 30_640, dtype=np.uint16), (64, 1))
    gray = gray8(Image.from_gray(counts))
    assert (gray.min(), gray.max()) == (0, 255)
    assert (np.diff(gray[0].astype(int)) >= 0).all()
