"""One real run of a pipeline, as a user starts it: what it says at its end, and what its processes cost."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from streamfuse.errors import PromiseError

__all__ = ["Run", "run_once"]

_LOOK_EVERY_S: Final = 0.05
_SELF: Final = "run"
_TITLE: Final = "streamfuse "
"""What the titles of a run's worker processes begin with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run that has ended well."""

    summary: Mapping[str, Any]
    """As ``--summary`` writes it."""
    cpu_s: Mapping[str, float]
    """Processor time of each process from the moment that all were ready, by its name; ``run`` is the one
    that the user started."""


def run_once(pipeline: Path, words: Sequence[str], *, folder: Path) -> Run:
    """Run ``streamfuse run`` to its end.

    Args:
        pipeline: its file.
        words: further options.
        folder: for the summary.

    Raises:
        PromiseError: it ended with an error; with its last words.
    """
    summary = folder / "summary.json"
    command = [sys.executable, "-m", "streamfuse", "run", str(pipeline), "--log", "json"]
    with subprocess.Popen(  # noqa: S603 - our own program
        [*command, "--summary", str(summary), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None  # asked for
        try:
            watch = _Watch(process.pid)
            last_words = watch.to_its_end(process.stderr)
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise PromiseError(f"`streamfuse run` ended with {process.returncode}: {last_words}")
    return Run(summary=json.loads(summary.read_text(encoding="utf-8")), cpu_s=watch.cpu_s)


class _Watch:
    """Follows the processor time of a run's processes, from the moment that it says it runs."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._first: dict[str, float] | None = None
        self._last: dict[str, float] = {}

    @property
    def cpu_s(self) -> dict[str, float]:
        first = self._first or {}
        return {name: used_s - first.get(name, 0.0) for name, used_s in self._last.items()}

    def to_its_end(self, stderr: IO[bytes]) -> str:
        """Look until the run closes its output; its last line."""
        said = ""
        with selectors.DefaultSelector() as selector:
            os.set_blocking(stderr.fileno(), False)
            selector.register(stderr, selectors.EVENT_READ)
            partial = b""
            while True:
                if selector.select(_LOOK_EVERY_S):
                    if not (chunk := os.read(stderr.fileno(), 1 << 16)):
                        return said
                    *lines, partial = (partial + chunk).split(b"\n")
                    for line in lines:
                        said, event = _heard(line)
                        if event == "running":
                            self._first = dict(_used_s(self._pid))
                if self._first is not None:
                    self._last |= dict(_used_s(self._pid))


def _heard(line: bytes) -> tuple[str, str]:
    """Text and kind of one line of the run's log; what keeps a run from beginning is a plain sentence."""
    text = line.decode(errors="replace").strip()
    try:
        message = json.loads(text)
    except ValueError:
        return text, ""
    return message["message"], message["event"]


def _used_s(pid: int) -> Iterator[tuple[str, float]]:
    """Processor time of a process and its children, in seconds, by name."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        with contextlib.suppress(OSError):  # it ended while we looked
            fields = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            is_run = int(folder.name) == pid
            if not is_run and int(fields[1]) != pid:
                continue
            title = (folder / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
            if is_run or title.startswith(_TITLE):
                ticks = int(fields[11]) + int(fields[12])
                yield (_SELF if is_run else title.removeprefix(_TITLE)), ticks / os.sysconf("SC_CLK_TCK")
