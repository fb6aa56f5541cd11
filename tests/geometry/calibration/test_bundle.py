"""Bundle adjustment: its derivatives are right, it finds the minimum, and its covariance tells the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_views import BOARD, FISHEYE, INFRARED, RIG, VISIBLE, view_of, views_of

from streamfuse.geometry.calibration.bundle import Bundle, Observation, adjust, residuals
from streamfuse.geometry.calibration.fit import observe
from streamfuse.geometry.calibration.lens import BASE, columns, numbers_of, project, with_numbers
from streamfuse.geometry.calibration.posing import first_camera, place_board
from streamfuse.geometry.calibration.posing import numbers_of as pose_numbers
from streamfuse.geometry.camera import Camera
from streamfuse.geometry.pose import Pose

POSE = np.array([0.3, -0.2, 0.1, -0.05, -0.04, 0.5])


@pytest.mark.parametrize("camera", [INFRARED, FISHEYE, VISIBLE], ids=lambda camera: camera.model)
def test_derivatives_are_those_of_the_pixels(camera: Camera) -> None:
    """By the pose and by the lens, they agree with differences."""
    _, by_pose, by_lens = project(camera, POSE, BOARD.points)
    step = 1e-6
    for axis in range(6):
        moved = POSE + step * np.eye(6)[axis]
        difference = project(camera, moved, BOARD.points)[0] - project(camera, POSE, BOARD.points)[0]
        np.testing.assert_allclose(by_pose[:, axis], difference.ravel() / step, rtol=1e-3, atol=1e-2)
    numbers = numbers_of(camera)
    for term in range(len(numbers)):
        moved_camera = with_numbers(camera, numbers + step * np.eye(len(numbers))[term])
        difference = project(moved_camera, POSE, BOARD.points)[0] - project(camera, POSE, BOARD.points)[0]
        np.testing.assert_allclose(by_lens[:, term], difference.ravel() / step, rtol=1e-3, atol=1e-2)


def test_one_focal_length_moves_both() -> None:
    """The term ``f`` is fx and fy together."""
    moved = numbers_of(INFRARED) + columns(INFRARED, BASE) @ (2.0, 0, 0)
    assert (moved - numbers_of(INFRARED))[:4].tolist() == [2, 2, 0, 0]


def test_it_goes_back_to_the_truth_of_both_cameras() -> None:
    """From a start that is off in everything, exact corners give exact cameras and their pose."""
    rng = np.random.default_rng(1)
    views = views_of(INFRARED, 8, noise_px=0)
    poses = np.array([place_board(INFRARED, view)[0] for view in views.values()])
    seen: list[Observation] = []
    for index, view in enumerate(views.values()):
        seen.append(observe(view, pose=index, camera=1))
        other = view_of(
            VISIBLE,
            RIG @ Pose(rotation_vector=tuple(poses[index, :3]), translation_m=tuple(poses[index, 3:])),
            rng=rng,
            noise_px=0,
        )
        if other is not None:
            seen.append(observe(other, pose=index, camera=0))
    off = replace(INFRARED, fx=800.0, fy=800.0, cx=320.0, distortion=(-0.4, 0.1, 0, 0))
    start = Bundle(
        cameras=(VISIBLE, off),
        poses=poses + rng.normal(0, 0.01, poses.shape),
        offset=pose_numbers(RIG) + 0.01,
    )
    free = {1: ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2")}
    found = adjust(start, seen, free=free)
    assert found.cost < 1e-9
    np.testing.assert_allclose(numbers_of(found.bundle.cameras[1])[:8], numbers_of(INFRARED)[:8], rtol=1e-5)
    assert found.bundle.offset is not None
    np.testing.assert_allclose(found.bundle.offset, pose_numbers(RIG), atol=1e-7)
    assert found.bundle.cameras[0].fx == VISIBLE.fx


def test_the_covariance_tells_how_far_results_scatter() -> None:
    """Errors in units of their standard deviation have a mean square of one."""
    ideal = replace(INFRARED, fy=INFRARED.fx, distortion=())
    ratios = []
    for seed in range(25):
        views = views_of(ideal, 5, seed=seed, noise_px=0.5)
        start = Bundle(cameras=(ideal,), poses=np.array([place_board(ideal, v)[0] for v in views.values()]))
        seen = [observe(view, pose=index) for index, view in enumerate(views.values())]
        found = adjust(start, seen, free={0: BASE})
        camera = found.bundle.cameras[0]
        error = np.array([camera.fx - ideal.fx, camera.cx - ideal.cx, camera.cy - ideal.cy])
        ratios.append(error / (0.5 * np.sqrt(np.diag(found.covariance))))
    assert 0.6 < np.mean(np.square(ratios)) < 1.5


def test_a_wrong_corner_does_not_pull_a_robust_fit() -> None:
    """One corner, 30 pixels off, moves least squares by far more than Cauchy's loss."""
    view = next(iter(views_of(INFRARED, 1, noise_px=0).values()))
    truth = place_board(INFRARED, view)[0]
    view.pixels[5] += 30
    start = Bundle(cameras=(INFRARED,), poses=truth[None])
    moved = {
        robust: np.linalg.norm(
            adjust(start, [observe(view, pose=0)], free={}, robust_px=robust).bundle.poses[0] - truth
        )
        for robust in (None, 1.0)
    }
    assert moved[1.0] < moved[None] / 20
    assert np.abs(residuals(start, observe(view, pose=0))[5]).tolist() == pytest.approx([30, 30], abs=1e-3)


@pytest.mark.parametrize("share", [0.3, 1.2, 6.0])
def test_the_first_camera_is_near_enough(share: float) -> None:
    """Within a factor of two of any focal length from wide to tele."""
    camera = Camera(size_wh=(640, 480), fx=640 * share, fy=640 * share, cx=320, cy=240)
    views = list(views_of(camera, 6, noise_px=0.05).values())
    found = first_camera(views, camera.size_wh, "pinhole")
    assert 0.5 < found.fx / camera.fx < 2
