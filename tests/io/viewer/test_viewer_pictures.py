"""JPEGs straight from YUV show what the way through RGB shows."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest

from streamfuse.core.convert import image_to_rgb
from streamfuse.frames import ColorMatrix, ColorRange, Image, ImageSpec, PixelFormat
from streamfuse.io.viewer.pictures import jpeg_of


def smooth(shape: tuple[int, ...], low: int, high: int) -> np.ndarray:
    """A plane with a gradient in both directions."""
    height, width = shape[:2]
    ramp = np.linspace(0, 1, height)[:, None] * 0.5 + np.linspace(0, 1, width)[None, :] * 0.5
    return (low + ramp * (high - low)).round().astype(np.uint8)


@pytest.mark.parametrize("color_range", list(ColorRange))
@pytest.mark.parametrize("matrix", list(ColorMatrix))
def test_a_video_image_looks_as_its_colours_say(color_range: ColorRange, matrix: ColorMatrix) -> None:
    """In any range and matrix a browser sees the colours that the image means."""
    spec = ImageSpec(format=PixelFormat.YUV420P, size_wh=(96, 64), range=color_range, matrix=matrix)
    y, u, v = spec.plane_shapes
    image = Image(spec, (smooth(y, 40, 220), smooth(u, 110, 150), smooth(v, 145, 105)))
    seen = np.asarray(PIL.Image.open(io.BytesIO(jpeg_of(image, 95))))
    meant = image_to_rgb(image)
    assert seen.shape == meant.shape
    assert np.abs(seen.astype(int) - meant).mean() < 1.5
    assert np.abs(seen.astype(int) - meant).max() <= 10


@pytest.mark.parametrize("color_range", list(ColorRange))
def test_a_grey_image_stays_grey(color_range: ColorRange) -> None:
    """An infrared image becomes a JPEG of one channel with full contrast."""
    spec = ImageSpec(format=PixelFormat.GRAY8, size_wh=(64, 48), range=color_range)
    image = Image(spec, (smooth((48, 64), 16, 235),))
    seen = np.asarray(PIL.Image.open(io.BytesIO(jpeg_of(image, 95))))
    assert seen.ndim == 2
    assert np.abs(seen.astype(int) - image_to_rgb(image)[..., 0]).max() <= 4


def test_rgb_images_and_views_of_other_memory_are_taken() -> None:
    """Planes need not lie in one piece: a picture cut out of another is encoded as it is."""
    rgb = np.zeros((64, 96, 3), np.uint8)
    rgb[..., 0] = 200
    seen = np.asarray(PIL.Image.open(io.BytesIO(jpeg_of(Image.from_rgb(rgb[:, ::2]), 95))))
    assert seen.shape == (64, 48, 3)
    assert np.abs(seen.astype(int) - [200, 0, 0]).max() <= 4


def test_counts_are_not_a_picture() -> None:
    """16-bit infrared has no brightness before AGC."""
    with pytest.raises(ValueError, match="gray16"):
        jpeg_of(Image.from_gray(np.zeros((4, 4), np.uint16)), 80)
