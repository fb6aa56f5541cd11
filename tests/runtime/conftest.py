"""A small world for whole runs: image folders, a pipeline on them, and the program as a process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import pytest
from families import end_family

from streamfuse.frames import Image
from streamfuse.io.images import write_png

SIZE_WH = (64, 48)
Wait = Callable[[Callable[[], bool]], None]
NewWorld = Callable[[], "closing[World]"]


@dataclass
class World:
    """A folder with sources and a pipeline file; ``run`` starts the program on it."""

    folder: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def pipeline(self) -> Path:
        """The pipeline file."""
        return self.folder / "pipeline.yaml"

    @property
    def summary(self) -> dict[str, Any]:
        """What the last run wrote; in whatever way it ended, every frame is on its books."""
        plain: dict[str, Any] = json.loads((self.folder / "summary.json").read_text())
        for stream, account in plain["streams"].items():
            settled = account["emitted"] + sum(account["dropped"].values()) + account["in_flight"]
            assert account["captured"] == settled, (stream, account)
        return plain

    def images(self, count: int) -> None:
        """Two folders with ``count`` images each."""
        width, height = SIZE_WH
        rng = np.random.default_rng(7)
        for number in range(count):
            for stream, shape in (("visible", (height, width, 3)), ("infrared", (height, width))):
                (self.folder / stream).mkdir(exist_ok=True)
                pixels = rng.integers(0, 256, shape, dtype=np.uint8)
                image = Image.from_rgb(pixels) if pixels.ndim == 3 else Image.from_gray(pixels)
                write_png(self.folder / stream / f"{number:04d}.png", image)

    def write_pipeline(self, mode: str, visible: str, infrared: str, more: str = "") -> None:
        """Write the pipeline file."""
        self.pipeline.write_text(
            f"name: test\nmode: {mode}\n"
            f'sources:\n  visible: {{uri: "{visible}"}}\n  infrared: {{uri: "{infrared}"}}\n'
            f"record: {{dir: recordings}}\n{more}"
        )

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Start ``streamfuse run`` on the pipeline; its words are collected."""
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "streamfuse", "run", str(self.pipeline)),
                *("--summary", str(self.folder / "summary.json"), *options),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def run(self, *options: str) -> tuple[int, str]:
        """Run to the end: exit code and everything it said."""
        process = self.start(*options)
        words, _ = process.communicate(timeout=120)
        return process.returncode, words

    def is_recording(self) -> bool:
        """Whether a recording has begun: it has its name once it is whole."""
        return any(path.stat().st_size for path in (self.folder / "recordings").glob("*.mp4.part"))

    def recorded(self) -> list[Path]:
        """The recordings, in order."""
        return sorted((self.folder / "recordings").glob("*.mp4"))

    def recorded_frames(self) -> int:
        """How many frames all recordings decode to."""
        return sum(frames_of(path) for path in self.recorded())

    def run_dir(self, process: subprocess.Popen[str]) -> Path:
        """Where a run has its shared memory."""
        return run_dir_of(self.workers(process)["engine"])

    def workers(self, process: subprocess.Popen[str]) -> dict[str, psutil.Process]:
        """The living workers of a run, by their titles' last words."""
        found = {}
        for child in psutil.Process(process.pid).children(recursive=True):
            try:
                title = " ".join(child.cmdline()).strip()
            except psutil.NoSuchProcess:
                continue
            if title.startswith("streamfuse "):
                found[title.removeprefix("streamfuse ")] = child
        return found

    def close(self) -> None:
        """Nothing that was started is left, however it ended."""
        for process in self.started:
            end_family(process)


def run_dir_of(worker: psutil.Process) -> Path:
    """The folder in shared memory that a worker's run uses."""
    maps = Path(f"/proc/{worker.pid}/maps").read_text()
    folders = {line.split()[-1] for line in maps.splitlines() if "/streamfuse-" in line}
    (folder,) = {Path(folder).parent for folder in folders}
    return folder


def frames_of(path: Path) -> int:
    """Frames that a video decodes to."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A fresh world; whatever it started is gone afterwards."""
    with closing(World(tmp_path)) as made:
        yield made


@pytest.fixture(scope="session")
def new_world(tmp_path_factory: pytest.TempPathFactory) -> NewWorld:
    """Makes a world for a run that several tests look at; it goes with the ``with``, its files stay."""
    return lambda: closing(World(tmp_path_factory.mktemp("world")))


@pytest.fixture
def wait_until() -> Wait:
    """Wait for a condition of the outside world, with a deadline."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true in 60 s"
            time.sleep(0.05)  # polls what offers no event: files and processes of another program

    return wait


@pytest.fixture(scope="session")
def yolo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small real network; at confidence 0 it finds something everywhere in pictures of 160 pixels."""
    from bright_network import save_bright_network  # noqa: PLC0415 - torch, which few of these tests need

    return save_bright_network(tmp_path_factory.mktemp("weights") / "bright.pt", side=160)
