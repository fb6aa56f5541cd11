"""Two cameras with lenses and a plane in front of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.errors import CalibrationError
from streamfuse.geometry.camera import Camera
from streamfuse.geometry.lenses import Lenses, plane_homography, within
from streamfuse.geometry.planes import through
from streamfuse.geometry.pose import Pose

VISIBLE = Camera(size_wh=(1280, 720), fx=1000, fy=1004, cx=636, cy=352)
INFRARED = Camera(size_wh=(640, 512), fx=560, fy=561, cx=322, cy=250)
BENT_VISIBLE = Camera(
    size_wh=(1280, 720), fx=1000, fy=1004, cx=636, cy=352, distortion=(-0.3, 0.1, 1e-3, -5e-4, -0.02)
)
BENT_INFRARED = Camera(size_wh=(640, 512), fx=560, fy=561, cx=322, cy=250, distortion=(-0.25, 0.08, 0, 0))
FISHEYE = Camera(
    size_wh=(1280, 720),
    fx=420,
    fy=420,
    cx=641,
    cy=358,
    model="fisheye",
    distortion=(0.02, -0.01, 3e-3, -1e-3),
)
POSE = Pose(rotation_vector=(0.01, -0.02, 0.005), translation_m=(0.08, 0.01, 0.004))

DISTANCES = st.one_of(st.just(math.inf), st.floats(0.8, 500))


def pixels(camera: Camera, count: int = 200) -> np.ndarray:
    """Some pixels of a camera, always the same."""
    return np.random.default_rng(4).uniform((0, 0), np.subtract(camera.size_wh, 1), (count, 2))


@pytest.mark.parametrize("visible", [VISIBLE, BENT_VISIBLE, FISHEYE], ids=["ideal", "bent", "fisheye"])
@pytest.mark.parametrize("infrared", [INFRARED, BENT_INFRARED], ids=["ideal", "bent"])
@given(distance_m=DISTANCES)
def test_there_and_back(visible: Camera, infrared: Camera, distance_m: float) -> None:
    """What the infrared camera sees of a visible pixel goes back to that pixel, through any lenses."""
    lenses = Lenses(visible=visible, infrared=infrared, T_visible_from_infrared=POSE)
    start = pixels(visible)
    there = lenses.infrared_from_visible(start, distance_m)
    seen = within(there, infrared.size_wh)
    assert seen.sum() > 20
    back = lenses.visible_from_infrared(there[seen], distance_m)
    np.testing.assert_allclose(back, start[seen], atol=1e-4)


@given(distance_m=st.floats(0.8, 500))
def test_a_point_in_space_appears_in_both_images(distance_m: float) -> None:
    """A point on the plane, projected by each camera on its own, gives two pixels that belong together."""
    lenses = Lenses(visible=BENT_VISIBLE, infrared=BENT_INFRARED, T_visible_from_infrared=POSE)
    across, down = np.meshgrid(np.linspace(-0.25, 0.25, 7), np.linspace(-0.2, 0.2, 5))
    points = np.stack((across, down, np.ones_like(across)), axis=-1).reshape(-1, 3) * distance_m
    in_visible = BENT_VISIBLE.project(points)
    in_infrared = BENT_INFRARED.project(POSE.inverse.apply(points))
    np.testing.assert_allclose(lenses.infrared_from_visible(in_visible, distance_m), in_infrared, atol=1e-5)
    np.testing.assert_allclose(lenses.visible_from_infrared(in_infrared, distance_m), in_visible, atol=1e-5)


@given(distance_m=DISTANCES)
def test_ideal_lenses_are_one_matrix(distance_m: float) -> None:
    """Without distortion, the homography of the plane says all that the whole model says."""
    lenses = Lenses(visible=VISIBLE, infrared=INFRARED, T_visible_from_infrared=POSE)
    matrix = plane_homography(VISIBLE, INFRARED, POSE, distance_m)
    start = pixels(INFRARED)
    np.testing.assert_allclose(
        through(matrix, start), lenses.visible_from_infrared(start, distance_m), atol=1e-7
    )
    assert matrix[2, 2] == 1.0


def test_with_bent_lenses_the_matrix_is_the_best_one() -> None:
    """No small change of the fitted homography makes it better over the common field."""
    lenses = Lenses(visible=BENT_VISIBLE, infrared=BENT_INFRARED, T_visible_from_infrared=POSE)
    across, down = np.meshgrid(np.linspace(0, 1279, 41), np.linspace(0, 719, 31))
    start = np.stack((across, down), axis=-1).reshape(-1, 2)
    there = lenses.infrared_from_visible(start, 10.0)
    seen = within(there, INFRARED.size_wh)

    def error(matrix: np.ndarray) -> float:
        return float(((through(matrix, there[seen]) - start[seen]) ** 2).sum())

    matrix = plane_homography(BENT_VISIBLE, BENT_INFRARED, POSE, 10.0)
    least = error(matrix)
    assert 0.1 < math.sqrt(least / seen.sum()) < 6.0
    for row in range(3):
        for column in range(3):
            for step in (1 - 1e-3, 1 + 1e-3):
                changed = matrix.copy()
                changed[row, column] *= step
                assert error(changed) >= least - 1e-6 * least or (row, column) == (2, 2)


def test_what_lies_beside_a_bent_lens_does_not_fold_into_its_image() -> None:
    """A barrel polynomial turns back outside of what it was fitted to; those rays have no pixel."""
    narrow = Camera(size_wh=(640, 512), fx=560, fy=560, cx=320, cy=256, distortion=(-0.45, 0.0, 0.0, 0.0))
    wide = Camera(size_wh=(1280, 720), fx=300, fy=300, cx=640, cy=360)
    lenses = Lenses(visible=wide, infrared=narrow, T_visible_from_infrared=Pose())
    there = lenses.infrared_from_visible([(640.0, 360.0), (20.0, 360.0)], math.inf)
    np.testing.assert_allclose(there[0], (320, 256), atol=1e-9)
    folded = narrow.project([(-620 / 300, 0.0, 1.0)])
    assert np.isnan(there[1]).all(), folded
    # Its own corners it pictures, as far as the polynomial goes.
    assert np.isnan(lenses.visible_from_infrared([(-400.0, -400.0)], math.inf)).all()


def test_behind_the_camera_is_nowhere() -> None:
    """A plane that the infrared camera has in its back has no pixels in it."""
    turned = Pose(rotation_vector=(0.0, math.pi, 0.0), translation_m=(0.1, 0.0, 0.0))
    lenses = Lenses(visible=VISIBLE, infrared=INFRARED, T_visible_from_infrared=turned)
    assert np.isnan(lenses.infrared_from_visible(pixels(VISIBLE), 5.0)).all()
    assert np.isnan(lenses.visible_from_infrared(pixels(INFRARED), 5.0)).all()
    with pytest.raises(
        CalibrationError, match="at 5 m hardly anything is seen by both cameras; check the pose"
    ):
        plane_homography(VISIBLE, INFRARED, turned, 5.0)
