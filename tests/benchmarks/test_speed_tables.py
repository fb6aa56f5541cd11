"""The scripts that make the tables of docs/performance.md."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def targets(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, imported as when it runs: its folder is on the path."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("targets")


@pytest.fixture
def speed(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Likewise."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("speed")


def write(folder: Path, name: str, **values: Any) -> None:
    """Leave results."""
    (folder / f"{name}.json").write_text(json.dumps(values), encoding="utf-8")


def test_a_promise_without_results_was_never_run(targets: ModuleType, tmp_path: Path) -> None:
    """Each line then names the command that would run it."""
    rows = list(targets.rows(tmp_path))
    assert len(rows) >= len(targets.PROMISES)
    assert all(row[-1] == "never run" and "python benchmarks/" in row[2] for row in rows)


def test_a_promise_has_what_was_measured_of_it(targets: ModuleType, tmp_path: Path) -> None:
    """Met and missed are those of the results; of several pipelines the slowest start counts."""
    met = {"what": "end to end, times the slowest", "limit": 0.9, "at_least": True, "got": 0.95, "met": True}
    missed = {"what": "orchestration, share", "limit": 0.05, "at_least": False, "got": 0.07, "met": False}
    write(tmp_path, "speed-pipeline", report={"targets": [met, missed]})
    starts = [{"start": "first", "median": {"first_frame_s": seconds}} for seconds in (4.0, 6.5)]
    write(tmp_path, "start", rows=starts)
    rows = [row[2:] for row in targets.rows(tmp_path)]
    assert [met["what"], ">= 0.9", "0.95", "met"] in rows
    assert [missed["what"], "<= 0.05", "0.07", "missed"] in rows
    assert ["seconds, with all tasks", "<= 6", "6.50", "missed"] in rows


@pytest.mark.parametrize("what", ["fusion", "growth", "pipeline"])
def test_the_tables_are_those_of_the_json(speed: ModuleType, what: str) -> None:
    """The Markdown in the results says what the JSON beside it says."""
    path = ROOT / "benchmarks" / "results" / f"speed-{what}"
    report = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["report"]
    page = path.with_suffix(".md").read_text(encoding="utf-8")
    assert page.startswith(speed.TABLES[what](report))


def test_the_list_of_promises_is_that_of_the_results(targets: ModuleType) -> None:
    """It was made again after the last measurement."""
    results = ROOT / "benchmarks" / "results"
    page = (results / "speed-targets.md").read_text(encoding="utf-8")
    for row in targets.rows(results):
        assert f"| {' | '.join(row)} |" in page
