"""`streamfuse calibrate intrinsics` and `stereo`: what people and programs are told."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamfuse.cli.calibrate.group import app
from streamfuse.errors import CalibrationError, UsageError

BOARD = "chessboard:9x6:23.1mm"


def run(*arguments: str) -> tuple[str, BaseException | None]:
    """Standard output, and the error that becomes the exit code."""
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "160"})
    return result.stdout, result.exception


@pytest.fixture
def infrared(data_dir: Path) -> Path:
    """Pictures of a heated chessboard."""
    return data_dir / "calibration" / "heated_chessboard" / "infrared"


def test_intrinsics_tells_pictures_numbers_and_what_is_next(infrared: Path, tmp_path: Path) -> None:
    """A row for each picture, the lens with its uncertainty, then sentences."""
    out = tmp_path / "rig.yaml"
    arguments = ["--camera", "infrared", "--board", BOARD, "--out", str(out)]
    for name in sorted(infrared.glob("*.png"))[1:6]:
        arguments += ["--images", str(name)]
    text, error = run("intrinsics", *arguments)
    assert error is None
    assert "000000047.png" in text
    assert "focal length, px" in text
    assert "± 1 sigma" in text
    assert "Next: the same for the visible camera, then `streamfuse calibrate stereo`" in text
    assert out.exists()


def test_json_is_for_programs(infrared: Path, tmp_path: Path) -> None:
    """Standard output holds nothing else. Of the heated board at least 6 of 8 are used, at 0.6 px RMS."""
    arguments = ("--camera", "infrared", "--board", BOARD, "--out", str(tmp_path / "rig.yaml"), "--json")
    text, error = run("intrinsics", "--images", str(infrared), *arguments)
    assert error is None
    told = json.loads(text)
    assert told["camera"] == "infrared"
    assert told["uncertainty"]["fx"] > 0
    assert told["fx"] == pytest.approx(1070, rel=0.05)
    assert told["rms_px"] <= 0.6
    assert sum(not view["left_out"] for view in told["views"]) >= 6
    assert {view["name"] for view in told["views"]} <= {path.name for path in infrared.iterdir()}


def test_too_few_pictures_are_refused(infrared: Path, tmp_path: Path) -> None:
    """Exit code 4, and no file."""
    out = tmp_path / "rig.yaml"
    one = str(infrared / "000000047.png")
    text, error = run(
        "intrinsics", "--images", one, "--camera", "infrared", "--board", BOARD, "--out", str(out)
    )
    assert isinstance(error, CalibrationError)
    assert error.exit_code == 4
    assert "infrared: the board was found in 1 picture" in str(error)
    assert not text
    assert not out.exists()


def test_no_board_is_a_usage_error(infrared: Path, tmp_path: Path) -> None:
    """As is a distance that is none."""
    common = ("--visible", str(infrared), "--infrared", str(infrared), "--out", str(tmp_path / "rig.yaml"))
    for extra in (("--board", "chess"), ("--board", BOARD, "--planes", "near")):
        _, error = run("stereo", *common, *extra)
        assert isinstance(error, UsageError)


@pytest.mark.parametrize("command", ["intrinsics", "stereo"])
def test_help_ends_with_an_example(command: str) -> None:
    """It can be typed as it stands."""
    text, error = run(command, "--help")
    assert error is None
    assert f"Example: streamfuse calibrate {command}" in text


def test_next_is_the_pair_when_the_other_lens_is_there(infrared: Path, tmp_path: Path) -> None:
    """Nobody is sent to do again what is done."""
    out = tmp_path / "rig.yaml"
    other = {"model": "pinhole", "fx": 900, "fy": 900, "cx": 640, "cy": 480}
    out.write_text(json.dumps({"visible": {"size_wh": [1280, 960], "intrinsics": other}}))
    arguments = ["--camera", "infrared", "--board", BOARD, "--out", str(out)]
    for name in sorted(infrared.glob("*.png"))[1:6]:
        arguments += ["--images", str(name)]
    text, error = run("intrinsics", *arguments)
    assert error is None
    assert "Next: `streamfuse calibrate stereo` with this file" in text
    assert "the same for the visible camera" not in text


@pytest.mark.timeout(60)
def test_a_scene_without_end_shows_progress_and_heeds_ctrl_c(tmp_path: Path) -> None:
    """A picture a second of its own time, not all between; and 130 soon after."""
    command = [sys.executable, "-m", "streamfuse", "calibrate", "intrinsics", "--images", "synthetic://board"]
    command += ["--camera", "visible", "--board", BOARD, "--out", str(tmp_path / "rig.yaml")]
    owner, terminal = pty.openpty()
    with (
        os.fdopen(owner, "rb", buffering=0) as screen,
        os.fdopen(terminal, "wb", buffering=0) as told,
        subprocess.Popen(command, stderr=told, stdout=subprocess.DEVNULL) as process,
    ):
        seen = b""
        while b"1.00 s" not in seen:
            seen += screen.read(4096)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130
