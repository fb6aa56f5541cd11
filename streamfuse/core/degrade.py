"""What a recorder goes without when the disk is full or gone, and when that comes back.

The order is fixed: the raw infrared stops first, then the infrared, the visible and the fused video,
and last the index, which is small and tells the story without pictures. A track stops while there is
still room for the more important ones, rather than when a write fails: a write that fails hits all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Final

from streamfuse.clock import NS_PER_S

__all__ = ["HOLD_S", "RETRY_S", "Degrade"]

HOLD_S: Final = 20.0
"""Seconds of a track and of all that are more important for which there has to be room."""
_AGAIN: Final = 2.0
"""So much more room lets a track come back that had stopped: on the edge it shall not come and go."""
RETRY_S: Final = 2.0
"""Seconds after a failed write before the disk is tried again."""


class Degrade:
    """Decides which tracks are recorded.

    Args:
        order: All tracks that are wanted, the first to stop first.

    Raises:
        ValueError: a track twice, or none.
    """

    def __init__(self, order: Sequence[str]) -> None:
        if not order or len(set(order)) != len(order):
            raise ValueError(f"the order needs each track once, got {list(order)}")
        self._order = tuple(order)
        self._running = frozenset(order)
        self._broken: frozenset[str] = frozenset()
        self._retry_at_ns = 0

    @property
    def running(self) -> frozenset[str]:
        """The tracks that are to be recorded now."""
        return self._running

    @property
    def stopped(self) -> tuple[str, ...]:
        """The tracks that were given up, in the order in which they are."""
        return tuple(track for track in self._order if track not in self._running)

    def needed_nbytes(self, nbytes_per_s: Mapping[str, float]) -> int:
        """Bytes of room with which everything is recorded, also what has stopped."""
        return ceil(_AGAIN * HOLD_S * sum(nbytes_per_s.get(track, 0.0) for track in self._order))

    def failed(self, track: str, *, now_ns: int) -> None:
        """A write failed: the track stops with all that are less important, and is tried again later.

        Args:
            track: The one that could not be written; the most important one where the whole disk is gone.
            now_ns: Monotonic time.
        """
        self._broken |= frozenset(self._order[: self._order.index(track) + 1])
        self._running -= self._broken
        self._retry_at_ns = now_ns + round(RETRY_S * NS_PER_S)

    def look(self, *, spare_nbytes: int | None, nbytes_per_s: Mapping[str, float], now_ns: int) -> None:
        """Decide anew by the room that is left.

        Args:
            spare_nbytes: Bytes that may still be written; None: the disk cannot be reached, all stops.
            nbytes_per_s: How fast each track grows, as far as that is known.
            now_ns: Monotonic time.
        """
        if spare_nbytes is None:
            self.failed(self._order[-1], now_ns=now_ns)
            return
        if now_ns >= self._retry_at_ns:
            self._broken = frozenset()
        running, need_nbytes = set(), 0.0
        for track in reversed(self._order):
            need_nbytes += HOLD_S * nbytes_per_s.get(track, 0.0)
            margin = 1.0 if track in self._running else _AGAIN
            if spare_nbytes <= 0 or spare_nbytes < margin * need_nbytes or track in self._broken:
                break
            running.add(track)
        self._running = frozenset(running)
