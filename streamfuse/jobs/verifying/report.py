"""What a check of recordings found, as plain values."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["Finding", "Gap", "Kind", "Mend", "Problem", "Report", "VideoReport"]


class Kind(enum.StrEnum):
    """What was checked."""

    SEGMENT = "segment"
    CLIP = "clip"
    VIDEO = "video"
    """A video that is not one of a recording."""


class Mend(enum.StrEnum):
    """What ``--repair`` does about a problem."""

    FINISH = "finish"
    """Give the files of a recorder that died their names."""
    PICTURES = "pictures"
    """Copy the sound pictures into a new file."""
    CUT_INDEX = "cut_index"
    """Leave out lines that are none, and lines without a picture."""
    ADD_LINES = "add_lines"
    """Add lines for the pictures that have none."""
    NEW_INDEX = "new_index"
    """Make an index from the times of the pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with one file."""

    file: str
    """Its name."""
    text: str
    mend: Mend | None = None
    """None: what is lost is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A time without pairs. It is no fault of the recording: nothing was fused then."""

    at_s: float
    """Seconds from the start of the segment."""
    length_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoReport:
    """One video, decoded from end to end."""

    path: Path
    size_wh: tuple[int, int]
    pictures: int
    """Those that are sound."""
    damaged: int
    duration_s: float
    nbytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One segment, clip or video, and what is wrong with it."""

    kind: Kind
    name: str
    videos: tuple[VideoReport, ...] = ()
    pairs: int | None = None
    """Lines of the index; None without one."""
    gaps: tuple[Gap, ...] = ()
    problems: tuple[Problem, ...] = ()
    mended: tuple[str, ...] = ()
    """What was done about problems that are not there any more, a sentence each."""
    being_written: bool = False
    """A living recorder holds it; it was not looked into."""

    @property
    def duration_s(self) -> float:
        """Of its longest video, in seconds."""
        return max((video.duration_s for video in self.videos), default=0.0)

    @property
    def can_be_mended(self) -> bool:
        """Whether there is something that a repair would do."""
        return any(problem.mend is not None for problem in self.problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that was checked."""

    findings: Sequence[Finding]

    @property
    def broken(self) -> list[Finding]:
        """Those with a problem."""
        return [finding for finding in self.findings if finding.problems]

    def as_dict(self) -> dict[str, Any]:
        """As JSON knows it; ``ok`` is true if nothing is wrong."""
        return {"ok": not self.broken, "findings": [_as_dict(finding) for finding in self.findings]}


def _as_dict(finding: Finding) -> dict[str, Any]:
    plain = asdict(finding)
    for video in plain["videos"]:
        video["path"] = str(video["path"])
    return plain | {"duration_s": round(finding.duration_s, 3)}
