"""``calibrate time`` from recordings to a rig file."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamfuse.config.rig import CameraConfig, RigConfig
from streamfuse.errors import CalibrationError, UsageError
from streamfuse.io.rig_file import read_rig_config, write_rig_config
from streamfuse.jobs.calibrating.time import Time, calibrate_time


def _clip(data_dir: Path, name: str, out: Path) -> Time:
    video = data_dir / "m3svd" / "video"
    return Time(visible=str(video / "visible" / name), infrared=str(video / "infrared" / name), out=out)


@pytest.mark.slow
def test_an_offset_joins_what_the_rig_file_holds(data_dir: Path, tmp_path: Path) -> None:
    """The file keeps its free notes, and gets the offset with its uncertainty."""
    out = tmp_path / "rig.yaml"
    write_rig_config(out, RigConfig.model_validate({"made_by": {"who": "a person"}}))
    result = calibrate_time(_clip(data_dir, "0117_1605.mp4", out))
    rig = read_rig_config(out)
    assert rig is not None
    assert rig.time_offset_ms == pytest.approx(result.shift.offset_ms, abs=0.01)
    assert abs(rig.time_offset_ms) < 34, "the clip is synchronous to a frame"
    assert rig.made_by is not None
    assert rig.made_by.model_extra is not None
    assert rig.made_by.model_extra["who"] == "a person"
    assert rig.made_by.model_extra["time_offset"]["uncertainty"]["time_offset_ms"] > 0


def test_a_rig_for_other_sizes_is_refused_and_kept(data_dir: Path, tmp_path: Path) -> None:
    """Sizes are checked before anything is written."""
    out = tmp_path / "rig.yaml"
    write_rig_config(out, RigConfig(infrared=CameraConfig(size_wh=(320, 256))))
    before = out.read_text(encoding="utf-8")
    with pytest.raises(UsageError, match="320x256"):
        calibrate_time(_clip(data_dir, "0111_1716.mp4", out))
    assert out.read_text(encoding="utf-8") == before


@pytest.mark.slow
def test_recordings_of_different_scenes_are_refused(data_dir: Path, tmp_path: Path) -> None:
    """Nothing in common: nothing written."""
    out = tmp_path / "rig.yaml"
    video = data_dir / "m3svd" / "video"
    job = Time(
        visible=str(video / "visible" / "0117_1605.mp4"),
        infrared=str(video / "infrared" / "0117_1620.mp4"),
        out=out,
    )
    with pytest.raises(CalibrationError):
        calibrate_time(job)
    assert not out.exists()


def test_a_live_camera_is_told_what_to_do(tmp_path: Path) -> None:
    """Offsets of live cameras are measured while they run."""
    with pytest.raises(UsageError, match="record 20 s"):
        Time(visible="rtsp://camera/1", infrared="rtsp://camera/2", out=tmp_path / "rig.yaml")
