"""The losses of a run, an entry a step, as JSON lines and for TensorBoard, without doubles after a resume."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from streamfuse.clock import UtcLabel
from streamfuse.engine.weights import write_atomically
from streamfuse.errors import OutputError
from streamfuse.jobs.training.events import file_header, scalars_record

__all__ = ["LossLog"]


_PLACE = frozenset({"step", "round", "stage"})


class LossLog:
    """Appends each step to ``losses.jsonl`` and to TensorBoard's event file; a context manager.

    Args:
        out_dir: folder of both files; what a killed run wrote after its last checkpoint is cut off.
        done: steps that the checkpoint holds.

    Raises:
        OutputError: the files cannot be written.
    """

    def __init__(self, out_dir: Path, *, done: int) -> None:
        lines, events = out_dir / "losses.jsonl", out_dir / "events.out.tfevents.0.streamfuse"
        kept = _entries_until(lines, done)
        now_ns = UtcLabel.read().utc_ns
        write_atomically(lines, b"".join(map(_line, kept)))
        write_atomically(events, file_header(now_ns) + b"".join(_record(entry, now_ns) for entry in kept))
        try:
            # Unbuffered: a kill loses no step that was told.
            self._lines, self._events = lines.open("ab", buffering=0), events.open("ab", buffering=0)
        except OSError as error:
            raise OutputError(f"cannot write {error.filename}: {error.strerror}") from error

    def write(self, step: int, values: Mapping[str, float], *, stage: str, round: int) -> None:
        """Add the entry of one step; ``step`` counts from 1, as ``round`` does.

        Raises:
            OutputError: the disk is full.
        """
        entry = {"step": step, "round": round, "stage": stage, **values}
        try:
            self._lines.write(_line(entry))
            self._events.write(_record(entry, UtcLabel.read().utc_ns))
        except OSError as error:
            raise OutputError(f"cannot write {self._lines.name}: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()
        self._events.close()


def _line(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry).encode() + b"\n"


def _record(entry: Mapping[str, Any], utc_ns: int) -> bytes:
    values = {f"{entry['stage']}/{name}": value for name, value in entry.items() if name not in _PLACE}
    return scalars_record(entry["step"], values, utc_ns=utc_ns)


def _entries_until(path: Path, done: int) -> list[dict[str, Any]]:
    """Entries of the first ``done`` steps; a line torn by a kill ends them."""
    if not path.exists():
        return []
    kept = []
    for line in path.read_bytes().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            break
        if entry["step"] > done:
            break
        kept.append(entry)
    return kept
