"""What a source is: something that yields the images of one stream, one after the other.

A new kind of source is one class with the methods of :class:`Source`, in a file of its own, and one
line in :mod:`streamfuse.io.sources`; outside this package it is an entry point (docs/cameras.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from streamfuse.core.clockfit import Stamp
from streamfuse.frames import ColorMatrix, ColorRange, DropCause, Image, ImageSpec, PixelFormat

__all__ = ["Source", "SourceFrame", "SourceInfo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """What is known of a source once it is open."""

    spec: ImageSpec
    """Of every image it yields."""
    fps: float
    """Nominal frame rate in frames per second, positive."""
    frame_count: int | None
    """Number of frames, where the source knows it."""
    live: bool
    """Whether it gives frames in its own time (a camera) rather than when asked (a file)."""

    def __post_init__(self) -> None:
        if not self.fps > 0:
            raise ValueError(f"fps must be positive, got {self.fps}")

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """The information whose ``asdict`` has been through JSON."""
        spec = plain["spec"]
        width, height = spec["size_wh"]
        return cls(
            spec=ImageSpec(
                format=PixelFormat(spec["format"]),
                size_wh=(width, height),
                range=ColorRange(spec["range"]),
                matrix=ColorMatrix(spec["matrix"]),
            ),
            fps=plain["fps"],
            frame_count=plain["frame_count"],
            live=plain["live"],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceFrame:
    """One image with its time in the source's own clock."""

    image: Image
    pts_ns: int
    """Nanoseconds since the start of the source; rises from frame to frame."""
    stamp: Stamp | None = None
    """Its capture time by the best clock of a live source; None: only its arrival is known."""
    shutter_closed: bool = False
    """The camera says that it repeats an old image while it corrects itself (FFC)."""
    lost: Mapping[DropCause, int] = field(default_factory=dict)
    """Frames that the source knows to be missing between the one before and this, by cause."""


class Source(Protocol):
    """Yields images in order. Whoever opens it closes it.

    A live source belongs to one thread. Its constructor and :meth:`read` come back after the
    configured timeout at the latest; a camera that does not answer is a :class:`SourceError`, after
    which the source is closed and opened again.
    """

    @property
    def info(self) -> SourceInfo:
        """What is known of the source."""

    def read(self) -> SourceFrame | None:
        """The next image, or None at the end.

        Raises:
            SourceError: the source broke; SourceTruncatedError: it ended before its promised end.
        """

    def skip(self, count: int) -> None:
        """Go on at frame number ``count``, so that a restarted worker does not repeat frames.

        Live sources have no past to skip; they do nothing.
        """

    def close(self) -> None:
        """Release files and devices; may be called twice."""
