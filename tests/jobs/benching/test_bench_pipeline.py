"""``streamfuse bench pipeline``: real runs beside their stages, on videos of the drawn street."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from streamfuse.cli.bench.group import app
from streamfuse.config.pipeline import load_pipeline
from streamfuse.config.starting import write_starter
from streamfuse.errors import PromiseError, UsageError
from streamfuse.frames import PixelFormat, StreamName
from streamfuse.io.sources import open_source
from streamfuse.jobs.benching.machine import verdict
from streamfuse.jobs.benching.pipeline import Desk, PipelineBench
from streamfuse.jobs.benching.pipeline_report import Live, PipelineReport, Round
from streamfuse.jobs.benching.pipeline_run import Run, run_once
from streamfuse.jobs.benching.pipeline_stages import StageTurn, stage_names
from streamfuse.jobs.benching.pipeline_street import StreetFiles, street_files


def silent(_note: str) -> None:
    """Say nothing."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the user's that is empty."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


def summary(**changes: Any) -> dict[str, Any]:
    """What a run says at its end."""
    stream = {"captured": 100, "emitted": 100, "dropped": {}, "in_flight": 0}
    return {
        "pairs": 100,
        "fps": 9.5,
        "streams": {"visible": stream, "infrared": stream},
        "latency_ms": {"p50": 80.0, "p95": 120.0, "p99": 130.0},
        "stages": {
            name: {"p50_ms": 10.0, "p95_ms": 20.0} for name in ("pair", "register", "fuse", "recorder")
        },
        "sinks": {},
        "backend": "openvino",
        "device": "a CPU",
        **changes,
    }


def one_round(*, fps: float = 9.5, engine_s: float = 10.0) -> Round:
    """A hundred frames: a quick capture, an engine, and a run of both."""
    return Round(
        alone={
            "capture visible": StageTurn(frames=100, took_s=1.0, cpu_s=0.5),
            "engine": StageTurn(frames=100, took_s=engine_s, cpu_s=9.0, steps_ms={"fuse": 80.0}),
        },
        whole=Run(
            summary=summary(fps=fps),
            cpu_s={"run": 0.1, "capture visible": 0.6, "engine": 9.2, "recorder": 0.1},
        ),
    )


@pytest.fixture
def report(tmp_path: Path) -> PipelineReport:
    """Of two rounds, the second on a machine half as fast, and a live run."""
    pipeline, _ = write_starter(tmp_path)
    files = StreetFiles(
        visible=tmp_path / "visible.mp4",
        infrared=tmp_path / "infrared.mp4",
        visible_wh=(640, 480),
        infrared_wh=(640, 480),
        fps=25.0,
    )
    return PipelineReport(
        config=load_pipeline(pipeline),
        files=files,
        frames=100,
        rounds=(one_round(), one_round(fps=4.75, engine_s=20.0)),
        live=(Live(fps=25, run=Run(summary=summary(), cpu_s={"engine": 9.0})),),
        load_before=0.0,
    )


@pytest.mark.slow
@pytest.mark.timeout(900)  # two runs of everything
def test_a_short_run_measures_everything(tmp_path: Path) -> None:
    """Stages, the whole and the live run have their numbers; files are left in the cache alone."""
    out, here = tmp_path / "pipeline.json", tmp_path / "here"
    here.mkdir()
    command = [sys.executable, "-m", "streamfuse", "bench", "pipeline", "--json", str(out)]
    done = subprocess.run(
        [*command, "--frames", "12", "--rounds", "1", "--seconds", "2", "--fps", "5"],
        capture_output=True,
        text=True,
        check=False,
        timeout=800,
        cwd=here,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
    )
    assert done.returncode == 0, done.stderr
    values = json.loads(out.read_text(encoding="utf-8"))
    assert {"machine", "versions", "pipeline", "stages", "end_to_end", "live", "targets"} <= set(values)
    assert list(values["stages"]) == ["capture visible", "capture infrared", "engine", "recorder"]
    assert set(values["stages"]["engine"]["steps_ms"]) == {"register", "fuse", "tasks"}
    processes = values["end_to_end"]["processes"]
    assert set(processes) == {"run", *values["stages"]}
    assert all(process["cpu_ms_per_pair"] >= 0 for process in processes.values())
    assert processes["engine"]["cpu_ms_per_pair"] > 0
    assert values["end_to_end"]["pairs_per_s"] > 0
    assert values["live"][0]["camera_fps"] == 5
    assert {"p50", "p95", "p99"} == set(values["live"][0]["latency_ms"])
    assert {target["limit"] for target in values["targets"]} >= {0.9, 0.05}
    assert not list(here.iterdir())
    assert len(list((tmp_path / "cache").rglob("*.mp4"))) in {2, 4}
    for word in ("engine alone", "end to end", "p99 ms", "limit"):
        assert word in done.stdout


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--frames", "1"), "frames"),
        (("--rounds", "0"), "rounds"),
        (("--seconds", "0"), "seconds"),
        (("--fps", "0"), "fps"),
    ],
)
def test_options_that_make_no_sense(options: tuple[str, str], word: str) -> None:
    """Refused before anything is drawn, with what would do."""
    refused = CliRunner().invoke(app, ["pipeline", *options]).exception
    assert isinstance(refused, UsageError)
    assert word in str(refused)


def test_the_street_is_drawn_once(cache: Path) -> None:
    """Both videos decode to what a pipeline fuses; the second time they are there."""
    drawn: list[str] = []
    files = street_files("identity", frames=3, fps=25, say=drawn.append)
    assert len(drawn) == 2
    for stream in StreamName:
        with closing(open_source(str(files.path(stream)), stream=stream)) as source:
            assert source.info.spec.size_wh == (640, 480)
            assert source.info.fps == 25
            frames = [source.read() for _ in range(3)]
        assert all(frame is not None for frame in frames)
    first = {path: path.stat().st_mtime_ns for path in cache.rglob("*.mp4")}
    assert street_files("identity", frames=3, fps=25, say=drawn.append) == files
    assert len(drawn) == 2
    assert first == {path: path.stat().st_mtime_ns for path in cache.rglob("*.mp4")}


def test_outputs_of_the_user_are_left_alone(tmp_path: Path, cache: Path) -> None:
    """A benchmark writes into no recording and no message log, and replaces the cameras."""
    pipeline, _ = write_starter(tmp_path / "mine")
    with pipeline.open("a", encoding="utf-8") as file:
        file.write("publish: [{kind: jsonl, path: events.jsonl}]\nviewer: {web: 127.0.0.1:8090}\n")
    desk = Desk(PipelineBench(pipeline=pipeline, frames=10, seconds=1.0, fps=10), tmp_path / "own")
    files = desk.street(10, say=silent)
    config = desk.config(files)
    assert config.publish == ()
    assert config.viewer is None
    assert config.record is not None
    assert config.record.dir.is_relative_to(tmp_path / "own")
    assert config.mode == "every_frame"
    assert Path(config.sources.visible.uri).is_relative_to(cache)
    assert config.tasks is not None  # what it does is what is measured
    assert stage_names(config) == ("capture visible", "capture infrared", "engine", "recorder")
    assert stage_names(config.model_copy(update={"record": None}))[-1] == "engine"
    with closing(open_source(str(files.visible), stream=StreamName.VISIBLE)) as source:
        assert source.info.spec.format is PixelFormat.YUV420P


def test_a_run_that_fails_says_why(tmp_path: Path) -> None:
    """The last words of the run are those of the benchmark."""
    pipeline = tmp_path / "wrong.yaml"
    pipeline.write_text("sources: {visible: {uri: gone.mp4}, infrared: {uri: gone.mp4}}\n", encoding="utf-8")
    with pytest.raises(PromiseError, match=r"ended with \d.*gone\.mp4"):
        run_once(pipeline, [], folder=tmp_path)


def test_rates_are_compared_within_rounds(report: PipelineReport) -> None:
    """A machine that is slower in some rounds changes no share; the slowest stage is named."""
    whole = report.as_dict()["end_to_end"]
    assert whole["of_slowest_stage"] == pytest.approx(0.95)
    assert whole["slowest_stage"] == "engine"
    share = report.targets()[0]
    assert share.met
    assert "engine" in share.what


def test_what_cannot_be_is_neither_met_nor_missed(report: PipelineReport) -> None:
    """A whole that is faster than its slowest stage alone was measured on a machine that did other things."""
    noisy = dataclasses.replace(report, rounds=(one_round(fps=12.0),)).targets()[0]
    assert noisy.met is None
    assert verdict(noisy.as_dict()) == "too noisy to say"
    spread = dataclasses.replace(report, rounds=(one_round(fps=10.5),)).targets()[0]
    assert verdict(spread.as_dict()) == "met"


def test_orchestration_is_what_no_stage_explains(report: PipelineReport) -> None:
    """Of 10 s of processor time in the run 9.5 s are the stages' own work; the rest is told by process."""
    whole = report.as_dict()["end_to_end"]
    assert whole["orchestration_share"] == pytest.approx(0.05)
    assert whole["processes"]["engine"] == {"cpu_ms_per_pair": 92.0, "alone_cpu_ms_per_pair": 90.0}
    assert whole["processes"]["run"]["alone_cpu_ms_per_pair"] == 0
    assert report.targets()[1].limit == 0.05


def test_latency_is_judged_by_the_work_and_the_cameras() -> None:
    """Two intervals and a batch's work; twice that work where frames had to be dropped."""
    keeps_up = Live(fps=25, run=Run(summary=summary(), cpu_s={}))
    assert keeps_up.keeps_up
    assert keeps_up.limit_ms == 2 * 40 + 2 * 20
    busy = {"captured": 100, "emitted": 60, "dropped": {"superseded": 38, "stopped": 2}, "in_flight": 0}
    overloaded = Live(fps=25, run=Run(summary=summary(streams={"visible": busy, "infrared": busy}), cpu_s={}))
    assert overloaded.dropped == 38
    assert not overloaded.keeps_up
    assert overloaded.limit_ms == 2 * 40 + 2 * 2 * 20
