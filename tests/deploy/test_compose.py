"""The compose file: its pieces exist, fit together and fit the program."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from streamfuse.config.fields import _byte_count
from streamfuse.config.pipeline import PipelineConfig, load_pipeline
from streamfuse.io.metrics import MetricsServer, MetricsSnapshot
from streamfuse.jobs.doctor.machine import SHARED_NBYTES
from streamfuse.runtime.planning import make_plan

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
RUN: dict[str, Any] = COMPOSE["services"]["streamfuse"]
LARGEST = (
    "sources.visible.uri=synthetic://street?size=1920x1080",
    "sources.infrared.uri=synthetic://street?size=1920x1080&format=gray16",
    "rig=identity",
    *(f"record.{layer}=true" for layer in ("visible", "infrared", "raw_infrared")),
    "viewer.window=true",
    "publish=[{kind: jsonl, path: messages.jsonl}]",
)


@pytest.fixture
def edge(monkeypatch: pytest.MonkeyPatch) -> PipelineConfig:
    """The pipeline, with what the compose file sets."""
    monkeypatch.setenv("STREAMFUSE_TOKEN", "0123456789abcdef")
    sets = [word.removeprefix("--set=").replace("$$", "$") for word in RUN["command"] if "--set=" in word]
    assert len(sets) == 4
    return load_pipeline(ROOT / "pipelines" / "edge.yaml", sets)


def test_the_pipeline_takes_what_the_compose_file_sets(edge: PipelineConfig) -> None:
    """The pages can be reached from outside the container, the web page with the token of the environment."""
    assert edge.viewer is not None
    assert (edge.viewer.web, edge.viewer.token) == ("0.0.0.0:8090", "0123456789abcdef")
    assert edge.metrics is not None
    assert edge.metrics.prometheus == "0.0.0.0:9464"
    assert "/site/pipelines/${STREAMFUSE_PIPELINE:-edge.yaml}" in RUN["command"]


def test_the_shared_memory_is_enough(edge: PipelineConfig, tmp_path: Path) -> None:
    """It covers what `check` counts for the edge pipeline and for the largest one, as does the doctor."""
    given = _byte_count(re.sub(r"m$", "MiB", RUN["shm_size"]))
    assert make_plan(edge, run_dir=tmp_path).shared_nbytes < given
    largest = make_plan(load_pipeline(ROOT / "pipelines" / "edge.yaml", LARGEST), run_dir=tmp_path)
    assert largest.shared_nbytes < SHARED_NBYTES < given


def test_every_file_that_is_named_is_there() -> None:
    """Dockerfiles and what is mounted; named volumes are declared."""
    for image in ("cpu", "cuda", "jetson"):
        assert (DEPLOY / f"Dockerfile.{image}").is_file()
    for service in COMPOSE["services"].values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


def test_nothing_listens_beyond_this_machine() -> None:
    """Every port is published on the loopback address."""
    ports = [port for service in COMPOSE["services"].values() for port in service["ports"]]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize(("reasons", "code"), [((), 0), (("the engine is stuck",), 1)])
def test_the_health_check_asks_the_program(reasons: tuple[str, ...], code: int) -> None:
    """The command of the compose file tells a healthy run from one that is stuck."""
    _, *words = RUN["healthcheck"]["test"]
    with MetricsServer("127.0.0.1", 0, MetricsSnapshot, healthy=lambda: reasons) as server:
        server.start()
        command = [word.replace("127.0.0.1:9464", f"127.0.0.1:{server.port}") for word in words]
        done = subprocess.run([sys.executable, *command[1:]], capture_output=True, check=False)
    assert done.returncode == code
