"""The geometry of a rig: the whole model, planes, and what they make of each other."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.config.rig import CameraConfig, PlaneConfig, RigConfig, load_rig
from streamfuse.errors import UsageError
from streamfuse.frames import StreamName
from streamfuse.geometry.camera import Camera
from streamfuse.geometry.lenses import plane_homography
from streamfuse.geometry.pose import Pose
from streamfuse.geometry.rig import (
    Dense,
    Plane,
    RigGeometry,
    camera_config,
    camera_of,
    common_field,
    full_grid,
    parallax_px,
    pose_config,
    pose_of,
)
from streamfuse.io.synthetic.board_spec import BoardSpec
from streamfuse.io.synthetic.board_truth import BoardTruth
from streamfuse.io.synthetic.cameras import homography_visible_from_infrared

REPO = Path(__file__).parents[2]
VISIBLE = Camera(
    size_wh=(1280, 720), fx=1000, fy=1004, cx=636, cy=352, distortion=(-0.3, 0.1, 1e-3, -5e-4, -0.02)
)
INFRARED = Camera(size_wh=(640, 512), fx=560, fy=561, cx=322, cy=250, distortion=(-0.25, 0.08, 0.0, 0.0))
POSE = Pose(rotation_vector=(0.01, -0.02, 0.005), translation_m=(0.08, 0.01, 0.002))
SIZES = {"visible_size_wh": VISIBLE.size_wh, "infrared_size_wh": INFRARED.size_wh}
MODEL = RigGeometry(visible=VISIBLE, infrared=INFRARED, T_visible_from_infrared=POSE, **SIZES)
PIXELS = np.random.default_rng(7).uniform((200, 100), (1080, 620), (100, 2))
RIGHT = np.array((5.0, 0.0))
ASIDE = np.array((3.0, -2.0))


def own_plane(distance_m: float) -> Plane:
    """The plane that the model has at a distance."""
    return Plane(distance_m=distance_m, H=plane_homography(VISIBLE, INFRARED, POSE, distance_m))


def shift(dx: float, dy: float) -> npt.NDArray[np.float64]:
    """Moves what is seen to the right and down."""
    return np.array([[1.0, 0.0, dx], [0.0, 1.0, dy], [0.0, 0.0, 1.0]])


def test_a_rig_file_becomes_geometry() -> None:
    """Cameras, pose and planes of the file are those of the geometry, and there is a way back."""
    matrix = ((1.8, 0.0, 70.0), (0.0, 1.8, -100.0), (0.0, 0.0, 1.0))
    config = RigConfig(
        visible=camera_config(VISIBLE),
        infrared=camera_config(INFRARED),
        T_visible_from_infrared=pose_config(POSE),
        planes=(PlaneConfig(distance_m=10, H_visible_from_infrared=matrix),),
    )
    rig = RigGeometry.of(config)
    assert (rig.visible, rig.infrared, rig.T_visible_from_infrared) == (VISIBLE, INFRARED, POSE)
    assert rig.usual_distance_m == 10.0
    np.testing.assert_array_equal(rig.planes[0].H, matrix)
    assert config.visible is not None
    assert camera_of(config.visible) == VISIBLE
    assert pose_of(config.T_visible_from_infrared) == POSE


@given(distance_m=st.one_of(st.just(math.inf), st.floats(1.5, 300)))
def test_planes_of_the_model_itself_change_nothing(distance_m: float) -> None:
    """A file whose planes are the model's own registers as the model alone."""
    both = RigGeometry(
        visible=VISIBLE,
        infrared=INFRARED,
        T_visible_from_infrared=POSE,
        planes=(own_plane(math.inf), own_plane(4.0)),
        **SIZES,
    )
    np.testing.assert_allclose(
        both.infrared_from_visible(PIXELS, distance_m),
        MODEL.infrared_from_visible(PIXELS, distance_m),
        atol=1e-6,
    )


def test_a_measured_plane_corrects_the_model_at_every_distance() -> None:
    """Where the scene was found 5 pixels to the right of what the model says, it is so at 2 m too."""
    measured = Plane(distance_m=math.inf, H=shift(5, 0) @ own_plane(math.inf).H)
    rig = RigGeometry(
        visible=VISIBLE, infrared=INFRARED, T_visible_from_infrared=POSE, planes=(measured,), **SIZES
    )
    for distance_m in (math.inf, 2.0):
        before = MODEL.infrared_from_visible(PIXELS, distance_m)
        np.testing.assert_allclose(rig.infrared_from_visible(PIXELS + RIGHT, distance_m), before, atol=1e-6)
        np.testing.assert_allclose(rig.visible_from_infrared(before, distance_m), PIXELS + RIGHT, atol=1e-4)


@pytest.mark.parametrize("with_lenses", [True, False])
def test_a_bump_moves_everything(with_lenses: bool) -> None:
    """After a correction, all is seen where the correction moves it to."""
    turned = np.array([[1.01, 0.02, -4.0], [-0.02, 0.99, 6.0], [1e-5, 0.0, 1.0]])
    rig = MODEL if with_lenses else RigGeometry(planes=(own_plane(math.inf), own_plane(4.0)), **SIZES)
    infrared = rig.infrared_from_visible(PIXELS, 8.0)
    homogeneous = np.append(PIXELS, np.ones((len(PIXELS), 1)), axis=1) @ turned.T
    expected = homogeneous[:, :2] / homogeneous[:, 2:]
    moved = rig.corrected(turned)
    # The smooth part of two planes is interpolated before it is moved: that costs hundredths of a pixel.
    np.testing.assert_allclose(moved.visible_from_infrared(infrared, 8.0), expected, atol=0.02)


def test_what_is_not_known() -> None:
    """A rig that says nothing of how the images lie on each other, without sizes, or a distance of 0."""
    with pytest.raises(UsageError, match="neither planes nor both lenses with their pose are known"):
        RigGeometry(visible=VISIBLE, infrared=INFRARED, **SIZES)
    with pytest.raises(UsageError, match="sizes of both cameras are needed"):
        RigGeometry.of(load_rig("identity"))
    with pytest.raises(UsageError, match="sizes of both cameras are needed"):
        RigGeometry.of(RigConfig(visible=CameraConfig(size_wh=(4, 4))))
    for distance_m in (0.0, -2.0, math.nan):
        with pytest.raises(UsageError, match="a distance must be more than 0 m, or inf, got"):
            MODEL.at(distance_m)


def test_the_map_of_all_pixels_is_that_of_each() -> None:
    """Linear between every fourth pixel is as good as following each pixel through the lenses."""
    passage = MODEL.at(3.0)
    grid = full_grid(passage, (1279, 717))  # not multiples of four
    assert grid.shape == (717, 1279, 2)
    rows, columns = np.random.default_rng(1).integers(0, (717, 1279), (300, 2)).T
    exact = passage.infrared_from_visible(np.stack((columns, rows), axis=-1))
    np.testing.assert_allclose(grid[rows, columns], exact, atol=0.003)


def test_the_common_field_of_the_drawn_street() -> None:
    """All pixels of the rectangle are seen by both cameras, and one more row or column would not be."""
    matrix = homography_visible_from_infrared((640, 480), (640, 480))
    wider = shift(100, 30) @ matrix  # the infrared image covers less of the visible one
    rig = RigGeometry(
        visible_size_wh=(640, 480),
        infrared_size_wh=(640, 480),
        planes=(Plane(distance_m=math.inf, H=wider),),
    )
    field = common_field(rig)
    left, top, width, height = field
    corners = [
        (left, top),
        (left + width - 1, top),
        (left, top + height - 1),
        (left + width - 1, top + height - 1),
    ]
    inside = rig.infrared_from_visible(corners)
    assert ((inside >= 0) & (inside <= (639, 479))).all()
    assert width * height > 0.6 * 640 * 480
    assert not any(number % 2 for number in field)


@given(distance_m=st.floats(1.0, 200.0), plane_m=st.one_of(st.just(math.inf), st.floats(2.0, 200.0)))
def test_the_formula_of_the_parallax_is_that_of_the_model(distance_m: float, plane_m: float) -> None:
    """In the middle of parallel cameras side by side, the formula gives what the whole model gives."""
    visible = Camera(size_wh=(1280, 720), fx=1000, fy=1000, cx=640, cy=360)
    infrared = Camera(size_wh=(640, 512), fx=500, fy=500, cx=320, cy=256)
    beside = Pose(translation_m=(0.12, 0.0, 0.0))
    rig = RigGeometry(visible=visible, infrared=infrared, T_visible_from_infrared=beside, **SIZES)
    shown = rig.visible_from_infrared(rig.infrared_from_visible([(640.0, 360.0)], distance_m), plane_m)
    error = float(np.hypot(*(shown[0] - (640.0, 360.0))))
    formula = parallax_px(distance_m, plane_distance_m=plane_m, baseline_m=0.12, focal_px=1000.0)
    assert error == pytest.approx(formula, abs=1e-6)


def test_parallax_of_many_distances() -> None:
    """An array gives an array, for a plot."""
    found = parallax_px(
        np.array([5.0, 10.0, math.inf]), plane_distance_m=10.0, baseline_m=0.1, focal_px=1000.0
    )
    np.testing.assert_allclose(found, [10.0, 0.0, 10.0])


@pytest.mark.parametrize("t_s", [0.2, 2.5, 5.0, 11.6])
def test_corners_of_a_drawn_board_are_found_in_the_other_camera(t_s: float) -> None:
    """The geometry of the shipped rig agrees with the pixels of the synthetic board, corner by corner."""
    truth = BoardTruth(BoardSpec())
    rig = RigGeometry.of(load_rig(REPO / "calibration" / "synthetic-board.yaml"))
    distances_m = truth.T_camera_from_board(t_s).apply(truth.points_m)[:, 2]
    visible, infrared = (truth.pixels(t_s, stream) for stream in (StreamName.VISIBLE, StreamName.INFRARED))
    for in_visible, in_infrared, distance_m in zip(visible, infrared, distances_m.tolist(), strict=True):
        np.testing.assert_allclose(
            rig.infrared_from_visible(in_visible, distance_m), [in_infrared], atol=1e-4
        )
        np.testing.assert_allclose(
            rig.visible_from_infrared(in_infrared, distance_m), [in_visible], atol=1e-4
        )


def test_a_dense_plane_says_where_each_pixel_is() -> None:
    """At its distance it is shown as measured, also with lenses: their bending is in it already."""
    across, down = np.meshgrid(np.arange(0, 1281, 32), np.arange(0, 737, 32))
    waves = np.stack((3 * np.sin(down / 90), 2 * np.cos(across / 120)), axis=-1)
    flat = Plane(distance_m=6.0, H=own_plane(6.0).H, dense=((1.0, Dense(step_px=32, offsets_px=waves)),))
    expected = RigGeometry(planes=(flat,), **SIZES).infrared_from_visible(PIXELS, 6.0)
    both = RigGeometry(
        visible=VISIBLE, infrared=INFRARED, T_visible_from_infrared=POSE, planes=(flat,), **SIZES
    )
    found = both.infrared_from_visible(PIXELS, 6.0)
    np.testing.assert_allclose(found, expected, atol=0.02)
    np.testing.assert_allclose(both.visible_from_infrared(found, 6.0), PIXELS, atol=1e-4)
    # Elsewhere the model adds its parallax.
    moved = both.infrared_from_visible(PIXELS, 2.0) - found
    by_model = MODEL.infrared_from_visible(PIXELS, 2.0) - MODEL.infrared_from_visible(PIXELS, 6.0)
    np.testing.assert_allclose(moved, by_model, atol=0.6)
    assert np.abs(by_model).max() > 10
