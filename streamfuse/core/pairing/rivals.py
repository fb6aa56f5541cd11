"""Whether a later base frame takes what an earlier one would be matched with, where each is matched once."""

from __future__ import annotations

from typing import TypeVar

from streamfuse.core.pairing.side import Side, Waiting

__all__ = ["rival_of", "rival_takes"]

T = TypeVar("T")


def rival_of(frame: Waiting[T], base: Side[T]) -> Waiting[T] | None:
    """The next base frame of a later time, the only one that can be in the way."""
    return next((later for later in base.frames if later.moment_ns > frame.moment_ns), None)


def rival_takes(wanted: Waiting[T], frame: Waiting[T], *, base: Side[T], other: Side[T]) -> bool | None:
    """Whether a later base frame is nearer to what this one wants, and wants it, too.

    Args:
        wanted: the frame of the other stream nearest to ``frame``.
        frame: a base frame, older than all that wait in ``base`` or of their time.
        base: the base stream.
        other: the other stream.

    Returns:
        None while it depends on frames to come.
    """
    if wanted.moment_ns <= frame.moment_ns:
        return False  # later base frames are farther away
    rival = rival_of(frame, base)
    if rival is None:
        return False if base.ended else None
    if abs(rival.moment_ns - wanted.moment_ns) >= wanted.moment_ns - frame.moment_ns:
        return False
    if other.nearest(rival.moment_ns) is not wanted:
        return False
    return True if other.knows(rival.moment_ns) else None
