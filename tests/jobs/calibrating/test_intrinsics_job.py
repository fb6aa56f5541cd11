"""`calibrate intrinsics` from pictures to the rig file, and every way it says no."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_views import BOARD, picture_of, random_pose, view_of

from streamfuse.config.rig import CameraConfig, RigConfig, load_rig_config
from streamfuse.errors import CalibrationError, OutputError, SourceError, StreamfuseError, UsageError
from streamfuse.frames import StreamName
from streamfuse.geometry.boards.board import Board
from streamfuse.geometry.camera import Camera
from streamfuse.io.rig_file import write_rig_config
from streamfuse.jobs.calibrating.intrinsics import Intrinsics, IntrinsicsResult, calibrate_intrinsics

CAMERA = Camera(size_wh=(640, 480), fx=700, fy=700, cx=315, cy=244)
BEFORE = RigConfig(infrared=CameraConfig(size_wh=(320, 256)), time_offset_ms=12.5)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight pictures of a chessboard, tilted to all sides, and one of nothing."""
    folder = tmp_path_factory.mktemp("board")
    rng = np.random.default_rng(11)
    count = 0
    while count < 8:
        pose = random_pose(CAMERA, rng, share=(0.35, 0.6))
        view = view_of(CAMERA, pose, rng=rng)
        if view is None or (view.pixels < 50).any() or (view.pixels > (590, 430)).any():
            continue
        cv2.imwrite(str(folder / f"{count:02}.png"), picture_of(CAMERA, pose))
        count += 1
    cv2.imwrite(str(folder / "wall.png"), np.full((48, 64), 128, np.uint8))
    return folder


def job(
    *images: Path, out: Path, camera: StreamName = StreamName.VISIBLE, board: Board = BOARD
) -> Intrinsics:
    """What the command would ask for."""
    return Intrinsics(images=tuple(map(str, images)), camera=camera, board=board, out=out)


def refused(asked: Intrinsics) -> StreamfuseError:
    """The error, after making sure that the rig file is as it was."""
    before = asked.out.read_bytes() if asked.out.exists() else None
    with pytest.raises(StreamfuseError) as caught:
        calibrate_intrinsics(asked)
    assert (asked.out.read_bytes() if asked.out.exists() else None) == before
    return caught.value


@pytest.fixture(scope="session")
def result(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> IntrinsicsResult:
    """The calibration of these pictures, in a file that was there."""
    out = tmp_path_factory.mktemp("rig") / "rig.yaml"
    write_rig_config(out, BEFORE)
    return calibrate_intrinsics(job(pictures, out=out))


def test_pictures_become_a_lens_in_the_rig_file(result: IntrinsicsResult) -> None:
    """Within 0.3 % and 0.2 px, with where it is from."""
    camera = load_rig_config(result.out).visible
    assert camera is not None
    assert camera.intrinsics is not None
    assert camera.made_by is not None
    assert camera.intrinsics.fx == pytest.approx(CAMERA.fx, rel=0.003)
    assert result.calibration.rms_px < 0.2
    assert camera.size_wh == CAMERA.size_wh
    assert camera.made_by.board == BOARD.spec
    assert len(camera.made_by.images_used) == 8
    assert camera.made_by.uncertainty["fx"] > 0
    assert camera.made_by.residuals["rms_px"] == pytest.approx(result.calibration.rms_px, rel=1e-3)
    assert result.empty == {"wall.png": "no board was found"}


def test_every_picture_is_in_the_rig_file(result: IntrinsicsResult) -> None:
    """A row for each, why one was not used, and where in the picture corners are off."""
    camera = load_rig_config(result.out).visible
    assert camera is not None
    note = camera.made_by
    assert note is not None
    assert [each.name for each in note.pictures] == [view.name for view in result.calibration.views]
    assert all(each.corners == 54 and each.worst_px is not None for each in note.pictures)
    assert note.images_left_out == {"wall.png": "no board was found"}
    assert note.coverage == pytest.approx(result.calibration.coverage, abs=0.001)
    assert note.residual_map is not None
    kept = sum(int(view.kept.sum()) for view in result.calibration.used)
    assert sum(map(sum, note.residual_map.corners)) == kept
    assert "    - {name: 00.png, corners: 54, rms_px: " in result.out.read_text()


def test_the_file_keeps_what_is_not_measured(result: IntrinsicsResult) -> None:
    """A lens of the other camera, and a time offset."""
    grown = load_rig_config(result.out)
    assert grown.time_offset_ms == BEFORE.time_offset_ms
    assert grown.infrared == BEFORE.infrared
    assert grown.visible is not None


def test_pictures_of_two_places_are_told_apart(pictures: Path, tmp_path: Path) -> None:
    """Single pictures and folders may be mixed; names stay unique."""
    folder = tmp_path / "few"
    folder.mkdir()
    singles = sorted(pictures.glob("0*.png"))
    for path in singles[:4]:
        (folder / path.name).symlink_to(path)
    found = calibrate_intrinsics(job(folder, *singles[3:6], out=tmp_path / "rig.yaml"))
    names = [view.name for view in found.calibration.views]
    assert len(names) == 7
    assert {"few/03.png", "03.png"} <= set(names)


def test_a_miscounted_board_is_recognised(pictures: Path, tmp_path: Path) -> None:
    """Squares counted in place of inner corners: the answer is what to write, where two pictures agree.

    The rim makes the first picture look like a 10x6, which no other one shows.
    """
    paths = sorted(pictures.glob("0[0-2].png"))
    wrong = job(*paths, out=tmp_path / "r.yaml", board=replace(BOARD, columns=10, rows=7))
    told: list[str] = []
    with pytest.raises(CalibrationError) as caught:
        calibrate_intrinsics(wrong, on_progress=lambda _done, _total, note: told.append(note))
    error = caught.value
    assert "looking for another board in 00.png" in told
    assert isinstance(error, CalibrationError)
    assert "a chessboard:9x6:23.1mm is there; give --board chessboard:9x6:23.1mm" in str(error)


def test_no_board_anywhere_is_refused(pictures: Path, tmp_path: Path) -> None:
    """With what to look at."""
    error = refused(job(pictures / "wall.png", out=tmp_path / "rig.yaml"))
    assert isinstance(error, CalibrationError)
    assert "no chessboard:9x6:23.1mm was found in any of 1 pictures" in str(error)
    assert "count its columns and rows" in str(error)


def test_mixed_sizes_are_refused(pictures: Path, tmp_path: Path) -> None:
    """A picture of another resolution among the others."""
    whole = np.asarray(cv2.imread(str(pictures / "03.png")))
    half = cv2.resize(whole, (320, 240), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(tmp_path / "half.png"), half)
    others = (pictures / "03.png", pictures / "04.png")
    error = refused(job(*others, tmp_path / "half.png", out=tmp_path / "rig.yaml"))
    assert "2 of 640x480, 1 of 320x240; half.png" in str(error)


def test_thermal_pictures_are_no_visible_ones(data_dir: Path, tmp_path: Path) -> None:
    """Sixteen bits under --camera visible: the cameras are swapped."""
    folder = data_dir / "calibration" / "heated_chessboard" / "infrared"
    error = refused(job(folder / "000000047.png", out=tmp_path / "rig.yaml"))
    assert isinstance(error, UsageError)
    assert "the cameras seem swapped" in str(error)


def test_the_size_of_the_other_camera_is_suspicious(pictures: Path, tmp_path: Path) -> None:
    """The rig file says that infrared pictures have that size, and visible ones another."""
    out = tmp_path / "rig.yaml"
    write_rig_config(
        out, RigConfig(visible=CameraConfig(size_wh=(1280, 960)), infrared=CameraConfig(size_wh=(640, 480)))
    )
    error = refused(job(pictures, out=out))
    assert isinstance(error, UsageError)
    assert "use --camera infrared" in str(error)


def test_a_rig_of_other_sizes_is_refused(pictures: Path, tmp_path: Path) -> None:
    """The file is for pictures of another size."""
    out = tmp_path / "rig.yaml"
    write_rig_config(out, RigConfig(visible=CameraConfig(size_wh=(800, 600))))
    assert "800x600, got 640x480" in str(refused(job(pictures, out=out)))


def test_what_cannot_be_written_is_told_before_the_work(pictures: Path, tmp_path: Path) -> None:
    """A file in place of the folder."""
    (tmp_path / "file").touch()
    assert isinstance(refused(job(pictures, out=tmp_path / "file" / "rig.yaml")), OutputError)


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    """By its name."""
    error = refused(job(tmp_path / "nowhere", out=tmp_path / "rig.yaml"))
    assert isinstance(error, SourceError)
    assert "nowhere" in str(error)


def test_a_camera_stands_alone(tmp_path: Path) -> None:
    """Live pictures and recordings are not mixed."""
    with pytest.raises(UsageError, match="taken on its own"):
        Intrinsics(
            images=("rtsp://127.0.0.1:1/x", "folder"),
            camera=StreamName.VISIBLE,
            board=BOARD,
            out=tmp_path / "rig.yaml",
        )


def test_an_unreadable_picture_is_left_out_with_its_reason(pictures: Path, tmp_path: Path) -> None:
    """As long as there are others; the lens of the other camera is known in the end."""
    folder = tmp_path / "day"
    folder.mkdir()
    for path in sorted(pictures.glob("0*.png")):
        (folder / path.name).symlink_to(path)
    cv2.imwrite(str(folder / "alpha.png"), np.zeros((48, 64, 4), np.uint8))
    (folder / "cut.png").write_bytes(b"\x89PNG")
    out = tmp_path / "rig.yaml"
    found = calibrate_intrinsics(job(folder, out=out))
    assert found.unreadable.keys() == {"alpha.png", "cut.png"}
    camera = load_rig_config(out).visible
    assert camera is not None
    assert camera.made_by is not None
    assert "channels" in camera.made_by.images_left_out["alpha.png"]
    assert not found.has_other
    assert calibrate_intrinsics(job(folder, out=out, camera=StreamName.INFRARED)).has_other


def test_pictures_of_which_none_can_be_read_are_refused(tmp_path: Path) -> None:
    """With the reason of the first."""
    (tmp_path / "a.png").write_bytes(b"no picture")
    error = refused(job(tmp_path, out=tmp_path / "rig.yaml"))
    assert isinstance(error, SourceError)
    assert "no picture of 1 can be read; a.png is no whole image" in str(error)
