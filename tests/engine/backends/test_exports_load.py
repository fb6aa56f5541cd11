"""An export of one file: made once, and again only where it must be."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from streamfuse.engine.backends.exports import Exports, UnreadableExport
from streamfuse.errors import MachineError


class Runtime:
    """Makes texts and reads them, and remembers both."""

    def __init__(self) -> None:
        self.made = 0
        self.read_contents: list[bytes] = []
        self.rejected: set[bytes] = set()

    def make(self) -> bytes:
        """Another content each time."""
        self.made += 1
        return f"content {self.made}".encode()

    def read(self, content: bytes) -> str:
        """The content in words, unless it is of the rejected ones."""
        self.read_contents.append(content)
        if content in self.rejected:
            raise UnreadableExport("not for this machine")
        return content.decode()


@pytest.fixture
def exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exports:
    """A fresh cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return Exports("a" * 64, runtime="tensorrt")


def test_it_is_made_once(exports: Exports) -> None:
    """And read every time; a runtime that is installed under another name does no harm."""
    runtime = Runtime()
    assert exports.load((1,), runtime.make, runtime.read) == "content 1"
    assert exports.load((1,), runtime.make, runtime.read) == "content 1"
    assert runtime.made == 1


def test_what_the_runtime_rejects_is_made_again(exports: Exports) -> None:
    """Once: the fresh one is kept in its place, and rejected it is an error."""
    runtime = Runtime()
    exports.load((1,), runtime.make, runtime.read)
    runtime.rejected.add(b"content 1")
    assert exports.load((1,), runtime.make, runtime.read) == "content 2"
    assert exports.load((1,), runtime.make, runtime.read) == "content 2"
    assert runtime.made == 2
    runtime.rejected.add(b"content 3")
    with pytest.raises(UnreadableExport, match="not for this machine"):
        exports.load((2,), runtime.make, runtime.read)
    assert runtime.made == 3


def test_a_cache_that_cannot_be_written_costs_no_second_making(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What took minutes is not thrown away because there was no place for it."""
    (tmp_path / "streamfuse").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    runtime = Runtime()
    assert Exports("b" * 64, runtime="tensorrt").load((1,), runtime.make, runtime.read) == "content 1"
    assert runtime.made == 1


def test_a_cache_that_cannot_be_written_is_said_once_in_a_process(tmp_path: Path) -> None:
    """One sentence: what, where and how to mend it, whoever wants to keep something and however often."""
    (tmp_path / "file").touch()
    program = (
        "from streamfuse.engine.backends.choices import Choice, ChoiceFile\n"
        "from streamfuse.engine.backends.exports import Exports\n"
        "for content in 'ab':\n"
        "    Exports(content, runtime='tensorrt').load((1,), lambda: b'x', bytes)\n"
        "    ChoiceFile(content).write(Choice(()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "file")},
        capture_output=True,
        text=True,
        check=True,
    )
    (said,) = done.stderr.splitlines()
    assert f"the cache folder {tmp_path / 'file' / 'streamfuse'} cannot be written (Not a directory)" in said
    assert "set XDG_CACHE_HOME" in said


def test_a_file_in_the_place_of_an_export_is_replaced(
    exports: Exports, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As a damaged export is, and said so."""
    runtime = Runtime()
    exports.load((1,), runtime.make, runtime.read)
    (place,) = (tmp_path / "streamfuse" / "exports").iterdir()
    shutil.rmtree(place)
    place.touch()
    assert exports.load((1,), runtime.make, runtime.read) == "content 2"
    assert f"the kept network {place} is damaged" in caplog.text
    assert exports.load((1,), runtime.make, runtime.read) == "content 2"


def test_an_error_while_making_leaves_nothing(exports: Exports, tmp_path: Path) -> None:
    """It passes through, and the next start tries again."""

    def fail() -> bytes:
        raise MachineError("no GPU today")

    with pytest.raises(MachineError, match="no GPU today"):
        exports.load((1,), fail, Runtime().read)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
