"""Reading and mending the index of a segment: a header and a line for each pair, in JSON.

The header names the version of the format in ``streamfuse_index``, the pipeline, the start, and the
tracks. Every other line is a pair's record (:func:`streamfuse.core.pair_record.pair_record`) with its
``pts_ms`` on the timeline of the segment's videos. A crash may cut the last line off.
"""

from __future__ import annotations

import json
import os
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from streamfuse.clock import NS_PER_MS
from streamfuse.errors import SourceError
from streamfuse.io.files import write_text
from streamfuse.io.shelf import Track

__all__ = [
    "INDEX_SCHEMA",
    "SAME_NS",
    "Index",
    "IndexLine",
    "add_lines",
    "cut_index",
    "lines_with",
    "read_index",
]

SAME_NS: Final = 600_000
"""A picture and a line are of one pair when their times differ by no more: Matroska rounds to a
millisecond, and lines are a millisecond apart."""
INDEX_SCHEMA: Final = 1
"""Version of the header; it rises when a key changes its meaning or goes, not when one is added."""
_OF_INFRARED: Final = frozenset({Track.INFRARED, Track.RAW_INFRARED})


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexLine:
    """What a line says of when and what its pair was."""

    pts_ns: int
    """Time in the videos of the segment, in nanoseconds."""
    capture_ns: int
    """Monotonic capture time."""
    visible_seq: int | None = None
    infrared_seq: int | None = None
    is_rebuilt: bool = False
    """Whether a repair made it from a picture; which images the pair had is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """The index of one segment."""

    path: Path
    head: Mapping[str, Any]
    pipeline: str
    fps: float
    """Nominal frames per second."""
    start_utc: datetime
    tracks: frozenset[str]
    """Names of the tracks that were recorded; the fused one where the header does not tell."""
    lines: tuple[IndexLine, ...]
    bad_lines: tuple[int, ...]
    """Numbers of the lines that cannot be read or do not rise in time, the header being 1."""
    is_cut: bool
    """Whether the last line was cut off; it is not among ``bad_lines``."""


def read_index(path: Path) -> Index:
    """Read an index as far as it can be read.

    Raises:
        SourceError: the file cannot be read, or its header is not that of an index of this version.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); check its rights") from error
    *raw, rest = text.split(b"\n")
    try:
        head = _head(raw[0] if raw else b"")
        lines, bad_lines = _lines(raw[1:])
        return Index(
            path=path,
            head=head,
            pipeline=str(head["pipeline"]),
            fps=_positive(head["fps"]),
            start_utc=datetime.fromisoformat(head["start_utc"]),
            tracks=frozenset(head.get("tracks", (Track.FUSED,))),
            lines=tuple(lines),
            bad_lines=tuple(bad_lines),
            is_cut=bool(rest),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(
            f"{path}: is no index of version {INDEX_SCHEMA} ({error}); "
            "streamfuse verify --repair makes one from the video"
        ) from error


def lines_with(track: Track, lines: Sequence[IndexLine]) -> Iterator[int]:
    """Numbers of the lines, from 0, at whose time a track has a picture.

    An infrared image that is held is not recorded again, except that a file may begin with one.
    """
    last_seq: int | None = None
    for number, line in enumerate(lines):
        if track is Track.FUSED or (track is Track.VISIBLE and line.visible_seq is not None):
            yield number
        elif line.is_rebuilt:
            last_seq = None  # its infrared image may be the one that the next line holds
        elif track in _OF_INFRARED and line.infrared_seq is not None:
            if last_seq is not None and line.infrared_seq != last_seq:
                yield number
            last_seq = line.infrared_seq


def cut_index(path: Path, *, gone_ns: Container[int]) -> int:
    """Leave out the lines at the times ``gone_ns`` and those that are none; how many pairs are left.

    An end is cut off in place, which needs no room on the disk; otherwise the file is replaced in one step.

    Raises:
        SourceError: as :func:`read_index`.
        OSError, OutputError: it cannot be written.
    """
    bad = set(read_index(path).bad_lines)
    head, *raw, _ = path.read_bytes().split(b"\n")
    times_ns = {number: _pts_ns(text) for number, text in enumerate(raw, start=2) if number not in bad}
    kept = [raw[number - 2] for number, time_ns in times_ns.items() if time_ns not in gone_ns]
    if kept == raw[: len(kept)]:
        os.truncate(path, sum(len(text) + 1 for text in (head, *kept)))
    else:
        write_text(path, "".join(f"{text.decode()}\n" for text in (head, *kept)))
    return len(kept)


def add_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Put the lines of ``records`` where their times belong; the file is replaced in one step.

    Args:
        path: An index without bad lines, and not cut off.
        records: Each with a ``pts_ms`` that no line has.

    Raises:
        OSError, OutputError: it cannot be read, or not be written.
    """
    head, *raw, _ = path.read_bytes().split(b"\n")
    new = [json.dumps(record, separators=(",", ":")).encode() for record in records]
    lines = sorted([*raw, *new], key=_pts_ns)
    write_text(path, "".join(f"{text.decode()}\n" for text in (head, *lines)))


def _head(text: bytes) -> Mapping[str, Any]:
    head: Mapping[str, Any] = json.loads(text)
    if head["streamfuse_index"] != INDEX_SCHEMA:
        raise ValueError(f"its version is {head['streamfuse_index']}")
    return head


def _lines(raw: list[bytes]) -> tuple[list[IndexLine], list[int]]:
    """The lines after the header, and the numbers of those that are none."""
    lines: list[IndexLine] = []
    bad_lines = []
    for number, text in enumerate(raw, start=2):
        line = _line(text)
        if line is None or (lines and line.pts_ns <= lines[-1].pts_ns):
            bad_lines.append(number)
        else:
            lines.append(line)
    return lines, bad_lines


def _line(text: bytes) -> IndexLine | None:
    try:
        record = json.loads(text)
        return IndexLine(
            pts_ns=round(record["pts_ms"] * NS_PER_MS),
            capture_ns=int(record["capture_ns"]),
            visible_seq=record.get("visible_seq"),
            infrared_seq=record.get("infrared_seq"),
            is_rebuilt=record.get("rebuilt") is True,
        )
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return None


def _pts_ns(text: bytes) -> int:
    line = _line(text)
    return -1 if line is None else line.pts_ns


def _positive(fps: Any) -> float:
    if not 0 < float(fps) < float("inf"):
        raise ValueError(f"its fps is {fps}")
    return float(fps)
