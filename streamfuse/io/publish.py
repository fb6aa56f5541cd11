"""Publishers: tell the world about each fused frame, without its pixels.

A new kind is one class with the methods of :class:`Publisher` and one line in ``_KINDS``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from io import FileIO
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from streamfuse.clock import Utc, UtcLabel
from streamfuse.core.pair_record import pair_record
from streamfuse.errors import OutputError, UsageError
from streamfuse.frames import FusedFrame

__all__ = ["JsonlPublisher", "Publisher", "open_publisher"]


class Publisher(Protocol):
    """Sends the record of each fused frame somewhere. Whoever opens it closes it."""

    def publish(self, frame: FusedFrame) -> None:
        """Send the record of one frame.

        Raises:
            OutputError: it could not be sent.
        """

    def close(self) -> None:
        """Send what is pending and let go; may be called twice."""


class JsonlPublisher:
    """Appends one JSON object per fused frame to a text file, one per line (JSON Lines, UTF-8).

    The records are those of :func:`streamfuse.core.pair_record.pair_record`. Every line reaches the operating
    system before ``publish`` returns, so a killed process loses at most the line it was writing;
    the next one to open the file ends such a torn line first, so that it spoils no other.

    Args:
        path: file to append to; it and its folders are made when missing.
        utc: maps monotonic capture times to UTC; read now when None.

    Raises:
        OutputError: the file cannot be opened for writing.
    """

    def __init__(self, path: Path, *, utc: Utc | None = None) -> None:
        self._path = path
        self._utc = utc or UtcLabel.read()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = _open_at_line_start(path)
        except OSError as error:
            raise self._failure(error) from error

    def publish(self, frame: FusedFrame) -> None:
        """Append the record of one frame.

        Raises:
            OutputError: the line was not, or not wholly, written.
        """
        record = pair_record(frame, self._utc)
        line = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        try:
            written = self._file.write(line)
        except OSError as error:
            raise self._failure(error) from error
        if written != len(line):
            raise OutputError(
                f"cannot write events to {self._path}: the disk took {written} of {len(line)} bytes"
            )

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._file.close()

    def _failure(self, error: OSError) -> OutputError:
        return OutputError(f"cannot write events to {self._path}: {error.strerror}")


def _open_at_line_start(path: Path) -> FileIO:
    # Unbuffered: after a failed write nothing is left that close() would try again.
    file = path.open("a+b", buffering=0)
    try:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
    except OSError:
        file.close()
        raise
    return file


_KINDS: Mapping[str, Callable[[Path, Utc | None], Publisher]] = MappingProxyType(
    {"jsonl": lambda path, utc: JsonlPublisher(path, utc=utc)}
)


def open_publisher(kind: str, path: Path, *, utc: Utc | None = None) -> Publisher:
    """Open a publisher of the named kind (``jsonl``).

    Args:
        kind: the word of the pipeline file.
        path: where it writes.
        utc: maps monotonic capture times to UTC; read now when None.

    Raises:
        UsageError: there is no such kind.
        OutputError: the place cannot be written to.
    """
    opener = _KINDS.get(kind)
    if opener is None:
        raise UsageError(f"publish kind must be one of {', '.join(_KINDS)}, got {kind!r}")
    return opener(path, utc)
