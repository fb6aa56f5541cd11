"""A camera from views of a board: as exact as promised, honest about it, and refused where it must be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_views import BOARD, FISHEYE, INFRARED, VISIBLE, shifted, views_of

from streamfuse.errors import CalibrationError
from streamfuse.geometry.boards.board import Board, BoardView
from streamfuse.geometry.calibration.intrinsics import CameraCalibration, calibrate_camera
from streamfuse.geometry.calibration.posing import place_board, pose_of
from streamfuse.geometry.camera import Camera


@pytest.fixture(scope="module")
def solved() -> CameraCalibration:
    """An infrared camera with a strongly bent lens, from 20 views with 0.1 px of noise."""
    return calibrate_camera(views_of(INFRARED, 20))


@pytest.mark.parametrize("camera", [INFRARED, VISIBLE, FISHEYE], ids=["bent", "mild", "fisheye"])
def test_the_focal_length_is_within_a_third_of_a_percent(camera: Camera) -> None:
    """And corners are explained to their noise, 0.1 px in x and y."""
    found = calibrate_camera(views_of(camera, 20, seed=3), model=camera.model)
    assert found.camera.fx == pytest.approx(camera.fx, rel=0.003)
    assert found.camera.fy == pytest.approx(camera.fy, rel=0.003)
    assert found.rms_px == pytest.approx(0.1 * np.sqrt(2), rel=0.1)
    assert found.camera.size_wh == camera.size_wh
    assert len(found.used) == 20


def test_errors_are_within_the_deviations_that_are_told(solved: CameraCalibration) -> None:
    """Of focal length and principal point, none is off by four of its standard deviations."""
    for name in ("fx", "fy", "cx", "cy"):
        error = getattr(solved.camera, name) - getattr(INFRARED, name)
        assert abs(error) < 4 * solved.deviations[name], name


def test_poses_of_the_board_are_found(solved: CameraCalibration) -> None:
    """Within 0.2 degrees and 1 % of the distance."""
    exact = views_of(INFRARED, 20, noise_px=1e-6)
    for view in solved.views:
        truth = pose_of(place_board(INFRARED, exact[view.name])[0])
        off = truth.inverse @ view.board_pose
        assert off.angle_deg < 0.2
        assert (view.board_pose.translation - truth.translation)[2] < 0.01 * truth.distance_m


def test_an_ideal_lens_gets_no_terms_and_a_bent_one_does(solved: CameraCalibration) -> None:
    """The criterion adds what is there, and little else."""
    ideal = Camera(size_wh=(640, 480), fx=600, fy=600, cx=330, cy=250)
    found = calibrate_camera(views_of(ideal, 12, seed=5))
    assert len(found.camera.distortion) in {0, 4}
    assert max(map(abs, found.camera.distortion), default=0) < 0.03
    assert {"k1", "k2", "p1"} <= solved.deviations.keys()


def test_wrong_pictures_and_corners_are_left_out_with_the_reason() -> None:
    """Two blurred or bent boards and four wrong corners change nothing, and are named."""
    views = views_of(INFRARED, 14, seed=2)
    clean = calibrate_camera(views)
    rng = np.random.default_rng(0)
    for name in ("03.png", "08.png"):
        views[name] = shifted(views[name], rng.normal(0, 4, (54, 2)))
    pulled = np.zeros((54, 2))
    pulled[:4] = 6
    views["13.png"] = shifted(views["13.png"], pulled)
    found = calibrate_camera(views)
    told = {view.name: view.left_out for view in found.views if view.left_out}
    assert told.keys() == {"03.png", "08.png"}
    assert "corners are off by more than" in told["03.png"]
    assert np.flatnonzero(~found.views[13].kept).tolist() == [0, 1, 2, 3]
    assert found.camera.fx == pytest.approx(clean.camera.fx, rel=0.003)
    assert found.views[3].rms_px > 2


def test_a_slightly_bent_board_is_told_by_its_rms() -> None:
    """A picture that fits some times worse than the others, in all corners, is left out."""
    views = views_of(INFRARED, 10, seed=4)
    views["04.png"] = shifted(views["04.png"], np.random.default_rng(1).normal(0, 0.45, (54, 2)))
    found = calibrate_camera(views)
    assert [view.name for view in found.views if view.left_out] == ["04.png"]


def test_partial_views_are_as_good() -> None:
    """A ChArUco board need not be whole: each view brings its own corners."""
    views = {
        name: replace(view, ids=view.ids[index % 3 :: 2], pixels=view.pixels[index % 3 :: 2])
        for index, (name, view) in enumerate(views_of(VISIBLE, 15).items())
    }
    found = calibrate_camera(views)
    assert found.camera.fx == pytest.approx(VISIBLE.fx, rel=0.005)


def test_views_of_hardly_any_corners_are_left_out() -> None:
    """A few corners of a cut ChArUco board, or one row of them, tell no pose."""
    views = views_of(VISIBLE, 12)
    for name, corners in (("02.png", slice(0, 5)), ("05.png", slice(0, 9))):
        view = views[name]
        views[name] = replace(view, ids=view.ids[corners], pixels=view.pixels[corners])
    found = calibrate_camera(views)
    told = {view.name: view.left_out for view in found.views if view.left_out}
    assert told.keys() == {"02.png", "05.png"}
    assert told["02.png"] == "only 5 corners were found, or all of them in one line"


def refused(views: dict[str, BoardView]) -> str:
    """What is said about views that do not do."""
    with pytest.raises(CalibrationError) as caught:
        calibrate_camera(views)
    return str(caught.value)


@pytest.mark.parametrize("tilt_deg", [0, 1, 3])
def test_parallel_poses_are_refused(tilt_deg: float) -> None:
    """A board that is never tilted tells no focal length."""
    text = refused(views_of(INFRARED, 12, tilt_deg=tilt_deg))
    assert "poses of the board are parallel" in text
    assert "tilted by 20 to 45 degrees" in text


@pytest.mark.parametrize("count", [1, 3])
def test_too_few_views_are_refused(count: int) -> None:
    """With how many there are, and how many it takes."""
    text = refused(views_of(INFRARED, count))
    assert f"found in {count} picture" in text
    assert "at least 4" in text


def test_a_small_part_of_the_picture_is_refused() -> None:
    """A board far away, always at one place."""
    views = views_of(INFRARED, 40, share=(0.12, 0.14))
    middle = {
        name: view
        for name, view in views.items()
        if np.linalg.norm(view.pixels.mean(axis=0) - (320, 240)) < 120
    }
    assert len(middle) >= 4
    assert "covers only" in refused(middle)


def test_mixed_sizes_are_refused() -> None:
    """The counts of each size are told, and one picture of the few."""
    views = views_of(INFRARED, 6)
    views["odd.png"] = next(iter(views_of(VISIBLE, 1).values()))
    text = refused(views)
    assert "6 of 640x480, 1 of 1280x960" in text
    assert "odd.png" in text


def test_two_boards_are_refused() -> None:
    """One calibration is of one board."""
    views = views_of(INFRARED, 6)
    views["00.png"] = replace(views["00.png"], board=Board.parse("chessboard:9x6:30mm"))
    assert "different boards" in refused(views)


def test_views_without_agreement_are_refused() -> None:
    """No minority becomes the measure of all."""
    rng = np.random.default_rng(2)
    views = {
        name: shifted(view, rng.normal(0, 8, (54, 2))) if int(name[:2]) % 3 else view
        for name, view in views_of(INFRARED, 12).items()
    }
    text = refused(views)
    assert "agree with each other" in text or "contradict each other" in text


def test_what_is_covered_is_said_in_words() -> None:
    """Views of the left half only leave the right one open."""
    views = {name: view for name, view in views_of(VISIBLE, 60).items() if view.pixels[:, 0].max() < 700}
    found = calibrate_camera(views)
    assert {"upper right", "right", "lower right"} <= set(found.missing)
    assert "left" not in found.missing
    assert 0.2 < found.coverage < 0.6
    assert next(iter(views.values())).board == BOARD
