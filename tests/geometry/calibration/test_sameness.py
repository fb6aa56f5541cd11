"""Pictures of one pose count once, and given lenses are not exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_views import BOARD, INFRARED, VISIBLE, pairs_of, shifted, views_of

from streamfuse.errors import CalibrationError
from streamfuse.geometry.boards.board import BoardView
from streamfuse.geometry.calibration.intrinsics import calibrate_camera
from streamfuse.geometry.calibration.sameness import copies_among
from streamfuse.geometry.calibration.stereo import calibrate_stereo

EXACT: dict[str, float] = {}


def jittered(view: BoardView, rng: np.random.Generator) -> BoardView:
    """The next frame of a camera that saw the same."""
    return shifted(view, rng.normal(0, 0.1, view.pixels.shape))


def test_twelve_copies_of_a_pair_are_one_pose() -> None:
    """Given lenses or not, the answer is that more poses are needed."""
    rng = np.random.default_rng(4)
    visible, infrared = pairs_of(1)["00.png"]
    pairs = {f"{n:02}": (jittered(visible, rng), jittered(infrared, rng)) for n in range(12)}
    with pytest.raises(CalibrationError, match=r"12 pairs, but in only 1 different pose, at least 3"):
        calibrate_stereo(pairs, visible=VISIBLE, infrared=INFRARED)
    with pytest.raises(CalibrationError, match=r"12 pictures, but only 1 different pose, at least 4"):
        calibrate_camera({name: pair[1] for name, pair in pairs.items()})


def test_frames_of_a_held_board_make_a_lens_no_surer() -> None:
    """The copies are listed with their reason, and the deviations are those without them."""
    rng = np.random.default_rng(5)
    views = views_of(INFRARED, 8)
    held = views | {f"again {n}": jittered(views["03.png"], rng) for n in range(20)}
    alone, found = calibrate_camera(views), calibrate_camera(held)
    assert {view.left_out for view in found.views if view.name.startswith("again")} == {
        "the same pose as 03.png"
    }
    assert found.deviations == alone.deviations
    assert len(found.used) == len(alone.used)


def test_a_copied_pair_is_listed() -> None:
    """Once, not for each camera."""
    pairs = pairs_of(8)
    found = calibrate_stereo(pairs | {"x": pairs["02.png"]}, visible=VISIBLE, infrared=INFRARED)
    assert {pair.name: pair.left_out for pair in found.pairs}["x"] == "the same pose as 02.png"
    assert len(found.used) == 8


def test_a_pair_is_a_copy_only_if_both_cameras_say_so() -> None:
    """A board may be counted from its other end; one that moved in a picture is another moment."""
    visible, infrared = pairs_of(1)["00.png"]
    turned = visible.turned(BOARD.turns[1])
    same = copies_among({"a": (visible, infrared), "b": (turned, infrared), "c": (visible, None)})
    assert same == {"b": "the same pose as a", "c": "the same pose as a"}
    assert not copies_among({"a": (visible, infrared), "b": (visible, shifted(infrared, (2, 0)))})
    assert not copies_among({"a": (visible, None), "b": (None, infrared)})


def test_the_limit_grows_with_the_picture_and_bears_a_wrong_corner() -> None:
    """1 px of 640 is 2 px of 1280."""
    small, large = views_of(INFRARED, 1)["00.png"], views_of(VISIBLE, 1)["00.png"]
    wrong = small.pixels.copy()
    wrong[7] += 30
    assert copies_among({"a": (small,), "b": (replace(small, pixels=wrong),)})
    assert copies_among({"a": (large,), "b": (shifted(large, (1.5, 0)),)})
    assert not copies_among({"a": (small,), "b": (shifted(small, (1.5, 0)),)})


def test_the_uncertainty_of_a_given_lens_reaches_the_pose_and_the_registration() -> None:
    """A principal point that is open by 5 px of 768 turns the camera by 0.37 degrees."""
    pairs = pairs_of(8)
    exact = calibrate_stereo(pairs, visible=VISIBLE, infrared=INFRARED)
    open_ = calibrate_stereo(
        pairs, visible=VISIBLE, infrared=INFRARED, uncertainty=(EXACT, {"cx": 5.0, "fx": 1.0, "fy": 1.0})
    )
    assert exact.rotation_deviation_deg < 0.1
    assert open_.rotation_deviation_deg == pytest.approx(np.degrees(5 / INFRARED.fx), rel=0.3)
    assert open_.T_visible_from_infrared == exact.T_visible_from_infrared
    assert open_.held_out is not None
    assert exact.held_out is not None
    near = [found.held_out.registration_px(1.0) for found in (exact, open_) if found.held_out is not None]
    assert near[0] is not None
    assert near[1] is not None
    assert near[1] > near[0]
