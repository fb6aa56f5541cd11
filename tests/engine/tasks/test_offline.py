"""The task stage without a network: nothing is looked for outside, nothing is left in the home folder."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch

from streamfuse.engine.tasks.saved import build_task_network, save_task_network

NAMES = {0: "person", 1: "bicycle", 2: "car"}
CARD = {"data": "none", "licence": "MIT", "made_by": "a test", "source": "nothing"}

STAGE = textwrap.dedent("""
    import json, os, sys
    seen = []
    def watch(event, args):
        if event.startswith(("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn")):
            if "/sbin/ldconfig" not in args:  # torch asks the system where its libraries are
                seen.append(f"{event} {args}")
    sys.addaudithook(watch)
    import cv2, numpy as np, torch
    from streamfuse.config.tasks import Detect, Segment, Tasks
    from streamfuse.engine.tasks.runner import TaskRunner
    from streamfuse.engine.tracking import Tracker
    def threads():
        return cv2.getNumThreads(), torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    before = threads()
    tasks = Tasks(
        detect=Detect(weights=sys.argv[1], confidence=0.0, most=20, track=True),
        segment=Segment(weights=sys.argv[2], confidence=0.0, most=20),
    )
    runner, tracker = TaskRunner.load(tasks), Tracker()
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    for number in range(3):
        (looked,) = runner.run([picture], pair_ids=[number])
        tracker.update(looked.detections, capture_ns=number * 40_000_000, looked=looked.looked)
    runner.close()
    facts = {"seen": seen, "found": len(looked.detections), "same": threads() == before}
    open(sys.argv[3], "w").write(json.dumps(facts))
""")

_REACHES_OUT = re.compile(r"\b(?:connect|bind|sendto|sendmsg)\(.*AF_(?:INET|NETLINK).*")
"""Looks up a name or sends; not: Ultralytics reads the number of the machine off its interfaces."""


@pytest.fixture
def weights(tmp_path: Path) -> list[str]:
    """A file that Ultralytics would rename, not find and download; and one of our own."""
    torch.manual_seed(0)
    odd = tmp_path / "it's yolov5n.pt"
    torch.save({"model": build_task_network("yolov5n", NAMES)}, odd)
    ours = tmp_path / "ours.safetensors"
    card = CARD | {"architecture": "yolov8n-seg"}
    save_task_network(build_task_network("yolov8n-seg", NAMES), NAMES, path=ours, card=card)
    return [str(odd), str(ours)]


def _alone() -> list[str]:
    """What puts a program where there is no network interface at all; nothing where that is not allowed."""
    for way in (["unshare", "-n"], ["unshare", "-rn"]):
        if (
            shutil.which(way[0])
            and subprocess.run([*way, "true"], capture_output=True, check=False).returncode == 0
        ):
            return way
    return []


def _traced(trace: Path) -> list[str]:
    """What writes down all network calls of a program, those of native code too; where it can."""
    words = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=network", "-o", str(trace)]
    can = (
        shutil.which("strace")
        and subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
    )
    return words if can else []


def _run(words: list[str], *, env: dict[str, str], cwd: Path) -> tuple[int, str, str]:
    """Exit code, output and errors of a program; it and all that it started is gone after a deadline."""
    with subprocess.Popen(
        words,
        env=env,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said, complaints = process.communicate(timeout=240)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, said, complaints


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_stage_runs_where_there_is_no_network_and_asks_for_none(
    weights: list[str], tmp_path: Path
) -> None:
    """Load, look, track: no socket, no process, no file outside of our cache; libraries as before."""
    places = {"HOME": "home", "XDG_CACHE_HOME": "cache", "TMPDIR": "tmp", "XDG_CONFIG_HOME": "home/.config"}
    for place in ("home", "cache", "tmp", "work"):
        (tmp_path / place).mkdir()
    keep = {
        name: os.environ[name] for name in ("PATH", "PYTHONPATH", "OMP_NUM_THREADS") if name in os.environ
    }
    trace, told = tmp_path / "trace.txt", tmp_path / "facts.json"
    code, said, complaints = _run(
        [*_alone(), *_traced(trace), sys.executable, "-c", STAGE, *weights, str(told)],
        env=keep | {name: str(tmp_path / place) for name, place in places.items()},
        cwd=tmp_path / "work",
    )
    assert code == 0, complaints
    facts: dict[str, Any] = json.loads(told.read_text())
    assert facts == {"seen": [], "found": facts["found"], "same": True}
    assert facts["found"] > 0
    if trace.exists():
        assert _REACHES_OUT.findall(trace.read_text()) == []
    for place in ("home", "work", "tmp"):
        assert [path for path in (tmp_path / place).rglob("*") if path.is_file()] == [], place
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {"streamfuse"}
    assert said == "", "what a library says belongs into no output of ours"
