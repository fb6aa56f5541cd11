"""``kill -9`` of a process that writes video, at random moments."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from endurance import LONG

CHILD = Path(__file__).with_name("writing_child.py")
FPS = 25


def kill_at(folder: Path, seed: int) -> dict[str, int]:
    """Kill a writer after a random number of images; how many were in each segment."""
    images = random.Random(seed).randint(1, 400)  # noqa: S311 - a test's dice
    process = subprocess.Popen(
        [sys.executable, str(CHILD), str(folder), str(seed)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process:
        lines = [process.stdout.readline() for _ in range(images)]
        process.kill()
        lines += process.stdout.readlines()
    written: dict[str, int] = {}
    for line in lines:
        if line.endswith("\n"):
            name, index = line.split()
            written[name] = int(index) + 1
    return written


@pytest.mark.fault
@pytest.mark.parametrize("kills", [6, pytest.param(20, marks=LONG)])
def test_a_killed_writer_loses_its_last_second_at_most(
    tmp_path: Path,
    readable: Callable[[Path], int],
    record_property: Callable[[str, object], None],
    kills: int,
) -> None:
    """What was closed has every image, and what was open all but its last second."""
    record_property("room", "operations")
    record_property("fault", f"kill -9 of a writer of video at {kills} random moments")
    record_property("promise", "at most 1 s lost")
    lost_s = []
    for seed in range(kills):
        folder = tmp_path / str(seed)
        folder.mkdir()
        for name, count in kill_at(folder, seed).items():
            for suffix in (".mp4", ".mkv"):
                closed, part = folder / f"{name}{suffix}", folder / f"{name}{suffix}.part"
                assert closed.exists() != part.exists()
                pictures = readable(closed if closed.exists() else part)
                assert pictures >= count if closed.exists() else count - pictures <= FPS
                lost_s.append(max(0, count - pictures) / FPS)
    record_property("lost_s", max(lost_s))
    assert max(lost_s) <= 1
    assert any(lost_s), "no writer was killed while a fragment was open: this says nothing"
