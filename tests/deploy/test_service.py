"""The systemd unit, as systemd itself reads it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from servers import need_server

UNIT = Path(__file__).parents[2] / "deploy" / "streamfuse.service"
EXPOSURE_MAX = 25
"""Tenths; systemd calls up to 50 medium, and 96 is what a unit without any protection has."""


@pytest.fixture
def analyze() -> str:
    """The program of systemd that judges units."""
    program = shutil.which("systemd-analyze")
    need_server(None if program else "systemd-analyze is not installed")
    return str(program)


def test_systemd_understands_the_unit(analyze: str, tmp_path: Path) -> None:
    """No unknown key, no wrong value, and the commands exist."""
    program = Path(sys.executable).with_name("streamfuse")
    unit = tmp_path / "streamfuse.service"
    unit.write_text(UNIT.read_text().replace("/opt/streamfuse/bin/streamfuse", str(program)))
    done = subprocess.run([analyze, "verify", unit], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # Other units of the machine may be complained about.
    assert str(unit) not in done.stderr
    assert "streamfuse.service" not in done.stderr


def test_the_unit_is_well_shut_in(analyze: str) -> None:
    """By systemd's own count little is open: cameras, GPU and network have to be."""
    done = subprocess.run(
        [analyze, "security", "--offline=yes", "--no-pager", f"--threshold={EXPOSURE_MAX}", UNIT],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout.splitlines()[-1]


def test_the_unit_and_the_program_agree() -> None:
    """It notifies, is watched and reloads as `streamfuse run` does, which it starts."""
    text = UNIT.read_text()
    keys = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    assert keys["Type"] == "notify"
    assert keys["ExecReload"].endswith("kill -HUP $MAINPID")
    assert float(keys["WatchdogSec"]) >= 10
    assert keys["RestartPreventExitStatus"] == "2"
    words = keys["ExecStart"].split()
    assert words[1:3] == ["run", "/etc/streamfuse/pipeline.yaml"]


def test_a_mistake_in_the_file_ends_with_the_exit_code_that_is_not_tried_again(tmp_path: Path) -> None:
    """`streamfuse run` says 2 for a wrong pipeline file."""
    wrong = tmp_path / "pipeline.yaml"
    wrong.write_text(json.dumps({"name": "x", "sources": 3}))
    done = subprocess.run(
        [sys.executable, "-m", "streamfuse", "run", str(wrong)], capture_output=True, check=False
    )
    assert done.returncode == 2
