"""Dashboard and alerts ask for what the program serves."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from streamfuse.core.health import CameraState
from streamfuse.frames import PairState
from streamfuse.io.metrics import MetricsServer, MetricsSnapshot
from streamfuse.runtime.counters import SINK_FAILED

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana" / "streamfuse.json").read_text())
PARTS = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}


def expressions() -> Iterator[str]:
    """Everything that dashboard and alerts ask Prometheus."""
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    for group in yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


@pytest.fixture
def served() -> set[str]:
    """Names of all series, from the page that Prometheus reads."""
    with MetricsServer("127.0.0.1", 0, MetricsSnapshot) as server:
        server.start()
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as page:
            text = page.read().decode()
    kinds = re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE)
    return {name + part for name, kind in kinds for part in PARTS[kind]}


def test_every_metric_that_is_asked_for_is_served(served: set[str]) -> None:
    """No panel stays empty and no alert silent because of a name."""
    asked = {name for text in expressions() for name in re.findall(r"\bstreamfuse_\w+", text)}
    assert len(asked) >= 18
    assert asked <= served, asked - served


def test_every_metric_is_shown(served: set[str]) -> None:
    """What is served has its place on the dashboard, so that a new metric is not forgotten there."""
    shown = " ".join(expressions())
    names = {re.sub(r"_(bucket|sum|count)$", "", name) for name in served}
    assert {name for name in names if name not in shown} == set()


def test_every_metric_is_explained(served: set[str]) -> None:
    """The table of docs/operations.md has them all, and no other."""
    page = (DEPLOY.parent / "docs" / "operations.md").read_text(encoding="utf-8")
    names = {re.sub(r"_(bucket|sum|count)$", "", name) for name in served}
    assert set(re.findall(r"^\| `(streamfuse_\w+)`", page, re.MULTILINE)) == names


def test_the_states_that_are_asked_for_exist() -> None:
    """Values of labels in dashboard and alerts are values of the program."""
    known = {*PairState, *CameraState, SINK_FAILED}
    asked = [value for text in expressions() for value in re.findall(r'(?:state|result)=~?"([^"]+)"', text)]
    assert asked
    assert {state for value in asked for state in value.split("|")} <= known


def test_prometheus_asks_where_the_compose_file_serves() -> None:
    """The target is the service's name and the port that its command sets; both files find each other."""
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    ((target,),) = (job["static_configs"][0]["targets"] for job in config["scrape_configs"])
    service, port = target.split(":")
    command = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"][service]["command"]
    assert f"--set=metrics.prometheus=0.0.0.0:{port}" in command
    assert [(DEPLOY / name).is_file() for name in config["rule_files"]] == [True]


def test_panels_do_not_overlap() -> None:
    """Each panel of the dashboard has a place of its own in the grid of 24 columns, and an id."""
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [
        (x, y)
        for at in places
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
