"""The pipelines for an edge box and for two machines, run as their comments say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import free_port

from streamfuse.config.pipeline import load_pipeline

ROOT = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-m", "streamfuse")
QUIET = ("--set=viewer=null", "--set=metrics=null")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The shipped pipelines and their rig, in a folder that may be written."""
    for name in ("pipelines", "calibration"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("recordings", "keys"))
    return tmp_path


@pytest.fixture
def nodes(site: Path) -> Iterator[dict[str, int]]:
    """Both capture nodes of remote-capture.yaml, started as its comments say; the port of each stream."""
    for name in ("host", "node"):
        subprocess.run([*PROGRAM, "keys", name, "--dir", "pipelines/keys"], cwd=site, check=True)
    text = (site / "pipelines" / "remote-capture.yaml").read_text().replace("\\\n#", "")
    commands = re.findall(r"^#   streamfuse (capture .*)$", text, re.MULTILINE)
    assert len(commands) == 2
    ports, started = {}, []
    for command in commands:
        words = command.split()
        stream = words[words.index("--stream") + 1]
        ports[stream] = free_port()
        words[words.index("--bind") + 1] = f"tcp://127.0.0.1:{ports[stream]}"
        started.append(subprocess.Popen([*PROGRAM, *words], cwd=site, stderr=subprocess.DEVNULL))
    yield ports
    for process in started:
        process.terminate()
    assert [process.wait(timeout=20) for process in started]


def run(site: Path, *options: str) -> dict[str, Any]:
    """A run to its end, and its summary."""
    done = subprocess.run(
        [*PROGRAM, "run", *options, "--summary", "summary.json", *QUIET],
        cwd=site,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads((site / "summary.json").read_text())
    return summary


@pytest.mark.slow
def test_two_machines_share_the_work(site: Path, nodes: dict[str, int]) -> None:
    """Both cameras come over CURVE from nodes with the shipped files, and their frames become pairs."""
    uris = [f"--set=sources.{stream}.uri=tcp://127.0.0.1:{port}" for stream, port in nodes.items()]
    summary = run(site, "pipelines/remote-fuse.yaml", "--max-frames=15", *uris)
    assert summary["fused"] >= 15
    assert summary["states"]["matched"] > 0
    assert list((site / "pipelines" / "recordings" / "remote").glob("*.mp4"))


@pytest.mark.slow
def test_the_edge_pipeline_works_as_it_is(site: Path) -> None:
    """It runs without a camera and records what it fuses, with the infrared stream beside it."""
    summary = run(site, "pipelines/edge.yaml", "--max-frames=15")
    assert summary["fused"] >= 15
    recorded = {path.name for path in (site / "pipelines" / "recordings" / "edge").iterdir()}
    assert any(name.endswith(".infrared.mp4") for name in recorded)


@pytest.mark.parametrize("name", ["edge", "remote-capture", "remote-fuse"])
def test_the_files_are_valid(site: Path, name: str) -> None:
    """Each loads, under its own name."""
    path = site / "pipelines" / f"{name}.yaml"
    assert load_pipeline(path).name == name


def test_what_is_commented_out_is_valid_too(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks, events, publishers, token and cameras of edge.yaml, without the # before them."""
    for variable in ("CAMERA_PASSWORD", "MQTT_PASSWORD", "STREAMFUSE_TOKEN"):
        monkeypatch.setenv(variable, "0123456789abcdef")
    path = site / "pipelines" / "edge.yaml"
    lines = [line for line in path.read_text().splitlines() if "synthetic://" not in line]
    keys = r"(\s*)# (\s*(?:- \{|(?:tasks|detect|events|publish|token|visible|infrared):.*$))"
    path.write_text("\n".join(re.sub(rf"^{keys}", r"\1\2", line) for line in lines))
    config = load_pipeline(path)
    assert config.sources.visible.uri.startswith("rtsp://user:0123456789abcdef@")
    assert config.sources.infrared.format == "gray16"
    assert [rule.name for rule in config.events] == ["person-at-door"]
    assert config.tasks is not None
    assert len(config.publish) == 1
    assert config.viewer is not None
    assert config.viewer.token
