"""``streamfuse export``: what it prints, and what it answers to mistakes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


def export(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, in a process."""
    return subprocess.run(
        [sys.executable, "-m", "streamfuse", "export", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_it_says_what_was_written_and_how_exact_it_is(tmp_path: Path) -> None:
    """One line for people; with --json an account, which knows that the same was there already."""
    out = str(tmp_path / "out")
    done = export("--size", "32x16", "--out", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{out}/grdb-fine-rgb.onnx: written; ")
    assert "torch in float32" in done.stdout
    account = json.loads(export("--size", "32x16", "--out", out, "--json").stdout)
    assert account["file"] == f"{out}/grdb-fine-rgb.onnx"
    assert account["written"] is False
    assert account["psnr_db"] >= 60


@pytest.mark.parametrize(
    ("wrong", "code", "complaint"),
    [
        (("--size", "640"), 2, "--size must be WIDTHxHEIGHT such as 640x480, got '640'"),
        (("--size", "0x480"), 2, "--size must be WIDTHxHEIGHT such as 640x480, got '0x480'"),
        (("--size", "100000x100000"), 2, "can be run to check the file"),
        (("--weights", "none"), 3, "no weights are called 'none'"),
        (("--model", "grbd"), 2, "no fusion model is called 'grbd'"),
        (("--to", "coreml"), 2, "coreml"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    tmp_path: Path, wrong: tuple[str, ...], code: int, complaint: str
) -> None:
    """With the exit code of their kind."""
    done = export(*wrong, "--out", str(tmp_path / "out"))
    assert done.returncode == code
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
