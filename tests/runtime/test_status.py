"""The file by which a run tells its own workers how it is, and what systemd's line says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from streamfuse.core.stats import Accounting, Histogram
from streamfuse.errors import OutputError
from streamfuse.frames import PairState, StreamName
from streamfuse.runtime.health import Health, WorkerHealth, WorkerPhase
from streamfuse.runtime.service import words_of
from streamfuse.runtime.status import STATUS_FILE, Status, resident_bytes, write_status
from streamfuse.runtime.summary import Summary

SUMMARY = Summary(
    fused=3,
    detections=1,
    states={PairState.MATCHED: 3},
    streams={StreamName.VISIBLE: Accounting(captured=3, emitted=3, dropped={}, in_flight=0)},
    fps=12.5,
    latency=Histogram(),
    skew=Histogram(),
    stages={},
    sinks={},
)


def status(*not_ready: str, begun: bool = True) -> Status:
    """A run with an engine that was started again and a recorder that is away."""
    return Status(
        summary=SUMMARY,
        workers={
            "engine": WorkerHealth(phase=WorkerPhase.RUNNING, restarts=1, pid=12, resident_bytes=4096),
            "recorder": WorkerHealth(phase=WorkerPhase.RESTARTING, restarts=2, pid=None, resident_bytes=0),
        },
        health=Health(not_ready=not_ready),
        begun=begun,
        now_ns=77,
    )


def test_the_file_has_its_keys(tmp_path: Path) -> None:
    """What the viewer reads: numbers, workers, and whether all is well."""
    write_status(tmp_path, status("recorder: restarting"))
    assert json.loads((tmp_path / STATUS_FILE).read_text()) == {
        "summary": SUMMARY.as_dict(),
        "workers": {
            "engine": {"state": "running", "restarts": 1, "pid": 12, "rss_bytes": 4096},
            "recorder": {"state": "restarting", "restarts": 2, "pid": None, "rss_bytes": 0},
        },
        "ready": False,
        "reasons": ["recorder: restarting"],
        "written_ns": 77,
    }


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    """The file is replaced: one that was opened before stays whole, and nothing else is left."""
    write_status(tmp_path, status("a"))
    with (tmp_path / STATUS_FILE).open() as old:
        write_status(tmp_path, status())
        assert json.load(old)["reasons"] == ["a"]
    assert json.loads((tmp_path / STATUS_FILE).read_text())["reasons"] == []
    assert [path.name for path in tmp_path.iterdir()] == [STATUS_FILE]


def test_a_folder_that_is_gone_is_one_sentence(tmp_path: Path) -> None:
    """The run can tell it and go on."""
    with pytest.raises(OutputError, match=r"status.json: cannot be written"):
        write_status(tmp_path / "gone", status())


def test_memory_of_a_process() -> None:
    """A living process has some; one that is not there, and one that never was, have none."""
    assert 1 << 20 < resident_bytes(os.getpid()) < 1 << 36
    assert resident_bytes(None) == 0
    assert resident_bytes(2**22 + 1) == 0  # above the largest process id of Linux


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (status("starting: engine", begun=False), "starting: engine"),
        (status(), "3 fused at 12.5 fps"),
        (status("infrared: the camera is lost"), "3 fused at 12.5 fps; infrared: the camera is lost"),
    ],
)
def test_a_status_in_one_line(now: Status, words: str) -> None:
    """What ``systemctl status`` shows."""
    assert words_of({"front": now}) == words
    assert words_of({"front": now, "rear": status()}) == f"front: {words} | rear: 3 fused at 12.5 fps"
