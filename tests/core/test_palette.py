"""Palettes: colours for people, and the way back from what a camera has painted."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from streamfuse.core.thermal.palette import NAMES, PaletteInverse, apply, named_palette, palette_of
from streamfuse.frames import ColorMatrix, ColorRange, Image, ImageSpec, PixelFormat

Gray = npt.NDArray[np.uint8]


def thermal_picture() -> Gray:
    """Soft gradients, sharp edges, small hot things and mild noise, over the whole range."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[0:1:240j, 0:1:320j]
    gray = 40 + 120 * y + 40 * np.sin(6 * x)
    gray[(x > 0.1) & (x < 0.2) & (y > 0.3)] = 235
    gray[(x > 0.6) & (y < 0.4)] = 15 + 60 * x[(x > 0.6) & (y < 0.4)]
    gray[150:156, 200:206] = 255
    return np.clip(cv2.GaussianBlur(gray + rng.normal(0, 1.5, gray.shape), (0, 0), 0.8), 0, 255).astype(
        np.uint8
    )


def painted(name: str) -> tuple[Gray, npt.NDArray[np.uint8]]:
    """A picture and how a palette paints it."""
    return thermal_picture(), apply(thermal_picture(), named_palette(name))


def error_of(gray: Gray, back: Gray) -> npt.NDArray[np.int64]:
    """By how many levels each pixel is off."""
    return np.abs(back.astype(int) - gray.astype(int))


@pytest.mark.parametrize("name", NAMES)
def test_painted_and_back(name: str) -> None:
    """Uncompressed, intensity comes back within 4 levels, less than one in the mean."""
    gray, rgb = painted(name)
    error = error_of(gray, PaletteInverse(named_palette(name)).apply(Image.from_rgb(rgb)))
    assert error.max() <= 4
    assert error.mean() < 1


@pytest.mark.parametrize("name", NAMES)
def test_back_through_a_jpeg(name: str) -> None:
    """A JPEG of quality 90 with halved chroma costs 2 levels in the mean at most."""
    gray, rgb = painted(name)
    halved = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    settings = [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, halved]
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), settings)
    decoded = cv2.cvtColor(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    error = error_of(gray, PaletteInverse(named_palette(name)).apply(Image.from_rgb(decoded)))
    assert error.mean() <= 2


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("range_", list(ColorRange))
@pytest.mark.parametrize("matrix", list(ColorMatrix))
def test_back_from_video(name: str, range_: ColorRange, matrix: ColorMatrix) -> None:
    """YUV 4:2:0 of every range and matrix is understood as what it is."""
    gray, rgb = painted(name)
    weights = {ColorMatrix.BT601: (0.299, 0.114), ColorMatrix.BT709: (0.2126, 0.0722)}[matrix]
    image = yuv_of(rgb, weights, range_, matrix)
    error = error_of(gray, PaletteInverse(named_palette(name)).apply(image))
    assert error.mean() <= 2


def yuv_of(
    rgb: npt.NDArray[np.uint8], weights: tuple[float, float], range_: ColorRange, matrix: ColorMatrix
) -> Image:
    """YUV 4:2:0 by the formulas of the standards."""
    red, green, blue = np.moveaxis(rgb.astype(float), 2, 0)
    of_red, of_blue = weights
    luma = of_red * red + (1 - of_red - of_blue) * green + of_blue * blue
    planes = [luma]
    for part, weight in ((blue, of_blue), (red, of_red)):
        chroma = (part - luma) / (2 - 2 * weight)
        planes.append(chroma.reshape(120, 2, 160, 2).mean(axis=(1, 3)))
    limited = range_ is ColorRange.LIMITED
    luma_gain, chroma_gain, black = (219 / 255, 224 / 255, 16) if limited else (1, 1, 0)
    codes = [planes[0] * luma_gain + black, *(plane * chroma_gain + 128 for plane in planes[1:])]
    spec = ImageSpec(format=PixelFormat.YUV420P, size_wh=(320, 240), range=range_, matrix=matrix)
    return Image(spec, tuple(np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in codes))


def test_every_palette_is_256_different_colours() -> None:
    """No two intensities look alike, or they could not be told apart again."""
    for name in NAMES:
        assert len(np.unique(named_palette(name), axis=0)) == 256, name


def test_white_hot_and_black_hot_are_what_they_say() -> None:
    """Hot is white, or black."""
    white, black = named_palette("white-hot"), named_palette("black-hot")
    assert (white[0].tolist(), white[255].tolist()) == ([0, 0, 0], [255, 255, 255])
    assert np.array_equal(black, white[::-1])


@pytest.mark.parametrize("upright", [False, True])
def test_a_palette_is_read_from_a_colour_bar(upright: bool) -> None:
    """Cold lies on the left, or at the bottom; a bar of another length is stretched."""
    bar = np.repeat(named_palette("ironbow")[None, ::3], 9, axis=0)
    if upright:
        bar = bar.transpose(1, 0, 2)[::-1]
    off = np.abs(palette_of(bar).astype(int) - named_palette("ironbow"))
    assert off.max() <= 4


def test_what_is_no_colour_bar_is_refused() -> None:
    """The error shows the shape."""
    with pytest.raises(ValueError, match=r"HxWx3 and at least 2 pixels long, got \(1, 1, 3\)"):
        palette_of(np.zeros((1, 1, 3), np.uint8))


def test_an_unknown_palette_is_refused() -> None:
    """The error lists those there are."""
    with pytest.raises(
        ValueError, match="white-hot, black-hot, ironbow, rainbow, lava, arctic; got 'ironbw'"
    ):
        named_palette("ironbw")


def test_grey_has_no_colours_to_turn_back() -> None:
    """The error names the format."""
    inverse = PaletteInverse(named_palette("lava"))
    with pytest.raises(ValueError, match="a painted image has colours, got gray8"):
        inverse.apply(Image.from_gray(np.zeros((4, 4), np.uint8)))


def test_a_palette_has_256_colours() -> None:
    """The error shows the shape."""
    with pytest.raises(ValueError, match=r"256x3 uint8, got \(255, 3\)"):
        PaletteInverse(np.zeros((255, 3), np.uint8))
