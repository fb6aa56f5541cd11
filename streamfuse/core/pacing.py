"""Playing a recording as if it were a camera."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from streamfuse.clock import NS_PER_S

__all__ = ["MAX_FRAMES_BEHIND", "Pacer"]

MAX_FRAMES_BEHIND: Final = 3
"""A recording may run so many frames late before it goes on at the present."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pacer:
    """When each frame of a recording is due, and what was missed when it comes late.

    Raises:
        ValueError: the rate is not a positive number.
    """

    epoch_ns: int
    """Monotonic time at which frame 0 is due."""
    fps: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"fps must be a positive number, got {self.fps}")

    def due_ns(self, pts_ns: int) -> int:
        """Monotonic time of the moment that a frame shows."""
        return self.epoch_ns + pts_ns

    def missed(self, pts_ns: int, now_ns: int) -> int:
        """Frames after the one at ``pts_ns`` that a camera would have passed on by now.

        0 up to :data:`MAX_FRAMES_BEHIND`: a moment's delay is caught up, only a lasting one is skipped.
        """
        behind = int((now_ns - self.due_ns(pts_ns)) * self.fps / NS_PER_S)
        return behind if behind >= MAX_FRAMES_BEHIND else 0

    def position(self, now_ns: int) -> int:
        """Number of the frame that is due now; 0 before the epoch."""
        return max(0, round((now_ns - self.epoch_ns) * self.fps / NS_PER_S))
