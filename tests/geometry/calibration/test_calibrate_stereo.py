"""The pose between the cameras: exact, unmoved by wrong pairs, and with every corner taken for itself."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from made_views import BOARD, INFRARED, RIG, VISIBLE, pairs_of, shifted, views_of

from streamfuse.errors import CalibrationError
from streamfuse.geometry.calibration.stereo import StereoCalibration, ViewPair, calibrate_stereo
from streamfuse.geometry.pose import Pose


def error_of(found: StereoCalibration) -> tuple[float, float]:
    """Degrees, and part of the baseline."""
    pose = found.T_visible_from_infrared
    off = pose.inverse @ RIG
    return off.angle_deg, float(np.linalg.norm(pose.translation - RIG.translation)) / RIG.distance_m


def test_known_lenses_give_the_pose() -> None:
    """Within 0.2 degrees and 1 % of the baseline; given cameras stay as they are."""
    found = calibrate_stereo(pairs_of(10), visible=VISIBLE, infrared=INFRARED)
    angle_deg, share = error_of(found)
    assert angle_deg < 0.02
    assert share < 0.01
    assert found.rms_px == pytest.approx(0.1 * np.sqrt(2), rel=0.1)
    assert found.visible.camera == VISIBLE
    assert found.infrared.camera == INFRARED
    assert not found.visible.deviations


def test_unknown_lenses_are_found_with_the_pose() -> None:
    """From the same pairs: 0.2 degrees, 1 % of the baseline, 0.3 % of the focal lengths."""
    found = calibrate_stereo(pairs_of(20))
    angle_deg, share = error_of(found)
    assert angle_deg < 0.2
    assert share < 0.01
    assert found.visible.camera.fx == pytest.approx(VISIBLE.fx, rel=0.003)
    assert found.infrared.camera.fx == pytest.approx(INFRARED.fx, rel=0.003)
    assert angle_deg < 4 * found.rotation_deviation_deg
    assert {"fx", "cx", "k1"} <= found.infrared.deviations.keys()


def test_a_board_that_looks_alike_after_half_a_turn_is_no_trouble() -> None:
    """Half of the infrared views count from the other end; together they tell which."""
    straight = calibrate_stereo(pairs_of(8), visible=VISIBLE, infrared=INFRARED)
    turned = calibrate_stereo(pairs_of(8, turned=True), visible=VISIBLE, infrared=INFRARED)
    off = turned.T_visible_from_infrared.inverse @ straight.T_visible_from_infrared
    assert off.angle_deg < 1e-4
    assert not any(pair.left_out for pair in turned.pairs)


def test_an_upside_down_camera_is_found() -> None:
    """Cameras may be rolled by half a turn: the pictures tell, not a habit."""
    upside_down = Pose(rotation_vector=(0, 0, np.pi), translation_m=(0, 0, 0))
    pairs = {}
    for name, (visible, infrared) in pairs_of(8).items():
        last = np.subtract(INFRARED.size_wh, 1)
        flipped = shifted(infrared, last - 2 * infrared.pixels)
        pairs[name] = (visible, flipped)
    found = calibrate_stereo(pairs, visible=VISIBLE)
    off = found.T_visible_from_infrared.inverse @ (RIG @ upside_down)
    assert off.angle_deg < 0.5


def test_wrong_pairs_are_left_out_with_the_reason() -> None:
    """A board that moved between the two pictures, and a bad corner in another."""
    pairs = pairs_of(10)
    clean = calibrate_stereo(pairs)
    pairs["02.png"] = (pairs["02.png"][0], shifted(pairs["02.png"][1], 3))
    one = np.zeros((len(BOARD.points), 2))
    one[7] = 9
    pairs["04.png"] = (pairs["04.png"][0], shifted(pairs["04.png"][1], one))
    found = calibrate_stereo(pairs)
    told = {pair.name: pair.left_out for pair in found.pairs if pair.left_out}
    assert told.keys() == {"02.png"}
    assert "moved between the two pictures" in told["02.png"]
    assert len(found.used) == 9
    off = clean.T_visible_from_infrared.inverse @ found.T_visible_from_infrared
    assert off.angle_deg < 0.1


def test_views_without_a_partner_help_their_own_camera() -> None:
    """The lens is surer with them, and nothing else is asked of them."""
    pairs: dict[str, ViewPair] = dict(pairs_of(6))
    few = calibrate_stereo(pairs)
    pairs |= {f"alone-{name}": (None, view) for name, view in views_of(INFRARED, 14, seed=9).items()}
    more = calibrate_stereo(pairs)
    assert more.infrared.deviations["fx"] < 0.8 * few.infrared.deviations["fx"]
    assert len(more.pairs) == 6


def refused(pairs: dict[str, ViewPair]) -> str:
    """What is said about pairs that do not do."""
    with pytest.raises(CalibrationError) as caught:
        calibrate_stereo(pairs, visible=VISIBLE, infrared=INFRARED)
    return str(caught.value)


def test_two_pairs_are_refused() -> None:
    """With how many there are, and how many it takes."""
    assert "both pictures of 2 pairs, at least 3" in refused(dict(pairs_of(2)))


def test_no_common_picture_is_refused() -> None:
    """Each camera has seen the board, but never at the same moment."""
    pairs: dict[str, ViewPair] = {}
    for name, (visible, infrared) in pairs_of(6).items():
        pairs |= {f"a{name}": (visible, None), f"b{name}": (None, infrared)}
    assert "both pictures of 0 pairs" in refused(pairs)


def test_a_camera_that_saw_no_board_is_named() -> None:
    """Its lens is known, and there is nothing to place it by."""
    pairs: dict[str, ViewPair] = {name: (visible, None) for name, (visible, _) in pairs_of(5).items()}
    assert refused(pairs).startswith("infrared: the board was not found in any picture")


def test_pictures_of_different_moments_are_refused() -> None:
    """The partner of each picture is the next one's."""
    pairs = pairs_of(8)
    mixed = {name: (pairs[name][0], pairs[other][1]) for name, other in pairwise(pairs)}
    assert "must be of one moment" in refused(dict(mixed))


def test_it_says_which_camera_cannot_be_solved_for() -> None:
    """Too few infrared views for its lens."""
    pairs: dict[str, ViewPair] = dict(pairs_of(3))
    with pytest.raises(CalibrationError, match=r"^infrared: the board was found in 3 pictures"):
        calibrate_stereo(pairs, visible=VISIBLE)
