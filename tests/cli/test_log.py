"""How a long-running command speaks to people and to programs."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.text import Text

from streamfuse.cli.log import HumanLog, JsonLog, LogFormat, open_log

KEYS = ["time", "level", "source", "event", "message"]
STREET = "synthetic://street?seed=7&size=96x64&fps=20&duration=0.5"


def lines_of(stream: io.StringIO) -> list[dict[str, str]]:
    """The JSON lines that were written."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_program_gets_one_object_a_line() -> None:
    """With all keys in their order, the time in UTC, and line breaks kept inside."""
    stream = io.StringIO()
    with JsonLog(stream) as log:
        log.show(Text("12 fused"))
        log.say("it was lost\nand found", source="infrared", event="camera", level="warning", human="else")
    (line,) = lines_of(stream)
    assert list(line) == KEYS
    assert [line[key] for key in KEYS[1:]] == ["warning", "infrared", "camera", "it was lost\nand found"]
    written = datetime.fromisoformat(line["time"])
    assert line["time"].endswith("Z")
    assert abs((datetime.now(UTC) - written).total_seconds()) < 60


def test_a_person_gets_sentences() -> None:
    """As they were meant for people; an error begins with the program's name."""
    stream = io.StringIO()
    with HumanLog(stream) as log:
        log.show(Text("12 fused"))
        log.say("lost", source="infrared", human="infrared: lost")
        log.say("running")
        log.say("it broke", level="error")
    assert stream.getvalue().splitlines() == ["infrared: lost", "running", "streamfuse: it broke"]


@pytest.mark.parametrize("kind", [HumanLog, JsonLog])
def test_a_reader_that_is_gone_is_no_error(kind: type[HumanLog] | type[JsonLog]) -> None:
    """The window was closed: the work goes on."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", buffering=1) as stream:
        with kind(stream) as log:
            log.say("nobody hears this")
        with Path(os.devnull).open("w") as nowhere:  # takes what is left in the buffer
            os.dup2(nowhere.fileno(), writing)


def test_auto_looks_where_it_writes() -> None:
    """A terminal is read by a person, a pipe by a program; who wants it otherwise says so."""
    owner, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as screen, os.fdopen(owner, "rb", buffering=0):
        assert isinstance(open_log(LogFormat.AUTO, screen), HumanLog)
        assert isinstance(open_log(LogFormat.JSON, screen), JsonLog)
    assert isinstance(open_log(LogFormat.AUTO, io.StringIO()), JsonLog)
    assert isinstance(open_log(LogFormat.HUMAN, io.StringIO()), HumanLog)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """The program, as a service starts it."""
    environ = {name: value for name, value in os.environ.items() if name != "STREAMFUSE_LOG"}
    command = [sys.executable, "-m", "streamfuse", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environ, check=False)


def test_the_log_of_a_service_is_json(tmp_path: Path) -> None:
    """A run that begins writes one object a line; one that cannot begin says why in one plain sentence."""
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text(
        f'mode: every_frame\nsources: {{visible: {{uri: "{STREET}"}}, infrared: {{uri: "{STREET}"}}}}\n'
    )
    wrong = run("run", str(pipeline), "--set", "sources.visible.uri=gone.mp4")
    (line,) = wrong.stderr.splitlines()
    assert wrong.returncode == 3
    assert line.startswith("streamfuse: ")
    assert "gone.mp4" in line

    right = run("run", str(pipeline))
    assert right.returncode == 0, right.stderr
    lines = [json.loads(line) for line in right.stderr.splitlines()]
    assert all(list(line) == KEYS for line in lines)
    (running,) = [line["message"] for line in lines if line["event"] == "running"]
    assert running.startswith("running with ")
    assert right.stdout.startswith("pairs")
