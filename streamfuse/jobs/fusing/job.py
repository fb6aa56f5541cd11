"""What to fuse, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from streamfuse.engine.fusion import Mode
from streamfuse.errors import SourceError, UsageError

__all__ = ["FuseJob", "FuseReport", "Progress"]

Progress = Callable[[int, int | None], None]
"""Called with what is done and, where it is known, what there is in all: images or frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FuseJob:
    """Two inputs of one kind (folders of images, images, or videos), and where the result goes.

    Raises:
        UsageError: a batch below 1, or a result that would replace its own input.
    """

    visible: Path
    infrared: Path
    out: Path
    mode: Mode = Mode.STREAM
    batch: int = 4
    """Pairs that are fused at once, where the device gains by it."""
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise UsageError(f"batch must be at least 1, got {self.batch}")
        if self.out.resolve() in {self.visible.resolve(), self.infrared.resolve()}:
            raise UsageError(f"{self.out} is an input; give the result a place of its own")


@dataclass(frozen=True, slots=True, kw_only=True)
class FuseReport:
    """The account of a job: every image or frame is in exactly one of the first four fields."""

    out: Path
    written: int
    skipped: int = 0
    """Results that an earlier run with the same settings had made."""
    unmatched: tuple[str, ...] = ()
    """Stems, or visible frames, without a partner; they are not written."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """Why a pair could not be fused, by stem."""
    truncated: SourceError | None = None
    """A video that ended before its promised end; what was there is written."""

    def check(self) -> None:
        """Pass if all that had a partner was fused.

        Raises:
            SourceTruncatedError: a video ended early.
            SourceError: pairs failed.
        """
        if self.truncated is not None:
            raise self.truncated
        if self.failed:
            raise SourceError(
                "\n".join(f"{stem}: could not be fused: {why}" for stem, why in self.failed.items())
            )
