"""``calibrate time`` from recordings to a rig file."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamfuse.config.rig import CameraConfig, MadeBy, PlaneConfig, RigConfig
from streamfuse.errors import CalibrationError, SourceError, UsageError
from streamfuse.io.rig_file import read_rig_config, write_rig_config
from streamfuse.io.synthetic.spec import StreetSpec
from streamfuse.io.synthetic.street import Street
from streamfuse.jobs.calibrating.time import Time, calibrate_time


def _clip(data_dir: Path, name: str, out: Path) -> Time:
    video = data_dir / "m3svd" / "video"
    return Time(visible=str(video / "visible" / name), infrared=str(video / "infrared" / name), out=out)


def _street(seed: int) -> str:
    return f"synthetic://street?seed={seed}&light=day&size=160x120&fps=10&duration=6&skew_ms=37"


def _registered(matrix: list[list[float]], size_wh: tuple[int, int]) -> RigConfig:
    camera = CameraConfig(size_wh=size_wh)
    plane = PlaneConfig.model_validate({"distance_m": float("inf"), "H_visible_from_infrared": matrix})
    return RigConfig(visible=camera, infrared=camera, planes=(plane,))


@pytest.fixture(scope="session")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rig file that registers the drawn street, with notes of its own."""
    matrix = Street(StreetSpec.from_uri(_street(1))).H_visible_from_infrared
    note = MadeBy.model_validate({"tool": "streamfuse", "residuals": {"rms_px": 0.5}, "who": "a person"})
    path = tmp_path_factory.mktemp("street") / "rig.yaml"
    write_rig_config(path, _registered(matrix.tolist(), (160, 120)).grown(made_by=note))
    return path


def test_an_offset_joins_what_the_rig_file_holds(street: Path, tmp_path: Path) -> None:
    """The file's registration is used; the offset and its note are all that changes, twice as once."""
    out = tmp_path / "rig.yaml"
    out.write_bytes(street.read_bytes())
    before = read_rig_config(out)
    assert before is not None
    assert before.made_by is not None
    for _ in range(2):
        # The street says honest times: nothing must be added, whatever the skew.
        result = calibrate_time(Time(visible=_street(1), infrared=_street(1), out=out))
        low, high = result.shift.interval_ms
        assert low <= 0 <= high
        assert result.shift.displacement == (0.0, 0.0), "registered pictures are not displaced"
        rig = read_rig_config(out)
        assert rig is not None
        assert rig.made_by is not None
        assert rig.time_offset_ms == pytest.approx(result.shift.offset_ms, abs=0.01)
        extra = rig.made_by.model_extra or {}
        assert extra["time_offset"]["uncertainty"]["time_offset_ms"] > 0
        assert extra["who"] == "a person"
        alone = {name: value for name, value in rig.made_by.model_dump().items() if name != "time_offset"}
        assert alone == before.made_by.model_dump()
        assert rig.grown(time_offset_ms=0.0, made_by=before.made_by) == before


def test_without_a_registration_it_is_said_what_to_do(tmp_path: Path) -> None:
    """The offset is given with an honest, wide interval, and the advice to register first."""
    out = tmp_path / "rig.yaml"
    result = calibrate_time(Time(visible=_street(1), infrared=_street(1), out=out))
    assert result.shift.displacement != (0.0, 0.0)
    assert result.shift.spread_ms >= 7
    assert any("calibrate align" in note for note in result.notes)


def test_a_rig_for_other_sizes_is_refused_and_kept(data_dir: Path, tmp_path: Path) -> None:
    """Sizes are checked before anything is written."""
    out = tmp_path / "rig.yaml"
    write_rig_config(out, RigConfig(infrared=CameraConfig(size_wh=(320, 256))))
    before = out.read_text(encoding="utf-8")
    with pytest.raises(UsageError, match="320x256"):
        calibrate_time(_clip(data_dir, "0111_1716.mp4", out))
    assert out.read_text(encoding="utf-8") == before


def test_recordings_of_different_scenes_are_refused(street: Path, tmp_path: Path) -> None:
    """Nothing in common: the file stays as it was."""
    out = tmp_path / "rig.yaml"
    out.write_bytes(street.read_bytes())
    with pytest.raises(CalibrationError):
        calibrate_time(Time(visible=_street(1), infrared=_street(2), out=out))
    assert out.read_bytes() == street.read_bytes()


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    """A name that is none, before anything is read."""
    with pytest.raises(SourceError, match=r"infrared: .*none.mp4: there is no such file or folder"):
        calibrate_time(Time(visible=_street(1), infrared=str(tmp_path / "none.mp4"), out=tmp_path / "r.yaml"))


@pytest.mark.slow
def test_a_registered_clip_is_synchronous_to_a_frame(data_dir: Path, tmp_path: Path) -> None:
    """A real clip with smoke, whose pictures lie on each other; the rig file says so."""
    out = tmp_path / "rig.yaml"
    write_rig_config(out, _registered([[1, 0, 0], [0, 1, 0], [0, 0, 1]], (640, 480)))
    result = calibrate_time(_clip(data_dir, "0117_1605.mp4", out))
    assert abs(result.shift.offset_ms) < 34
    assert any("begins at its first frame" in note for note in result.notes)


def test_a_live_camera_is_told_what_to_do(tmp_path: Path) -> None:
    """Offsets of live cameras are measured while they run."""
    with pytest.raises(UsageError, match="record 20 s"):
        Time(visible="rtsp://camera/1", infrared="rtsp://camera/2", out=tmp_path / "rig.yaml")
