"""`streamfuse doctor`: for people, for programs, and its exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from streamfuse.cli.doctor import doctor
from streamfuse.jobs.doctor import examine
from streamfuse.jobs.doctor.finding import Finding, Level

app = typer.Typer()
app.command()(doctor)

FINE = Finding(what="clock", level=Level.OK, text="synchronised [by NTP]")
SLOW = Finding(what="cuda", level=Level.WARNING, text="out of reach", fix="look at `nvidia-smi`")
BROKEN = Finding(what="encoders", level=Level.FAIL, text="none works", fix="install another PyAV")
Machine = Callable[..., None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Put a machine in front of the doctor with what there is to find."""

    def put(*findings: Finding) -> None:
        def look() -> Iterable[Finding]:
            return findings

        monkeypatch.setattr(examine, "looks", lambda _folder: [("all", look)])

    return put


def test_this_machine_is_looked_at_from_top_to_bottom(tmp_path: Path) -> None:
    """Every part is in the answer, with a level; the code is 4 exactly if something failed.

    In a process of its own: Aravis keeps a socket from its first search on.
    """
    code = "import typer; from streamfuse.cli.doctor import doctor; typer.run(doctor)"
    command = [sys.executable, "-c", code, "--json", "--dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = {finding["what"]: finding for finding in json.loads(done.stdout)}
    assert list(found) == [
        *("python", "memory", "shared memory", "disk", "cache", "limits", "ports", "clock"),
        *("encoders", "network video", "camera", "torch", "cuda", "openvino"),
    ]
    for finding in found.values():
        assert set(finding) == {"what", "level", "text", "fix"}
        assert bool(finding["fix"]) is (finding["level"] != "ok")
    assert done.returncode == (4 if any(f["level"] == "fail" for f in found.values()) else 0)
    assert str(tmp_path) in found["disk"]["text"]
    for backend in ("torch", "openvino"):
        assert " ms at best, in " in found[backend]["text"]  # it has fused a picture


def test_a_fit_machine(machine: Machine) -> None:
    """Lines without advice, a last word, and code 0; brackets are no markup."""
    machine(FINE)
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 0
    assert result.output == "ok    clock          synchronised [by NTP]\nThis machine is fit.\n"


def test_a_warning_is_no_failure(machine: Machine) -> None:
    """The advice stands below, and the code is 0."""
    machine(FINE, SLOW)
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 0
    assert "warn  cuda           out of reach\n" in result.output
    assert "-> look at `nvidia-smi`\n" in result.output
    assert result.output.endswith("0 failures, 1 warning.\n")


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_failure_is_code_4(machine: Machine, options: tuple[str, ...]) -> None:
    """For people and for programs."""
    machine(BROKEN, FINE)
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 4
    assert "install another PyAV" in result.output
