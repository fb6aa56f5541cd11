"""To RGB, judged by OpenCV and by the formula of the standards in floating point."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.core.convert import image_to_rgb
from streamfuse.frames import ColorMatrix, ColorRange, Image, ImageSpec, PixelFormat


def _random_yuv(
    rng: np.random.Generator,
    *,
    range: ColorRange = ColorRange.LIMITED,
    matrix: ColorMatrix = ColorMatrix.BT601,
) -> Image:
    spec = ImageSpec(format=PixelFormat.YUV420P, size_wh=(34, 22), range=range, matrix=matrix)
    return Image(spec, tuple(rng.integers(16, 236, shape, np.uint8) for shape in spec.plane_shapes))


def test_bt601_limited_is_what_opencv_makes_of_it() -> None:
    """The usual video form agrees with OpenCV to one code in every legal sample."""
    image = _random_yuv(np.random.default_rng(1))
    stacked = np.concatenate([plane.ravel() for plane in image.planes]).reshape(33, 34)
    expected = cv2.cvtColor(stacked, cv2.COLOR_YUV2RGB_I420)
    np.testing.assert_allclose(image_to_rgb(image).astype(int), expected, atol=1)


@pytest.mark.parametrize("range", list(ColorRange))
@pytest.mark.parametrize("matrix", list(ColorMatrix))
def test_every_range_and_matrix_follows_its_standard(range: ColorRange, matrix: ColorMatrix) -> None:
    """RGB made into YUV by the formulas of the standards comes back to within the rounding of YUV."""
    kr, kb = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}[matrix]
    rng = np.random.default_rng(2)
    small = rng.uniform(0, 1, (11, 17, 3))
    luma = small @ [kr, 1 - kr - kb, kb]
    chroma = (small[..., 2] - luma) / (2 * (1 - kb)), (small[..., 0] - luma) / (2 * (1 - kr))
    scale, black, swing = (219, 16, 224) if range is ColorRange.LIMITED else (255, 0, 255)
    planes = [
        np.rint(luma * scale + black).repeat(2, 0).repeat(2, 1),
        *(np.rint(c * swing + 128) for c in chroma),
    ]
    spec = ImageSpec(format=PixelFormat.YUV420P, size_wh=(34, 22), range=range, matrix=matrix)
    image = Image(spec, tuple(np.clip(plane, 0, 255).astype(np.uint8) for plane in planes))
    expected = (small * 255).repeat(2, 0).repeat(2, 1)
    np.testing.assert_allclose(image_to_rgb(image), expected, atol=2.0)


@given(st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255)), st.sampled_from(ColorRange))
def test_no_sample_wraps_around(yuv: tuple[int, int, int], range: ColorRange) -> None:
    """Samples beyond black, white or the colours that exist are clipped, never wrapped."""
    spec = ImageSpec(format=PixelFormat.YUV420P, size_wh=(2, 2), range=range)
    image = Image(spec, tuple(np.full(s, c, np.uint8) for s, c in zip(spec.plane_shapes, yuv, strict=True)))
    y, u, v = yuv
    light, chroma = ((y - 16) * 255 / 219, 255 / 224) if range is ColorRange.LIMITED else (float(y), 1.0)
    red, blue = light + 1.402 * chroma * (v - 128), light + 1.772 * chroma * (u - 128)
    got = image_to_rgb(image)[1, 1]
    assert abs(got[0] - min(max(red, 0), 255)) <= 0.51
    assert abs(got[2] - min(max(blue, 0), 255)) <= 0.51


def test_rgb_is_passed_and_gray_is_spread() -> None:
    """RGB is not copied; full-range grey is the same in all channels, limited grey is stretched."""
    rgb = np.random.default_rng(3).integers(0, 256, (5, 7, 3), np.uint8)
    assert image_to_rgb(Image.from_rgb(rgb)) is rgb
    gray = rgb[..., 0]
    np.testing.assert_array_equal(image_to_rgb(Image.from_gray(gray)), np.stack([gray] * 3, axis=2))
    limited = ImageSpec(format=PixelFormat.GRAY8, size_wh=(4, 1), range=ColorRange.LIMITED)
    image = Image(limited, (np.array([[0, 16, 235, 255]], np.uint8),))
    np.testing.assert_array_equal(image_to_rgb(image)[0, :, 1], [0, 0, 255, 255])


def test_raw_counts_are_refused() -> None:
    """Sixteen-bit thermal counts have no brightness before AGC."""
    with pytest.raises(ValueError, match="after AGC"):
        image_to_rgb(Image.from_gray(np.zeros((2, 2), np.uint16)))


def test_planes_that_are_views_convert_alike() -> None:
    """Planes with padded rows or read-only memory, as decoders and rings give them, make no difference."""
    image = _random_yuv(np.random.default_rng(4), matrix=ColorMatrix.BT709)
    padded = tuple(np.pad(plane, ((0, 0), (0, 30)))[:, : plane.shape[1]] for plane in image.planes)
    frozen = Image.from_buffer(image.spec, b"".join(plane.tobytes() for plane in image.planes))
    np.testing.assert_array_equal(image_to_rgb(Image(image.spec, padded)), image_to_rgb(image))
    np.testing.assert_array_equal(image_to_rgb(frozen), image_to_rgb(image))
