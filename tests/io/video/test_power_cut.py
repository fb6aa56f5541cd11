"""The power fails: what is left is what had reached the disk."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from servers import need_server

CHILD = Path(__file__).with_name("writing_child.py")
FPS = 25
CUTS = 3


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Path]:
    """A file system in a file. Left alone, it would write its journal after five minutes only."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-o", "loop,commit=300", str(image), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        need_server(f"a disk of its own needs root and loop devices ({done.stderr.strip()})")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """An empty ext4 file system in a file."""
    if shutil.which("mkfs.ext4") is None:
        need_server("a disk of its own needs mkfs.ext4")
    image = tmp_path / "disk.img"
    make_file_system(image)
    return image


def make_file_system(image: Path) -> None:
    """What was in the file is gone."""
    with image.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)


def cut_power(disk: Path, folder: Path, seed: int) -> list[str]:
    """Copy the disk while a writer works at its usual pace; the lines of what was written by then."""
    with ExitStack() as stack:
        stack.enter_context(mounted(disk, folder))
        process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, str(CHILD), str(folder), str(seed), str(FPS)],
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        stack.callback(process.kill)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(random.Random(seed).randint(60, 110))]  # noqa: S311
        process.send_signal(signal.SIGSTOP)
        shutil.copyfile(disk, disk.with_suffix(".cut"))
        process.kill()
        return lines + process.stdout.readlines()


@pytest.mark.slow
@pytest.mark.fault
def test_a_power_cut_costs_the_last_second_at_most(
    disk: Path,
    tmp_path: Path,
    readable: Callable[[Path], int],
    record_property: Callable[[str, object], None],
) -> None:
    """Of the disk as it was at that moment, closed files have all images, open ones all but a second."""
    record_property("room", "operations")
    record_property("fault", f"power cut while video is written, {CUTS} times")
    record_property("promise", "at most 1 s lost")
    lost_s = []
    for seed in range(CUTS):
        written: dict[str, int] = {}
        for line in cut_power(disk, tmp_path / f"mount{seed}", seed):
            if line.endswith("\n"):
                name, index = line.split()
                written[name] = int(index) + 1
        with mounted(disk.with_suffix(".cut"), tmp_path / f"cut{seed}") as folder:
            for name, count in written.items():
                for suffix in (".mp4", ".mkv"):
                    closed, part = folder / f"{name}{suffix}", folder / f"{name}{suffix}.part"
                    found = [path for path in (closed, part) if path.exists()]
                    lost_s.append(max(0, count - sum(map(readable, found))) / FPS)
        disk.with_suffix(".cut").unlink()
        make_file_system(disk)
    record_property("lost_s", max(lost_s))
    assert max(lost_s) <= 1
    assert any(lost_s), "nothing was lost: this says nothing"
