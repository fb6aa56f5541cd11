"""Two recordings frame by frame: which infrared frame belongs to a visible one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from streamfuse.io.source import SourceFrame

__all__ = ["FrameReader", "pair_by_time"]


class FrameReader(Protocol):
    """Gives frames in the order of their times."""

    def read(self) -> SourceFrame | None:
        """The next frame, or None at the end."""


def pair_by_time(
    visible: FrameReader, infrared: FrameReader, *, max_skew_ns: int
) -> Iterator[tuple[SourceFrame, SourceFrame | None]]:
    """Each visible frame with the infrared frame nearest in time, the earlier of two that are equally near.

    An infrared frame may be the nearest to several visible ones. The infrared frame is None where the
    nearest is further away than ``max_skew_ns``.
    """
    nearest, following = infrared.read(), infrared.read()
    while (frame := visible.read()) is not None:
        while (
            following is not None
            and nearest is not None
            and _skew_ns(following, frame) < _skew_ns(nearest, frame)
        ):
            nearest, following = following, infrared.read()
        matched = nearest is not None and _skew_ns(nearest, frame) <= max_skew_ns
        yield frame, nearest if matched else None


def _skew_ns(a: SourceFrame, b: SourceFrame) -> int:
    return abs(a.pts_ns - b.pts_ns)
