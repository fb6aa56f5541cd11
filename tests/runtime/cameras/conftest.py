"""Live cameras that can be broken at will, and runs whose every word is written down."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from families import end_family

HERE = Path(__file__).parent
SIZE_WH = (64, 64)
PATIENCE_S = 60.0
UNDER_WAY = 12
"""Most frames by which an account may be off while a run goes on: boards are read one after the other."""

Condition = Callable[[], Any]


def until(condition: Condition, what: str, timeout_s: float = PATIENCE_S) -> float:
    """Wait for the outside world; returns how many seconds it took."""
    start_s = time.monotonic()
    while not condition():
        assert time.monotonic() - start_s < timeout_s, f"{what}: not in {timeout_s} s"
        time.sleep(0.02)  # polls what offers no event: files and processes of another program
    return time.monotonic() - start_s


@dataclass
class Device:
    """A camera that listens on a port, as a process."""

    port: int = 0
    process: subprocess.Popen[str] | None = None

    @property
    def uri(self) -> str:
        """How a pipeline names it."""
        return f"rawcam://127.0.0.1:{self.port}"

    def plug_in(self, size_wh: tuple[int, int] = SIZE_WH, form: str = "gray8", fps: int = 20) -> None:
        """Start it, on the same port as before."""
        words = [str(self.port), *map(str, size_wh), form, str(fps)]
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "rawcam.py"), *words], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().split()[1])

    def unplug(self) -> None:
        """Take it away; may be called twice."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
        self.process = None

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP: it goes silent with its connections open. SIGCONT: it goes on."""
        assert self.process is not None
        self.process.send_signal(number)


@dataclass
class Run:
    """A run of a pipeline in a process of its own, with its diary."""

    process: subprocess.Popen[str]
    diary: Path

    def lines(self, kind: str) -> list[tuple[float, Any]]:
        """What it has told so far, with monotonic seconds."""
        if not self.diary.exists():
            return []
        *whole, _ = self.diary.read_text().split("\n")
        told = [json.loads(line) for line in whole]
        return [(line["at_s"], line["value"]) for line in told if line["kind"] == kind]

    @property
    def words(self) -> str:
        """All messages and problems."""
        kinds = ("message", "problem", "error")
        return "\n".join(str(value) for kind in kinds for _, value in self.lines(kind))

    @property
    def status(self) -> dict[str, Any]:
        """The newest status; empty before the first."""
        told = self.lines("status")
        return told[-1][1] if told else {}

    def emitted(self, stream: str) -> int:
        """Frames of a stream that left in a pair so far."""
        return int(self.status["streams"][stream]["emitted"]) if self.status else 0

    def states(self, state: str) -> int:
        """Pairs of a state so far."""
        return int(self.status["states"][state]) if self.status else 0

    def camera(self, stream: str) -> str:
        """State of a camera."""
        return str(self.status.get("cameras", {}).get(stream, {}).get("state"))

    def until_flowing(self, *streams: str) -> float:
        """Wait until the streams are emitted, more than so far; returns how many seconds it took."""
        before = {stream: self.emitted(stream) for stream in streams}
        return self.until(
            lambda: all(self.emitted(stream) > before[stream] + 2 for stream in streams), f"{streams} flow"
        )

    def until_said(self, text: str, count: int = 1) -> float:
        """Wait for a message; returns the seconds."""
        return self.until(lambda: self.words.count(text) >= count, text)

    def until(self, condition: Condition, what: str) -> float:
        """Wait while the run goes on."""

        def holds() -> bool:
            assert self.process.poll() is None or condition(), f"ended before: {what}\n{self.words}"
            return bool(condition())

        return until(holds, what)

    def worker(self, title: str) -> psutil.Process:
        """A living worker by its title, such as ``capture visible``."""
        found: list[psutil.Process] = []

        def there() -> bool:
            found[:] = [
                child
                for child in psutil.Process(self.process.pid).children(recursive=True)
                if _title(child) == f"streamfuse {title}"
            ]
            return bool(found)

        until(there, title)
        return found[0]

    def stop(self) -> dict[str, Any]:
        """Ctrl-C; returns the summary, whose accounts add up, as they did all the time."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.end(130)

    def end(self, exit_code: int = 0) -> dict[str, Any]:
        """Wait for the end; returns the summary, whose accounts add up, as they did all the time."""
        words, _ = self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == exit_code, f"{words}\n{self.words}"
        assert words == "", f"the supervisor printed {words}"
        ((_, summary),) = self.lines("summary")
        for _, status in self.lines("status"):
            for stream, account in status["streams"].items():
                assert abs(balance(account)) <= UNDER_WAY, f"{stream}: {account}"
        for stream, account in summary["streams"].items():
            assert balance(account) == 0, f"{stream}: {account}"
        return dict(summary)


def balance(account: dict[str, Any]) -> int:
    """What an account of a stream lacks."""
    return int(
        account["captured"] - account["emitted"] - sum(account["dropped"].values()) - account["in_flight"]
    )


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()).strip()
    except psutil.NoSuchProcess:
        return ""


@dataclass
class Rig:
    """A folder with the plug-in installed, devices, and runs on them."""

    folder: Path
    devices: list[Device] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)

    def install_plugin(self) -> None:
        """As pip would: a module, and a dist-info with its entry point."""
        site = self.folder / "site"
        info = site / "rawcam-1.0.dist-info"
        info.mkdir(parents=True)
        shutil.copy(HERE / "rawcam.py", site)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rawcam\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[streamfuse.sources]\nrawcam = rawcam:RawCamera\n")

    def device(self, size_wh: tuple[int, int] = SIZE_WH, *, there: bool = True) -> Device:
        """A camera; one that is not there has a port at which nobody listens yet."""
        device = Device()
        self.devices.append(device)
        if there:
            device.plug_in(size_wh)
        else:
            with socket.create_server(("127.0.0.1", 0)) as probe:
                device.port = probe.getsockname()[1]
        return device

    def visible(self) -> str:
        """A healthy visible camera, as a pipeline's words."""
        device = Device()
        self.devices.append(device)
        device.plug_in(form="yuv420p")
        return f'uri: "{device.uri}"'

    def start(
        self,
        visible: str,
        infrared: str,
        *,
        more: str = "",
        timeout_s: float = 1,
        duration_s: float = 600,
        stall_timeout_s: float = 10,
    ) -> Run:
        """Start a run; ``visible`` and ``infrared`` are the insides of YAML's braces."""
        common = f"retry: {{first_s: 0.1, max_s: 0.5}}, timeout_s: {timeout_s:g}"
        number = len(self.runs)
        pipeline, diary = self.folder / f"pipeline{number}.yaml", self.folder / f"diary{number}.jsonl"
        pipeline.write_text(
            f"name: faults\nmode: realtime\nsources:\n  visible: {{{visible}, {common}}}\n"
            f"  infrared: {{{infrared}, {common}}}\n{more}"
        )
        environment = {**os.environ, "PYTHONPATH": str(self.folder / "site"), "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            [
                *(sys.executable, str(HERE / "drive.py"), str(pipeline), str(diary)),
                *(str(duration_s), str(stall_timeout_s)),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            start_new_session=True,
        )
        self.runs.append(Run(process, diary))
        return self.runs[-1]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A fresh rig; whatever it started is gone afterwards."""
    made = Rig(tmp_path)
    made.install_plugin()
    yield made
    for run in made.runs:
        if run.process.poll() is None:
            run.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                run.process.communicate(timeout=10)
        end_family(run.process)
    for device in made.devices:
        device.unplug()
