"""``streamfuse bench tasks``: the stage beside its network and beside Ultralytics, in real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from streamfuse.cli.bench.group import app
from streamfuse.engine.tasks.library import ultralytics
from streamfuse.engine.tasks.networks import load_task_network
from streamfuse.errors import UsageError
from streamfuse.jobs.benching.tasks import TasksBench
from streamfuse.jobs.benching.tasks_bare import open_bare
from streamfuse.jobs.benching.tasks_report import TasksReport
from streamfuse.jobs.benching.tasks_turns import BARE, PREDICT, STAGE, Opened, Turn

SIDE_PX = 64
Report = Callable[..., TasksReport]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A YOLOv8n-seg of random values for pictures of 64 pixels."""
    path = tmp_path_factory.mktemp("weights") / "random-seg.pt"
    model = ultralytics().YOLO("yolov8n-seg.yaml")
    model.model.args["imgsz"] = SIDE_PX
    model.save(path)
    return path


@pytest.fixture
def report() -> Report:
    """Makes the report of a run from its milliseconds, by contestant and round."""

    def make(took_ms: dict[str, list[float]], *, backend: str = "openvino", batch: int = 8) -> TasksReport:
        opened = Opened(
            kind="segment", backend=backend, device="CPU", precision="float32", network_wh=(640, 480)
        )
        turns = {
            name: [Turn(took_ms=(ms,), cpu_ms=ms, objects=16, memory_nbytes=1_000_000) for ms in of_rounds]
            for name, of_rounds in took_ms.items()
        }
        return TasksReport(
            weights="default",
            size_wh=(640, 480),
            threads=2,
            load_before=0.0,
            opened=dict.fromkeys(took_ms, opened),
            turns={batch: turns},
        )

    return make


def bench(*options: str, cache: Path) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    return subprocess.run(
        [
            "/usr/bin/env",
            f"XDG_CACHE_HOME={cache}",
            sys.executable,
            "-m",
            "streamfuse",
            "bench",
            "tasks",
            *options,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )


@pytest.mark.slow
@pytest.mark.timeout(900)  # reads Ultralytics in three processes
def test_a_short_run_compares_the_three(weights: Path, tmp_path: Path) -> None:
    """All have their numbers for each batch, with masks, on the backend that the stage chose."""
    out = tmp_path / "tasks.json"
    options = ("--batch", "1,2", "--size", f"{SIDE_PX}x{SIDE_PX}", "--rounds", "1", "--json", str(out))
    done = bench("--weights", str(weights), *options, cache=tmp_path)
    assert done.returncode == 0, done.stderr
    values: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    assert values["task"] == "segment"
    assert [(result["what"], result["batch"]) for result in values["results"]] == [
        (what, batch) for batch in (1, 2) for what in (STAGE, BARE, PREDICT)
    ]
    for result in values["results"]:
        assert 0 < result["ms_per_image"] <= result["p95_ms"]
        assert result["cpu_ms_per_image"] > 0
        assert result["memory_mb"] > 50
        assert result["network_wh"] == [SIDE_PX, SIDE_PX]
    stage, bare, _ = values["results"][:3]
    assert stage["backend"] == bare["backend"] == "openvino"
    assert bare["ratio_vs_bare"] == 1
    assert [target["limit"] for target in values["targets"]] == [1.15, 1.15]
    for word in ("ms/image", "times bare", "predict", "limit"):
        assert word in done.stdout


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    """One sentence from whichever process found out, the code of a file, and no report."""
    out = tmp_path / "tasks.json"
    done = bench("--weights", "gone.pt", "--json", str(out), "--size", "64x64", cache=tmp_path)
    assert done.returncode == 3
    (line,) = done.stderr.strip().splitlines()
    assert "--weights" in line
    assert "gone.pt" in line
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--batch", "1,many"), "--batch"),
        (("--batch", "0"), "1..64"),
        (("--size", "640"), "--size"),
        (("--size", "641x480"), "even"),
        (("--backend", "abacus"), "openvino"),
        (("--rounds", "0"), "rounds"),
    ],
)
def test_options_that_make_no_sense(options: tuple[str, str], word: str) -> None:
    """Refused before anything is started, with what would do."""
    refused = CliRunner().invoke(app, ["tasks", *options]).exception
    assert isinstance(refused, UsageError)
    assert word in str(refused)


def test_ratios_are_taken_within_rounds(report: Report) -> None:
    """A machine that is slower in some rounds changes no ratio."""
    made = report({STAGE: [11.0, 110.0, 22.0], BARE: [10.0, 100.0, 20.0], PREDICT: [30.0, 300.0, 60.0]})
    assert made.ratio(8, STAGE, BARE) == pytest.approx(1.1)
    assert made.ratio(8, PREDICT, STAGE) == pytest.approx(30 / 11)
    stage = made.as_dict()["results"][0]
    assert stage["ms_per_image"] == 22.0 / 8
    assert stage["images_per_s"] == pytest.approx(8000 / 22, abs=0.1)
    assert stage["objects_per_image"] == 2
    assert stage["memory_mb"] == 1


def test_what_is_promised_depends_on_the_device(report: Report) -> None:
    """On a CPU against the bare network, on CUDA against Ultralytics at large batches, with torch nothing."""
    took_ms = {STAGE: [12.0], BARE: [10.0], PREDICT: [30.0]}
    (over_bare,) = report(took_ms).targets()
    assert (over_bare.limit, over_bare.met) == (1.15, False)
    assert over_bare.got == pytest.approx(1.2)
    (rate,) = report(took_ms, backend="torch-cuda").targets()
    assert (rate.limit, rate.got, rate.met) == (2.0, 2.5, True)
    assert report(took_ms, backend="torch-cuda", batch=1).targets() == ()
    assert report(took_ms, backend="torch").targets() == ()


def test_calls_must_be_some() -> None:
    """What the command does not let through, the benchmark refuses too."""
    with pytest.raises(UsageError, match=r"calls must be within 1\.\.100, got 0"):
        TasksBench(calls=0)


def test_the_bare_network_takes_what_the_stage_gives_it(weights: Path) -> None:
    """It runs on torch for any batch; a backend without a bare counterpart is named."""
    network = load_task_network(str(weights), kind="segment", where="--weights")
    prepare, precision = open_bare(network, "torch")
    prepare(np.zeros((2, 3, SIDE_PX, SIDE_PX), np.float32))()
    assert precision == "float32"
    with pytest.raises(UsageError, match="onnx"):
        open_bare(network, "onnx")
