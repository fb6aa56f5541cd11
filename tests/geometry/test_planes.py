"""Planes with smooth corrections, and what lies between two of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.config.rig import DenseConfig
from streamfuse.errors import UsageError
from streamfuse.geometry.camera import Camera
from streamfuse.geometry.lenses import plane_homography
from streamfuse.geometry.planes import Dense, Plane, between, through
from streamfuse.geometry.pose import Pose

SIZE = (160, 120)
TURNED = np.array([[1.05, 0.04, -6.3], [-0.03, 0.97, 4.6], [8e-5, -5e-5, 1.0]])
MIDDLE = (79.5, 59.5)


def wavy(step_px: int = 16) -> Dense:
    """A smooth correction of a few pixels."""
    x, y = np.meshgrid(np.arange(0, SIZE[0] + step_px, step_px), np.arange(0, SIZE[1] + step_px, step_px))
    return Dense(step_px=step_px, offsets_px=np.stack((3 * np.sin(y / 40), 2 * np.cos(x / 50)), axis=-1))


@given(st.tuples(st.floats(0, 159), st.floats(0, 119)))
def test_there_and_back_with_a_correction(pixel: tuple[float, float]) -> None:
    """Plane and correction have an inverse, to a millionth of a pixel."""
    plane = Plane(distance_m=5.0, H=TURNED, dense=((1.0, wavy()),))
    np.testing.assert_allclose(plane.ahead(plane.back([pixel])), [pixel], atol=1e-6)


def test_a_correction_shows_what_its_definition_says() -> None:
    """Visible pixel p shows ``H^-1(p + d(p))``, d bilinear between nodes."""
    dense = Dense(step_px=10, offsets_px=np.array([[[0.0, 0.0], [2.0, 0.0]], [[0.0, 4.0], [2.0, 4.0]]]))
    np.testing.assert_allclose(dense.at(np.array([[5.0, 2.5]])), [[1.0, 1.0]])
    np.testing.assert_allclose(dense.at(np.array([[-5.0, 99.0]])), [[0.0, 4.0]])  # as at the edge
    assert np.isnan(dense.at(np.array([[np.nan, 1.0]]))).all()
    back = Plane(distance_m=5.0, H=TURNED, dense=((1.0, dense),)).back([(5.0, 2.5)])
    np.testing.assert_allclose(back, through(np.linalg.inv(TURNED), np.array([[6.0, 3.5]])))


def test_corrections_pass_through_the_rig_file() -> None:
    """What the file holds is the correction, to a thousandth of a pixel."""
    config = wavy().config()
    assert config.shape == config.shape_for(SIZE)
    again = Dense.of(DenseConfig.model_validate(config.model_dump()))
    np.testing.assert_allclose(again.offsets_px, wavy().offsets_px, atol=5.1e-4)


@given(
    distance_m=st.floats(2.0, 1000.0),
    translation_m=st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)),
    rotation_vector=st.tuples(st.floats(-0.05, 0.05), st.floats(-0.05, 0.05), st.floats(-0.05, 0.05)),
)
def test_between_two_planes_is_the_truth(
    distance_m: float,
    translation_m: tuple[float, float],
    rotation_vector: tuple[float, float, float],
) -> None:
    """For cameras side by side, planes at infinity and 2 m give the plane at any distance between exactly."""
    visible = Camera(size_wh=(1280, 720), fx=1000, fy=1004, cx=636, cy=352)
    infrared = Camera(size_wh=(640, 512), fx=400, fy=401, cx=322, cy=250)
    # In the frame of the infrared camera the visible one is beside it: neither before nor behind.
    turned = Pose(rotation_vector=rotation_vector)
    beside = Pose(translation_m=(*translation_m, 0.0))
    pose = turned @ beside
    planes = [
        Plane(distance_m=metres, H=plane_homography(visible, infrared, pose, metres))
        for metres in (math.inf, 2.0)
    ]
    found = between(planes, distance_m, middle=(319.5, 255.5))
    start = np.random.default_rng(2).uniform((0, 0), (639, 511), (50, 2))
    truth = through(plane_homography(visible, infrared, pose, distance_m), start)
    np.testing.assert_allclose(through(found.H, start), truth, atol=0.02)


def moved(distance_m: float, x: float) -> Plane:
    """A plane whose registration is a shift."""
    return Plane(distance_m=distance_m, H=np.array([[1.0, 0.0, x], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))


@pytest.mark.parametrize(
    ("distance_m", "shift"),
    [(math.inf, 0.0), (20.0, 4.0), (10.0, 8.0), (8.0, 11.0), (5.0, 20.0), (4.0, 26.0), (2.5, 32.0)],
)
def test_beyond_the_last_plane_it_goes_on_for_a_while(distance_m: float, shift: float) -> None:
    """Linear in 1/distance between neighbours; past the last one for one more interval, then constant."""
    planes = [moved(10.0, 8.0), moved(math.inf, 0.0), moved(5.0, 20.0)]  # in any order
    found = between(planes, distance_m, middle=MIDDLE)
    np.testing.assert_allclose(found.ahead([(0.0, 0.0)]), [(shift, 0.0)], atol=1e-9)


def test_one_plane_is_for_every_distance() -> None:
    """Without a second one nothing is known of the parallax."""
    np.testing.assert_allclose(between([moved(10.0, 8.0)], 2.0, middle=MIDDLE).ahead([(1, 1)]), [(9, 1)])


def test_corrections_are_interpolated_too() -> None:
    """Half way (in 1/distance) to a plane without a correction, half of it is left."""
    far = Plane(distance_m=math.inf, H=np.eye(3))
    near = Plane(distance_m=5.0, H=np.eye(3), dense=((1.0, wavy()),))
    found = between([far, near], 10.0, middle=MIDDLE)
    start = np.array([[30.0, 40.0]])
    np.testing.assert_allclose(found.back(start), start + 0.5 * wavy().at(start))


@given(st.floats(-50, 50).filter(lambda scale: abs(scale) > 0.02))
def test_the_scale_of_a_matrix_says_nothing(scale: float) -> None:
    """Homographies that differ by a factor, also a negative one, are the same."""
    plain = between([moved(10.0, 8.0), moved(5.0, 20.0)], 7.0, middle=MIDDLE)
    scaled = Plane(distance_m=5.0, H=moved(5.0, 20.0).H * scale)
    found = between([moved(10.0, 8.0), scaled], 7.0, middle=MIDDLE)
    np.testing.assert_allclose(found.ahead([(3.0, 4.0)]), plain.ahead([(3.0, 4.0)]))


def test_planes_that_contradict_each_other() -> None:
    """Two planes of which one looks the other way are no rig."""
    mirrored = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.05, 0.0, 1.0 - 0.05 * 100]])
    with pytest.raises(
        UsageError, match="the planes at inf m and 5 m do not fit together; measure one of them"
    ):
        between([moved(math.inf, 0.0), Plane(distance_m=5.0, H=mirrored)], 7.0, middle=MIDDLE)
