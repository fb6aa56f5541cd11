"""Which recordings go to make room for new ones: the oldest first, and never one that is being written.

Clips of events are not recordings in this sense. They are not counted and never chosen: who wants
them gone removes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from streamfuse.config.outputs import Retention

__all__ = ["Stored", "chosen_to_go"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One segment on the disk, all of its files together.

    Raises:
        ValueError: a negative size, or a time without a zone.
    """

    name: str
    nbytes: int
    begun_utc: datetime
    is_open: bool
    """Somebody writes it, or its writer died and it waits for its repair: it stays."""

    def __post_init__(self) -> None:
        if self.nbytes < 0:
            raise ValueError(f"a size cannot be negative, got {self.nbytes} bytes of {self.name}")
        if self.begun_utc.tzinfo is None:
            raise ValueError(f"begun_utc needs its zone, got {self.begun_utc} of {self.name}")


def chosen_to_go(
    stored: Sequence[Stored],
    limits: Retention,
    *,
    now_utc: datetime,
    free_nbytes: int,
    next_nbytes: int = 0,
) -> tuple[Stored, ...]:
    """The segments to remove, oldest first, as few as the limits allow.

    Args:
        stored: All segments of the folder, in any order.
        limits: What the user wants; a limit that is None does not bind.
        now_utc: The present.
        free_nbytes: Free space of the disk, in bytes.
        next_nbytes: What the segment that is about to begin will take: there is to be room for it, too.
    """
    total_nbytes = sum(segment.nbytes for segment in stored) + next_nbytes
    free_nbytes -= next_nbytes
    too_old = None if limits.max_days is None else now_utc - timedelta(days=limits.max_days)
    chosen = []
    for segment in sorted(stored, key=lambda segment: (segment.begun_utc, segment.name)):
        is_over = limits.max_bytes is not None and total_nbytes > limits.max_bytes
        is_short = limits.min_free is not None and free_nbytes < limits.min_free
        is_old = too_old is not None and segment.begun_utc < too_old
        if segment.is_open or not (is_over or is_short or is_old):
            continue
        chosen.append(segment)
        total_nbytes -= segment.nbytes
        free_nbytes += segment.nbytes
    return tuple(chosen)
