"""The infrared image on the grid of the visible one."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.errors import UsageError
from streamfuse.frames import ColorRange, Image, ImageSpec, PixelFormat
from streamfuse.geometry.warp import Registration

WIDTH, HEIGHT = 160, 120
SIZE = (WIDTH, HEIGHT)
TURNED = np.array([[1.05, 0.04, -6.3], [-0.03, 0.97, 4.6], [8e-5, -5e-5, 1.0]])


def registration(H: npt.ArrayLike, infrared_size_wh: tuple[int, int] = SIZE) -> Registration:  # noqa: N803 - a homography
    """Both cameras have one size unless said otherwise."""
    return Registration(H, visible_size_wh=SIZE, infrared_size_wh=infrared_size_wh)


def shift(dx: float, dy: float) -> npt.NDArray[np.float64]:
    """Moves the scene by dx to the right and dy down."""
    return np.array([[1.0, 0.0, dx], [0.0, 1.0, dy], [0.0, 0.0, 1.0]])


def smooth(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A scene that is defined between the pixels too, within 40..216."""
    return 128 + 50 * np.sin(x / 9 + y / 23) + 38 * np.cos(y / 11 - x / 31)


def scene(size_wh: tuple[int, int] = SIZE) -> Image:
    """The scene as a camera sees it."""
    x, y = np.meshgrid(np.arange(size_wh[0], dtype=np.float64), np.arange(size_wh[1], dtype=np.float64))
    return Image.from_gray(np.rint(smooth(x, y)).astype(np.uint8))


def visible(code: int = 7) -> Image:
    """A visible image of one code, outside the range of the scene."""
    return Image.from_gray(np.full((HEIGHT, WIDTH), code, np.uint8))


def test_identity_gives_the_same_object() -> None:
    """Registered streams cost nothing: the infrared image passes as it is, whatever its form."""
    image = Image.from_gray(np.zeros((HEIGHT, WIDTH), np.uint16))
    assert registration(np.eye(3) * 4.0).apply(image, visible()) is image


def test_identity_needs_equal_sizes() -> None:
    """Unregistered sizes are refused with the way out."""
    with pytest.raises(UsageError, match=r"visible images are 160x120 and infrared ones 80x60: give a rig"):
        registration(np.eye(3), (80, 60))


def test_known_shift() -> None:
    """Infrared pixel (x, y) lands on visible pixel (x + 5, y - 3), to the level."""
    infrared = scene()
    warped = registration(shift(5, -3)).apply(infrared, visible()).planes[0]
    np.testing.assert_array_equal(warped[:-3, 5:], infrared.planes[0][3:, :-5])


def test_where_infrared_is_blind_the_visible_luma_stands() -> None:
    """The uncovered strips hold the visible brightness in full range, not black."""
    spec = ImageSpec(format=PixelFormat.YUV420P, size_wh=SIZE, range=ColorRange.LIMITED)
    frame = Image.from_buffer(spec, bytes([126] * (WIDTH * HEIGHT) + [128] * (WIDTH * HEIGHT // 2)))
    warped = registration(shift(5, -3)).apply(scene(), frame).planes[0]
    assert (warped[:, :5] == 128).all()
    assert (warped[-3:] == 128).all()


@given(dx=st.floats(-12, 12), dy=st.floats(-12, 12))
def test_subpixel_shifts_are_exact_to_a_level(dx: float, dy: float) -> None:
    """A smooth scene shifted by a fraction of a pixel equals the scene sampled there."""
    x, y = np.meshgrid(np.arange(WIDTH) - dx, np.arange(HEIGHT) - dy)
    warped = registration(shift(dx, dy)).apply(scene(), visible()).planes[0]
    inner = (slice(13, -13), slice(13, -13))
    assert np.abs(warped[inner] - smooth(x, y)[inner]).max() < 1.5


def test_a_homography_is_followed_in_the_right_direction() -> None:
    """A visible pixel shows the infrared point that the matrix maps to it."""
    x, y = np.meshgrid(np.arange(WIDTH, dtype=np.float64), np.arange(HEIGHT, dtype=np.float64))
    back = cv2.perspectiveTransform(np.stack((x, y), axis=2), np.linalg.inv(TURNED))
    expected = smooth(back[..., 0], back[..., 1])
    warped = registration(TURNED).apply(scene(), visible()).planes[0]
    inner = (slice(15, -15), slice(15, -15))
    assert np.abs(warped[inner] - expected[inner]).max() < 1.5


def test_there_and_back_is_where_we_were() -> None:
    """A warp followed by its inverse returns the scene away from the borders."""
    there = registration(TURNED).apply(scene(), visible())
    back = registration(np.linalg.inv(TURNED)).apply(there, visible()).planes[0]
    inner = (slice(20, -20), slice(20, -20))
    difference = back[inner].astype(int) - scene().planes[0][inner]
    assert np.abs(difference).max() <= 4
    assert abs(difference.mean()) < 0.1


def test_a_smaller_infrared_camera_fills_the_visible_grid() -> None:
    """Pixel centres lie at integers: half the resolution maps by 2x + 0.5, and borders are visible luma."""
    grow = np.array([[2.0, 0.0, 0.5], [0.0, 2.0, 0.5], [0.0, 0.0, 1.0]])
    x, y = np.meshgrid((np.arange(WIDTH) - 0.5) / 2, (np.arange(HEIGHT) - 0.5) / 2)
    warped = registration(grow, (80, 60)).apply(scene((80, 60)), visible()).planes[0]
    assert np.abs(warped[1:-1, 1:-1] - smooth(x, y)[1:-1, 1:-1]).max() < 1.5
    assert (warped[0] == 7).all()


@pytest.mark.parametrize("form", ["gray16", "yuv420p"])
def test_other_forms_of_infrared(form: str) -> None:
    """Raw counts and video frames come out as 8-bit grey of the visible size."""
    gray = scene().planes[0]
    if form == "gray16":
        infrared = Image.from_gray(gray.astype(np.uint16) * 10 + 30_000)
    else:
        spec = ImageSpec(format=PixelFormat.YUV420P, size_wh=SIZE)
        chroma = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
        infrared = Image(spec, (gray, chroma, chroma))
    warped = registration(shift(4, 2)).apply(infrared, visible())
    assert warped.spec == ImageSpec(format=PixelFormat.GRAY8, size_wh=SIZE)
    correlation = np.corrcoef(warped.planes[0][2:, 4:].ravel(), gray[:-2, :-4].ravel())[0, 1]
    assert correlation > 0.999


def test_beyond_the_horizon_is_blind() -> None:
    """Where the plane turns behind the camera, nothing is mirrored into view."""
    tilted = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.05, 1.0]])
    H = shift(80, 60) @ tilted @ shift(-80, -60)  # noqa: N806 - a homography
    # Row 100 is 40 below the middle, where the way back divides by 1 - 0.05 * 40 = -1: mirrored.
    mirrored = cv2.perspectiveTransform(np.array([[[80.0, 100.0]]]), np.linalg.inv(H))
    np.testing.assert_allclose(mirrored, [[[80.0, 20.0]]])
    warped = registration(H).apply(scene(), visible()).planes[0]
    assert (warped[81:] == 7).all()
    assert (warped[60, 70:90] != 7).all()


@pytest.mark.parametrize(
    ("matrix", "complaint"),
    [(np.eye(2), "3x3"), (np.full((3, 3), np.nan), "finite"), (np.ones((3, 3)), "invertible")],
)
def test_matrices_that_are_no_homography(matrix: npt.NDArray[np.float64], complaint: str) -> None:
    """A matrix of another shape, with holes, or without an inverse is refused."""
    with pytest.raises(ValueError, match=complaint):
        registration(matrix)


def test_images_of_another_size_than_the_rig() -> None:
    """An image that the rig was not made for is refused by name, got and expected."""
    with pytest.raises(UsageError, match="the rig is for infrared images of 160x120, got 80x60"):
        registration(shift(1, 0)).apply(scene((80, 60)), visible())
    with pytest.raises(UsageError, match="the rig is for visible images of 160x120, got 80x60"):
        registration(shift(1, 0)).apply(scene(), scene((80, 60)))


def test_raw_counts_are_sampled_not_averaged() -> None:
    """Every sample is the count of the nearest infrared pixel, and what is out of sight is told."""
    counts = np.random.default_rng(3).integers(0, 65_536, (HEIGHT, WIDTH), np.uint16)
    sampled, seen = registration(shift(5.4, -3.3)).sample(counts)
    assert np.array_equal(sampled[: HEIGHT - 4, 6:], counts[3 : HEIGHT - 1, 1 : WIDTH - 5])
    assert seen is not None
    assert not seen[:, :5].any()
    assert not seen[-3:].any()
    assert seen[: HEIGHT - 4, 6:].all()


def test_counts_of_registered_streams_are_as_they_are() -> None:
    """Identity: nothing is copied, and everything is in sight."""
    counts = np.zeros((HEIGHT, WIDTH), np.uint16)
    sampled, seen = registration(np.eye(3)).sample(counts)
    assert sampled is counts
    assert seen is None


def test_counts_of_another_size_are_refused() -> None:
    """The rig is for one size."""
    with pytest.raises(UsageError, match="the rig is for infrared images of 160x120, got 80x60"):
        registration(shift(1, 1)).sample(np.zeros((60, 80), np.uint16))
