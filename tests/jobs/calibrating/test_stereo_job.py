"""`calibrate stereo` from pairs of pictures to the rig file, and exchanged cameras."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_views import BOARD, INFRARED, VISIBLE, pairs_of

from streamfuse.config.rig import RigConfig, load_rig, load_rig_config
from streamfuse.errors import UsageError
from streamfuse.frames import StreamName
from streamfuse.geometry.rig import RigGeometry
from streamfuse.io.images import read_image
from streamfuse.io.rig_file import write_rig_config
from streamfuse.jobs.calibrating.seeking import Sought, looks_of
from streamfuse.jobs.calibrating.stereo import Stereo, StereoResult, calibrate_pair, parse_distances
from streamfuse.jobs.calibrating.suspicion import check_lenses, check_looks


@pytest.fixture(scope="session")
def heated(data_dir: Path) -> Path:
    """Eight poses of a heated chessboard, in a folder for each camera."""
    return data_dir / "calibration" / "heated_chessboard"


@pytest.fixture(scope="session")
def result(heated: Path, tmp_path_factory: pytest.TempPathFactory) -> StereoResult:
    """The rig of the heated chessboard, made from nothing else."""
    out = tmp_path_factory.mktemp("rig") / "rig.yaml"
    return calibrate_pair(
        Stereo(visible=str(heated / "visible"), infrared=str(heated / "infrared"), board=BOARD, out=out)
    )


def test_real_pairs_give_a_rig(result: StereoResult) -> None:
    """Within 1 px RMS, from at least five pairs; cameras a hand's width apart that look the same way."""
    found = result.calibration
    assert found.rms_px <= 1
    assert len(found.used) >= 5
    assert 0.03 < found.T_visible_from_infrared.distance_m < 0.2
    assert found.T_visible_from_infrared.angle_deg < 15
    assert found.infrared.rms_px <= 0.6


def test_the_rig_file_runs(result: StereoResult) -> None:
    """It has lenses, the pose and three planes, and registers what the board showed."""
    config = load_rig_config(result.out)
    assert [plane.distance_m for plane in config.planes] == [math.inf, 10, 5]
    assert config.T_visible_from_infrared is not None
    assert config.T_visible_from_infrared.made_by is not None
    assert config.T_visible_from_infrared.made_by.images_used == tuple(
        p.name for p in result.calibration.used
    )
    rig = RigGeometry.of(load_rig(result.out))
    assert rig.lenses is not None
    middle = rig.visible_from_infrared([(320, 240)], 10.0)[0]
    assert (middle > 0).all()
    assert (middle < (1280, 960)).all()


def test_the_rig_file_tells_what_it_is_worth(result: StereoResult) -> None:
    """Each pair with what it contributes and how it was predicted; far away, less is known than near."""
    config = load_rig_config(result.out)
    pose, held = config.T_visible_from_infrared, result.calibration.held_out
    assert held is not None
    assert pose is not None
    assert pose.made_by is not None
    rows = {each.name: each for each in pose.made_by.pictures}
    assert rows.keys() == {pair.name for pair in result.calibration.pairs}
    for pair in result.calibration.pairs:
        assert (rows[pair.name].held_out_px is None) == bool(pair.left_out)
    assert config.residual_px == pytest.approx(held.median_px, abs=1e-3)
    assert result.calibration.rms_px < held.median_px < 4
    known = [plane.made_by.uncertainty["registration_px"] for plane in config.planes if plane.made_by]
    assert known == sorted(known, reverse=True)
    assert known[-1] > held.median_px
    assert any("held out" in note for note in result.notes)


def test_everything_is_in_the_json(result: StereoResult) -> None:
    """Down to each corner of each picture."""
    told = result.as_dict()
    assert told["baseline_m"] == pytest.approx(result.calibration.T_visible_from_infrared.distance_m)
    assert len(told["infrared"]["views"]) >= 6
    assert len(told["infrared"]["views"][0]["residuals_px"]) == 54
    assert told["planes_m"] == ["inf", 10.0, 5.0]
    assert told["without_board"].keys() == {"visible", "infrared"}
    assert told["held_out"]["registration_px"].keys() == {"inf", "10", "5"}


def test_exchanged_folders_are_recognised(heated: Path, tmp_path: Path) -> None:
    """16-bit pictures under --visible; nothing is written."""
    out = tmp_path / "rig.yaml"
    job = Stereo(visible=str(heated / "infrared"), infrared=str(heated / "visible"), board=BOARD, out=out)
    one = Stereo(
        visible=str(heated / "infrared" / "000000047.png"),
        infrared=str(heated / "visible" / "000000047.png"),
        board=BOARD,
        out=out,
    )
    assert not job.is_live
    with pytest.raises(UsageError, match="the cameras seem swapped"):
        calibrate_pair(one)
    assert not out.exists()


def test_exchanged_sizes_are_recognised(heated: Path, tmp_path: Path) -> None:
    """The rig file has both sizes, the other way round."""
    out = tmp_path / "rig.yaml"
    write_rig_config(
        out,
        RigConfig().sized(visible_wh=(640, 480), infrared_wh=(1280, 960)),
    )
    before = out.read_bytes()
    job = Stereo(
        visible=str(heated / "visible" / "000000047.png"),
        infrared=str(heated / "infrared" / "000000047.png"),
        board=BOARD,
        out=out,
    )
    with pytest.raises(UsageError, match="swapped"):
        calibrate_pair(job)
    assert out.read_bytes() == before


def test_lenses_that_fit_the_other_way_round_are_recognised() -> None:
    """Cameras of one size: the lenses in the rig file tell them apart."""
    half = VISIBLE.resized(INFRARED.size_wh)
    visible = Sought(stream=StreamName.VISIBLE, board=BOARD)
    infrared = Sought(stream=StreamName.INFRARED, board=BOARD)
    for name, (large, other) in pairs_of(12).items():
        visible.views[name] = replace(large, size_wh=half.size_wh, pixels=(large.pixels + 0.5) / 2 - 0.5)
        infrared.views[name] = other
    check_lenses(visible, infrared, (half, INFRARED))
    with pytest.raises(UsageError, match="seem swapped"):
        check_lenses(visible, infrared, (INFRARED, half))


def test_grey_and_colour_the_wrong_way_round_are_recognised() -> None:
    """Visible pictures all grey, infrared ones in colour."""
    visible = Sought(stream=StreamName.VISIBLE, board=BOARD, looks={"gray"})
    infrared = Sought(stream=StreamName.INFRARED, board=BOARD, looks={"colour"})
    with pytest.raises(UsageError, match="seem swapped"):
        check_looks(visible, infrared)
    infrared.looks = {"gray"}
    check_looks(visible, infrared)


def test_grey_in_three_channels_is_grey(tmp_path: Path) -> None:
    """What counts is the colour, not the file."""
    rng = np.random.default_rng(0)
    gray = rng.integers(0, 256, (60, 80), np.uint8)
    cv2.imwrite(str(tmp_path / "gray.png"), cv2.merge((gray, gray, gray)))
    cv2.imwrite(str(tmp_path / "colour.png"), rng.integers(0, 256, (60, 80, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "deep.png"), gray.astype(np.uint16) * 200)
    looks = [looks_of(read_image(tmp_path / f"{name}.png")) for name in ("gray", "colour", "deep")]
    assert looks == ["gray", "colour", "gray16"]


def test_distances_are_read() -> None:
    """Positive metres, each once."""
    assert parse_distances("inf, 10,5") == (math.inf, 10, 5)
    for wrong in ("0", "10,10", "far", "-3", "nan", ""):
        with pytest.raises(UsageError, match="--planes"):
            parse_distances(wrong)
