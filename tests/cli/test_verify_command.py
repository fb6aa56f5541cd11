"""`streamfuse verify`: what people and programs are told, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from made_recordings import record
from typer.testing import CliRunner

from streamfuse.cli.verify import verify
from streamfuse.errors import PromiseError, SourceError

app = typer.Typer()
app.command()(verify)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two segments."""
    record(tmp_path, [0, 40, 80, 1200, 1240])
    return tmp_path


def run(*arguments: str) -> tuple[str, BaseException | None]:
    """Standard output, and the error that becomes the exit code."""
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "160"})
    return result.stdout, result.exception


def test_whole_recordings_are_ok(folder: Path) -> None:
    """A line for each segment, with its numbers."""
    out, error = run(str(folder))
    assert error is None
    assert out.split().count("ok") == 2
    assert "yard-20260304T050607Z-0001" in out


def test_a_broken_one_is_told_and_mended(folder: Path) -> None:
    """Exit code 4 with the way to mend it, then 0 with what was done."""
    index = next(folder.glob("*-0001.jsonl"))
    index.unlink()
    out, error = run(str(folder))
    assert f"wrong   {index.name}: is missing" in out
    assert isinstance(error, PromiseError)
    assert str(error) == "1 of 2 recordings is not whole; --repair mends what can be mended"
    out, error = run(str(folder), "--repair")
    assert error is None
    assert f"mended  {index.name}: made anew from the times of 3 pictures" in out
    assert run(str(folder))[1] is None


def test_what_is_lost_is_told_after_a_repair(folder: Path) -> None:
    """A video that is gone cannot come back."""
    next(folder.glob("*-0001.mp4")).unlink()
    _, error = run(str(folder), "--repair")
    assert str(error) == "1 of 2 recordings is not whole; what it lacks is lost"


def test_numbers_and_words_agree(folder: Path) -> None:
    """One recording, one line, one picture."""
    for path in folder.glob("*-0002*"):
        path.unlink()
    index = next(folder.glob("*-0001.jsonl"))
    lines = index.read_text().splitlines()
    index.write_text("\n".join((*lines[:3], "[]")) + "\n")
    out, error = run(str(folder))
    assert "line 4 cannot be read or does not rise in time" in out
    assert "1 picture is not in the index" in out
    assert str(error).startswith("1 of 1 recording is not whole;")
    out, error = run(str(folder), "--repair")
    assert error is None
    assert "1 line added" in out


def test_programs_get_json(folder: Path) -> None:
    """On standard output, also when something is wrong."""
    next(folder.glob("*-0002.jsonl")).unlink()
    out, error = run(str(folder), "--json")
    assert isinstance(error, PromiseError)
    plain = json.loads(out)
    assert plain["ok"] is False
    assert [len(each["problems"]) for each in plain["findings"]] == [0, 1]


def test_what_is_not_there_cannot_be_opened(tmp_path: Path) -> None:
    """Exit code 3."""
    _, error = run(str(tmp_path / "gone"))
    assert isinstance(error, SourceError)
    assert error.exit_code == 3
