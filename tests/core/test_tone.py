"""The pixels of steady contrast, against the published stretch and in every form an image has."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.core.convert import image_to_rgb
from streamfuse.core.steady import Limits, SteadyContrast
from streamfuse.core.tone import stretched, survey
from streamfuse.frames import ColorRange, Image, ImageSpec, PixelFormat

Bytes = npt.NDArray[np.uint8]

sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


def noise(*shape: int, low: int = 0, high: int = 255, seed: int = 0) -> Bytes:
    """Random samples."""
    return np.random.default_rng(seed).integers(low, high + 1, shape, np.uint8)


def video(range: ColorRange, *, colour: int = 20, size_wh: tuple[int, int] = (64, 48)) -> Image:
    """A frame of muted brightness and muted colours."""
    width, height = size_wh
    spec = ImageSpec(format=PixelFormat.YUV420P, size_wh=size_wh, range=range)
    chroma = (height // 2, width // 2)
    planes = (
        noise(height, width, low=80, high=160),
        noise(*chroma, low=128 - colour, high=128 + colour, seed=1),
        noise(*chroma, low=128 - colour, high=128 + colour, seed=2),
    )
    return Image(spec, planes)


def published(rgb: Bytes, limits: Limits) -> npt.NDArray[np.float64]:
    """The stretch of the published chain with given extremes, before it rounds."""
    levels = (rgb.astype(np.float64) - limits.low) * 255 / (limits.high - limits.low)
    return levels.clip(0, 255)


# --- survey -------------------------------------------------------------------------------------


@given(sizes, st.integers(0, 9))
def test_every_other_row_is_counted_in_its_extremes(size_wh: tuple[int, int], seed: int) -> None:
    """Small images too; a counted pixel is in both histograms, by its darkest and its brightest channel."""
    width, height = size_wh
    rgb = noise(height, width, 3, seed=seed)
    seen = survey(Image.from_rgb(rgb))
    assert seen.dark.sum() == seen.bright.sum() >= width * height / 2
    assert seen.sketch.shape == (min(12, height), min(16, width))
    for histogram, extreme in ((seen.dark, rgb.min(2)), (seen.bright, rgb.max(2))):
        assert (histogram <= np.bincount(extreme.ravel(), minlength=256)).all()


def test_the_sketch_is_the_mean_brightness_of_tiles() -> None:
    """Tiles lie where they should, in grey levels."""
    plane = np.zeros((48, 64), np.uint8)
    plane[:4, 4:8] = 200
    expected = np.zeros((12, 16))
    expected[0, 1] = 200
    np.testing.assert_array_equal(survey(Image.from_gray(plane)).sketch, expected)


@pytest.mark.parametrize("range", ColorRange)
def test_video_is_looked_at_as_it_is_seen(range: ColorRange) -> None:
    """The survey of a YUV frame is that of its RGB form."""
    image = video(range)
    of_video, of_rgb = survey(image), survey(Image.from_rgb(image_to_rgb(image)))
    np.testing.assert_array_equal(of_video.dark, of_rgb.dark)
    np.testing.assert_array_equal(of_video.bright, of_rgb.bright)
    assert (of_video.dark != of_video.bright).any()


# --- stretched ----------------------------------------------------------------------------------


def test_rgb_is_stretched_as_published() -> None:
    """To rounding, and with clamping beyond the limits."""
    rgb, limits = noise(24, 32, 3), Limits(40.5, 201.25)
    ours = stretched(Image.from_rgb(rgb), limits).planes[0]
    assert np.abs(ours - published(rgb, limits)).max() <= 0.5


@pytest.mark.parametrize("range", ColorRange)
def test_video_is_stretched_as_its_rgb_would_be(range: ColorRange) -> None:
    """Seen in RGB, stretched luma and chroma have the published contrast and the published colours."""
    image, limits = video(range), Limits(45.0, 210.0)
    ours = stretched(image, limits)
    assert ours.spec == image.spec
    wanted = published(image_to_rgb(image), limits)
    inside = (wanted > 2) & (wanted < 253)
    difference = np.abs(image_to_rgb(ours) - wanted)[inside]
    assert inside.mean() > 0.9
    assert difference.mean() < 1
    assert difference.max() < 5


def test_limited_range_stays_limited() -> None:
    """The strongest stretch leaves luma within 16..235 and chroma within 16..240."""
    ours = stretched(video(ColorRange.LIMITED, colour=100), Limits(90.0, 154.0))
    for plane, (low, high) in zip(ours.planes, ((16, 235), (16, 240), (16, 240)), strict=True):
        assert (plane.min(), plane.max()) == (low, high)


@given(st.floats(0, 190), st.floats(64, 255), st.integers(0, 255), st.sampled_from(ColorRange))
def test_brighter_stays_brighter(low: float, span: float, level: int, range: ColorRange) -> None:
    """The stretch is monotonic, black at the lower limit and white at the upper one."""
    spec = ImageSpec(format=PixelFormat.GRAY8, size_wh=(256, 1), range=range)
    ramp = Image(spec, (np.arange(256, dtype=np.uint8)[None],))
    ours = stretched(ramp, Limits(low, low + span)).planes[0][0].astype(int)
    assert (np.diff(ours) >= 0).all()
    black, white = (16, 235) if range is ColorRange.LIMITED else (0, 255)
    code = black + level * (white - black) / 255
    shown = ours[round(code)]
    if level <= low - 2:
        assert shown == black
    if level >= low + span + 2:
        assert shown == white


@pytest.mark.parametrize("limits", [Limits(0.0, 255.0), Limits(0.1, 254.9)])
def test_full_contrast_is_left_alone(limits: Limits) -> None:
    """Where nothing would change the very same image returns."""
    image = video(ColorRange.LIMITED)
    assert stretched(image, limits) is image


def test_views_and_read_only_planes() -> None:
    """Images may be views of memory of somebody else."""
    plane = noise(48, 128)
    plane.setflags(write=False)
    view = Image.from_gray(plane[:, ::2])
    limits = Limits(20.0, 220.0)
    np.testing.assert_array_equal(
        stretched(view, limits).planes[0], stretched(Image.from_gray(plane[:, ::2].copy()), limits).planes[0]
    )


def test_what_cannot_be_stretched() -> None:
    """Raw counts and limits that do not rise are refused, got and expected."""
    with pytest.raises(ValueError, match="gray16 image has no brightness"):
        stretched(Image.from_gray(np.zeros((4, 4), np.uint16)), Limits(0, 99))
    with pytest.raises(ValueError, match="gray16 image has no brightness"):
        survey(Image.from_gray(np.zeros((4, 4), np.uint16)))
    with pytest.raises(ValueError, match="limits must rise, got 9 and 9"):
        stretched(video(ColorRange.FULL), Limits(9, 9))


def test_a_frame_costs_little() -> None:
    """Looking, deciding and stretching 640x480 of video: 1.3 ms measured, 10 ms allowed on a busy machine."""
    image, steady = video(ColorRange.LIMITED, size_wh=(640, 480)), SteadyContrast()
    best = float("inf")
    for number in range(20):
        start = time.thread_time()
        stretched(image, steady.limits(survey(image), number))
        best = min(best, time.thread_time() - start)
    assert best < 0.010
