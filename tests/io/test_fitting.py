"""Pictures made fit: what is converted keeps its colours, and what cannot be is said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.core.convert import image_to_rgb
from streamfuse.frames import ColorMatrix, ColorRange, Image, ImageSpec, PixelFormat
from streamfuse.io.cameras.fitting import fitted, fitting_spec, why_unfit

EIGHT_BIT = (PixelFormat.GRAY8, PixelFormat.YUV420P, PixelFormat.RGB24)


def spec_of(form: PixelFormat, size_wh: tuple[int, int] = (16, 12), **colours: object) -> ImageSpec:
    """A spec; RGB has no range and matrix of its own."""
    return ImageSpec(format=form, size_wh=size_wh, **({} if form is PixelFormat.RGB24 else colours))


specs = st.builds(
    spec_of,
    st.sampled_from(EIGHT_BIT),
    st.sampled_from([(16, 12), (32, 24), (8, 6), (48, 36)]),
    range=st.sampled_from(ColorRange),
    matrix=st.sampled_from(ColorMatrix),
)


@given(have=specs, want=specs, level=st.integers(0, 255))
def test_a_grey_picture_keeps_its_brightness_whatever_it_is_made(have, want, level) -> None:
    """From any 8-bit format, range, matrix and size to any other: off by rounding alone."""
    source = fitted(Image.from_rgb(np.full((12, 16, 3), level, np.uint8)), have)
    image = fitted(source, want)
    assert image.spec == want
    assert np.abs(image_to_rgb(image).astype(int) - level).max() <= 3


@pytest.mark.parametrize("matrix", ColorMatrix)
@pytest.mark.parametrize("codes", ColorRange)
def test_colours_survive_the_way_to_video_and_back(codes, matrix) -> None:
    """RGB made 4:2:0 and read by the code that the rest of streamfuse uses for it."""
    rng = np.random.default_rng(3)
    rgb = np.repeat(np.repeat(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), 2, 0), 2, 1)
    video = fitted(Image.from_rgb(rgb), spec_of(PixelFormat.YUV420P, range=codes, matrix=matrix))
    assert np.abs(image_to_rgb(video).astype(int) - rgb).max() <= 4


def test_the_matrix_of_a_video_is_changed_without_a_shift_of_colour() -> None:
    """A camera that comes back with BT.709 instead of BT.601 looks the same."""
    rgb = np.zeros((12, 16, 3), np.uint8)
    rgb[..., 0], rgb[..., 1] = 200, 40
    one, other = (spec_of(PixelFormat.YUV420P, range=ColorRange.LIMITED, matrix=m) for m in ColorMatrix)
    video = fitted(fitted(Image.from_rgb(rgb), one), other)
    assert np.abs(image_to_rgb(video).astype(int) - rgb).max() <= 4


def test_counts_are_scaled_and_stay_counts() -> None:
    """A 16-bit picture of twice the size is averaged, not cut to 8 bits."""
    counts = np.repeat(
        np.repeat(np.arange(30_000, 30_000 + 192, dtype=np.uint16).reshape(12, 16), 2, 0), 2, 1
    )
    small = fitted(Image.from_gray(counts), spec_of(PixelFormat.GRAY16))
    np.testing.assert_array_equal(small.planes[0], counts[::2, ::2])


def test_what_fits_already_is_not_touched() -> None:
    """The same object comes back."""
    image = Image.from_gray(np.zeros((12, 16), np.uint8))
    assert fitted(image, image.spec) is image


@pytest.mark.parametrize(
    ("got", "planned", "why"),
    [
        (spec_of(PixelFormat.GRAY8, (320, 240)), spec_of(PixelFormat.GRAY8, (640, 512)), "aspect"),
        (spec_of(PixelFormat.GRAY16), spec_of(PixelFormat.GRAY8), "gray16"),
        (spec_of(PixelFormat.YUV420P), spec_of(PixelFormat.GRAY16), "gray16"),
        (spec_of(PixelFormat.YUV420P, (1280, 720)), spec_of(PixelFormat.RGB24, (1919, 1080)), None),
    ],
)
def test_what_cannot_stand_in_is_named(got, planned, why) -> None:
    """Another aspect ratio, or counts for brightness; 1 % of the ratio is forgiven."""
    unfit = why_unfit(got, planned)
    assert (unfit is None) == (why is None)
    assert why is None or why in str(unfit)


def test_brightness_is_never_made_of_counts() -> None:
    """A call that should not be is refused, not answered with nonsense."""
    with pytest.raises(ValueError, match="gray16"):
        fitted(Image.from_gray(np.zeros((12, 16), np.uint16)), spec_of(PixelFormat.GRAY8))


def test_range_and_matrix_stay_with_a_picture_of_the_planned_format() -> None:
    """Everybody reads them off the picture; only another format takes those that were planned."""
    planned = spec_of(PixelFormat.YUV420P, range=ColorRange.LIMITED)
    got = spec_of(PixelFormat.YUV420P, (32, 24), range=ColorRange.FULL, matrix=ColorMatrix.BT709)
    assert fitting_spec(got, planned) == spec_of(
        PixelFormat.YUV420P, range=ColorRange.FULL, matrix=ColorMatrix.BT709
    )
    assert fitting_spec(spec_of(PixelFormat.RGB24, (32, 24)), planned) == planned
