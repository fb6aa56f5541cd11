"""What the doctor says about one part of the machine."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["Finding", "Level"]


class Level(enum.StrEnum):
    """How well a part is."""

    OK = "ok"
    WARNING = "warning"
    """streamfuse runs, but something of it does not, or not as well as it could."""
    FAIL = "fail"
    """streamfuse does not run here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One part of the machine.

    Raises:
        ValueError: a trouble without a way to mend it, or the other way round.
    """

    what: str
    """The part, in a word or two."""
    level: Level
    text: str
    """What was found."""
    fix: str = ""
    """What to do about it; empty if all is well."""

    def __post_init__(self) -> None:
        if (self.level is Level.OK) is bool(self.fix):
            raise ValueError(
                f"{self.what}: a fix goes with a warning or a failure, got {self.level} and {self.fix!r}"
            )
