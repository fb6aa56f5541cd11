"""The infrared image on the grid of the visible one."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfuse.config.rig import CameraConfig, PlaneConfig, Rig, RigConfig, load_rig
from streamfuse.errors import UsageError
from streamfuse.frames import ColorRange, Image, ImageSpec, PixelFormat
from streamfuse.geometry.camera import Camera
from streamfuse.geometry.gray import gray8
from streamfuse.geometry.pose import Pose
from streamfuse.geometry.rig import Plane, RigGeometry
from streamfuse.geometry.warp import Registration
from streamfuse.io.synthetic.spec import StreetSpec
from streamfuse.io.synthetic.street import Street

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


def interpolated(plane: npt.NDArray[np.uint8], places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Bilinear in float64."""
    x, y = np.moveaxis(places, -1, 0)
    left = np.clip(np.floor(x).astype(int), 0, plane.shape[1] - 2)
    top = np.clip(np.floor(y).astype(int), 0, plane.shape[0] - 2)
    across, down = x - left, y - top
    rows = [plane[top + row, left] * (1 - across) + plane[top + row, left + 1] * across for row in (0, 1)]
    return np.asarray(rows[0] * (1 - down) + rows[1] * down)


@given(st.integers(0, 2**32 - 1), st.floats(-0.1, 0.1), st.floats(-20, 20), st.floats(0.7, 1.5))
@settings(max_examples=40)
def test_within_a_level_of_float(seed: int, turn: float, dx: float, scale: float) -> None:
    """Even of noise, and wherever the pixels fall, integers give what float64 gives, to a level."""
    noise = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH), np.uint8)
    H = np.array([[scale, -turn, dx], [turn, scale, -dx / 2], [turn / 1e3, 1e-5, 1.0]])  # noqa: N806
    rig = registration(H)
    rows, columns = np.nonzero(rig.seen)
    places = rig.to_infrared(np.stack((columns, rows), axis=-1))
    warped = rig.apply(Image.from_gray(noise), visible()).planes[0]
    assert np.abs(warped[rows, columns] - interpolated(noise, places)).max() <= 1.0
    assert (warped[~rig.seen] == 7).all()


def test_video_is_widened_on_the_way() -> None:
    """Limited range becomes full range as exactly as if it had been widened before, codes beyond it too."""
    spec = ImageSpec(format=PixelFormat.GRAY8, size_wh=SIZE, range=ColorRange.LIMITED)
    noise = np.random.default_rng(9).integers(0, 256, (HEIGHT, WIDTH), np.uint8)
    rig = registration(TURNED)
    rows, columns = np.nonzero(rig.seen)
    codes = interpolated(noise, rig.to_infrared(np.stack((columns, rows), axis=-1)))
    warped = rig.apply(Image(spec, (noise,)), visible()).planes[0]
    assert np.abs(warped[rows, columns] - np.clip((codes - 16) * 255 / 219, 0, 255)).max() <= 1.0
    same = registration(shift(4, 2)).apply(Image(spec, (noise,)), visible()).planes[0]
    np.testing.assert_array_equal(same[2:, 4:], gray8(Image(spec, (noise,)))[:-2, :-4])


def test_frames_may_be_views() -> None:
    """Read-only memory of a ring and rows with a margin give the same bytes as images of their own."""
    wide = np.zeros((HEIGHT, WIDTH + 24), np.uint8)
    wide[:, :WIDTH] = scene().planes[0]
    strided = Image.from_gray(wide[:, :WIDTH])
    frozen = Image.from_buffer(scene().spec, scene().planes[0].tobytes())
    expected = registration(TURNED).apply(scene(), scene()).planes[0]
    for view in (strided, frozen):
        np.testing.assert_array_equal(registration(TURNED).apply(view, view).planes[0], expected)


RIG = RigGeometry(
    visible_size_wh=SIZE,
    infrared_size_wh=(80, 60),
    planes=(Plane(distance_m=10.0, H=np.diag([1.5, 1.5, 1.0])),),
)


def test_registration_of_a_rig() -> None:
    """The rig, its file and its matrix register alike; the identity is for registered streams."""
    infrared = scene((80, 60))
    matrix = ((1.5, 0.0, 0.0), (0.0, 1.5, 0.0), (0.0, 0.0, 1.0))
    config = RigConfig(
        visible=CameraConfig(size_wh=SIZE),
        infrared=CameraConfig(size_wh=(80, 60)),
        planes=(PlaneConfig(distance_m=10, H_visible_from_infrared=matrix),),
    )
    rig = Rig(H_visible_from_infrared=None, visible_size_wh=SIZE, infrared_size_wh=(80, 60), config=config)
    expected = registration(matrix, (80, 60)).apply(infrared, visible()).planes[0]
    for each in (RIG, rig):
        found = Registration.of(each, visible_size_wh=SIZE, infrared_size_wh=(80, 60))
        np.testing.assert_array_equal(found.apply(infrared, visible()).planes[0], expected)
        np.testing.assert_allclose(found.H_visible_from_infrared, matrix, atol=1e-12)
    same = Registration.of(load_rig("identity"), visible_size_wh=SIZE, infrared_size_wh=SIZE)
    assert same.is_identity
    assert same.seen.all()
    np.testing.assert_array_equal(same.to_infrared([(3, 4)]), [(3, 4)])


def test_a_rig_for_other_sizes() -> None:
    """Sizes that the rig was not made for are refused; swapped cameras are recognised."""
    with pytest.raises(
        UsageError, match="made for infrared pictures of 80x60, got 160x120; use a rig made for"
    ):
        Registration.of(RIG, visible_size_wh=SIZE, infrared_size_wh=SIZE)
    with pytest.raises(UsageError, match="the cameras seem swapped; exchange visible and infrared"):
        Registration.of(RIG, visible_size_wh=(80, 60), infrared_size_wh=SIZE)


@given(distance_m=st.floats(2.0, 100.0))
@settings(max_examples=20)
def test_objects_at_the_distance_lie_on_each_other(distance_m: float) -> None:
    """With lenses and pose, a point at that distance is registered where the visible camera sees it."""
    bent = (-0.2, 0.05, 0.0, 0.0)
    camera = Camera(size_wh=SIZE, fx=140, fy=140, cx=80, cy=60, distortion=bent)
    pose = Pose(rotation_vector=(0.0, 0.02, 0.01), translation_m=(0.1, 0.0, 0.0))
    rig = RigGeometry(
        visible_size_wh=SIZE,
        infrared_size_wh=SIZE,
        visible=camera,
        infrared=camera,
        T_visible_from_infrared=pose,
    )
    found = Registration.of(rig, visible_size_wh=SIZE, infrared_size_wh=SIZE, distance_m=distance_m)
    point = np.array([[0.1, -0.05, 1.0]]) * distance_m
    infrared = camera.project(pose.inverse.apply(point))
    np.testing.assert_allclose(found.to_infrared(camera.project(point)), infrared, atol=1e-6)


def test_cut_to_what_both_see() -> None:
    """The registered picture, the visible one and raw counts become the common field, and points know it."""
    whole = Registration.of(RIG, visible_size_wh=SIZE, infrared_size_wh=(80, 60))
    cropped = Registration.of(RIG, visible_size_wh=SIZE, infrared_size_wh=(80, 60), crop=True)
    assert cropped.field_xywh == (0, 0, 118, 88)  # 1.5 * 79 and 1.5 * 59, even
    assert whole.field_xywh == (0, 0, 160, 120)
    moved = Registration(shift(21, 10), visible_size_wh=SIZE, infrared_size_wh=SIZE, crop=True)
    assert moved.field_xywh == (22, 10, 138, 110)
    assert moved.seen.all()
    warped = moved.apply(scene(), visible()).planes[0]
    np.testing.assert_array_equal(warped, scene().planes[0][:110, 1:139])
    counts = np.arange(WIDTH * HEIGHT, dtype=np.uint16).reshape(HEIGHT, WIDTH)
    sampled, seen = moved.sample(counts)
    assert seen is None
    np.testing.assert_array_equal(sampled, counts[:110, 1:139])
    np.testing.assert_allclose(moved.to_visible([(0, 0)]), [(22, 10)])
    np.testing.assert_allclose(moved.to_infrared([(0, 0)]), [(1, 0)], atol=1e-12)


@pytest.mark.parametrize("form", [PixelFormat.YUV420P, PixelFormat.RGB24])
def test_visible_images_are_cut_with_their_colour(form: PixelFormat) -> None:
    """The cut image is that part of every plane, chroma at half the place."""
    spec = ImageSpec(format=form, size_wh=SIZE, range=ColorRange.FULL)
    image = Image.from_buffer(spec, np.random.default_rng(1).bytes(spec.nbytes))
    moved = Registration(shift(21, 10), visible_size_wh=SIZE, infrared_size_wh=SIZE, crop=True)
    cut = moved.cut(image)
    assert cut.spec == ImageSpec(format=form, size_wh=(138, 110), range=ColorRange.FULL)
    np.testing.assert_array_equal(cut.planes[0], image.planes[0][10:120, 22:160])
    for part, plane in zip(cut.planes[1:], image.planes[1:], strict=True):
        np.testing.assert_array_equal(part, plane[5:60, 11:80])
    assert registration(shift(1, 1)).cut(image) is image


def test_cameras_that_see_nothing_in_common() -> None:
    """A registration that would show nothing is refused at the start."""
    with pytest.raises(UsageError, match="the cameras see nothing in common; calibrate them again"):
        registration(shift(1000, 0))
    with pytest.raises(UsageError, match="infrared images must have 2x2 pixels at least, got 1x60"):
        registration(shift(1, 0), (1, 60))


def test_the_drawn_street_is_registered() -> None:
    """The matrix with which the street is drawn puts its warm people onto those of the visible camera."""
    size = (320, 240)
    street = Street(StreetSpec(seed=7, size_wh=size, light="night"))
    rig = RigGeometry(
        visible_size_wh=size,
        infrared_size_wh=size,
        planes=(Plane(distance_m=math.inf, H=street.H_visible_from_infrared),),
    )
    found = Registration.of(rig, visible_size_wh=size, infrared_size_wh=size)
    black = Image.from_gray(np.zeros(size[::-1], np.uint8))
    warm = found.apply(Image.from_gray(street.infrared(1.0)), black).planes[0].astype(float)
    people = [each.mask for each in street.truth(1.0) if each.class_name == "person" and each.mask.sum() > 60]
    assert people
    for mask in people:
        grown = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        assert warm[mask].mean() > warm[grown & ~mask].mean() + 5


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
