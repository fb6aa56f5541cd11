"""The table of faults is what the tests measured."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

TESTS = """
import pytest

@pytest.mark.parametrize("took", [0.5, 1.5, 2.5])
def test_camera(record_property, took):
    record_property("fault", "camera gone")
    record_property("promise", "back within 3 s")
    record_property("recovery_s", took)

def test_noise(record_property):
    record_property("fault", "noise on the port")

def test_server(record_property):
    record_property("fault", "server gone")
    pytest.skip("no server here")

def test_disk(record_property):
    record_property("room", "operations")
    record_property("fault", "disk full")
    assert False
"""


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, imported as when it runs: its folder is on the path."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("faults")


def test_each_fault_is_a_row_with_its_outcome_and_times(faults: ModuleType, tmp_path: Path) -> None:
    """Tests of one fault are one row; a skipped or failed one is told, never left out."""
    (tmp_path / "test_some.py").write_text(TESTS)
    report = tmp_path / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "--rootdir", str(tmp_path)]
    subprocess.run(
        [*command, f"--junitxml={report}", str(tmp_path)], check=False, capture_output=True, cwd=tmp_path
    )
    rows = {fault.what: fault for fault in faults.read_report(report)}
    assert {what: fault.outcome for what, fault in rows.items()} == {
        "camera gone": "survived",
        "noise on the port": "survived",
        "server gone": "not run",
        "disk full": "failed",
    }
    assert {fault.room for fault in rows.values()} == {"capture", "operations"}
    assert rows["disk full"].room == "operations"
    assert sorted(rows["camera gone"].recovery_s) == [0.5, 1.5, 2.5]  # pytest-randomly may be on
    assert "| camera gone | back within 3 s | survived | 1.50 | 2.50 | 3 |" in faults.table([*rows.values()])
