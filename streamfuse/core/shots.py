"""When a picture of a calibration board is worth keeping, and what to ask for next. Pure decisions."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from streamfuse.clock import NS_PER_S
from streamfuse.core.coverage import Coverage, Need, Sight
from streamfuse.frames import StreamName

__all__ = ["Judgement", "ShotPicker", "Verdict"]

_STILL_PER_S: Final = 0.04
"""Picture widths per second: what a hand that holds a board still cannot avoid."""
_JITTER: Final = 0.0015
"""Picture widths by which a found corner is off without moving: a pixel of 640."""
_STILL_S: Final = 0.2
"""For so long it must have been still."""
_FORGET_S: Final = 2.5
"""Two sights further apart say nothing of a movement."""
_PLENTY: Final = 30
"""More shots make no calibration better, whatever is missing: the room may not allow it."""
_SHARP_PX: Final = 6.0
"""Width of the edges; more is out of focus, whatever the camera."""


class Verdict(enum.StrEnum):
    """What is to be said of a moment."""

    TAKE = "take"
    LOST = "lost"
    MOVING = "moving"
    BLURRED = "blurred"
    KNOWN = "known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict with what it is about."""

    verdict: Verdict
    streams: tuple[StreamName, ...] = ()
    """Whose picture it is about; empty: all."""
    new: tuple[Need, ...] = ()
    """What the shot gives that was missing."""

    @property
    def words(self) -> str:
        """One short sentence."""
        whose = " and ".join(self.streams)
        match self.verdict:
            case Verdict.TAKE:
                return "taken"
            case Verdict.LOST:
                return f"no board in the {whose} picture"
            case Verdict.MOVING:
                return "hold the board still"
            case Verdict.BLURRED:
                return f"the {whose} picture is not sharp: look at the focus"
            case Verdict.KNOWN:
                return "this pose is there already"


class ShotPicker:
    """Looks at the sights of one or two cameras and says which moments to keep.

    What one of two cameras has seen need not be shown to the other again: no two see the same part of a room.

    Args:
        streams: the cameras.
    """

    def __init__(self, streams: Iterable[StreamName]) -> None:
        self._coverage = {stream: Coverage() for stream in streams}
        self._before: Mapping[StreamName, Sight] = {}
        self._seen_ns = 0
        self._still_since_ns: int | None = None

    @property
    def coverage(self) -> Mapping[StreamName, Coverage]:
        """What each camera has seen."""
        return MappingProxyType(self._coverage)

    @property
    def shots(self) -> int:
        """How many were taken."""
        return min(coverage.shots for coverage in self._coverage.values())

    @property
    def needs(self) -> tuple[Need, ...]:
        """What no camera has seen yet, what should come first in front."""
        missing = [coverage.needs for coverage in self._coverage.values()]
        return tuple(need for need in missing[0] if all(need in others for others in missing[1:]))

    @property
    def is_enough(self) -> bool:
        """Whether all poses are there, or so many shots that some must be out of reach."""
        return not self.needs or self.shots >= _PLENTY

    @property
    def progress(self) -> float:
        """0..1; 1 exactly when nothing is missing."""
        if not self.needs:
            return 1.0
        return min(0.99, max(coverage.progress for coverage in self._coverage.values()))

    def judge(
        self,
        sights: Mapping[StreamName, Sight | None],
        now_ns: int,
        *,
        sharpness_px: Mapping[StreamName, float],
    ) -> Judgement:
        """Whether to keep this moment; a shot that is worth it counts as taken.

        Args:
            sights: the board in the picture of each camera; None where it was not found.
            now_ns: when the pictures were captured, monotonic.
            sharpness_px: width of edges; NaN or missing where nobody knows.
        """
        found = {stream: sight for stream, sight in sights.items() if sight is not None}
        still = self._is_still(found, now_ns)
        if lost := tuple(stream for stream in self._coverage if stream not in found):
            return Judgement(verdict=Verdict.LOST, streams=lost)
        if soft := tuple(stream for stream in found if sharpness_px.get(stream, 0.0) > _SHARP_PX):
            return Judgement(verdict=Verdict.BLURRED, streams=soft)
        is_new = any(self._coverage[stream].is_new(sight) for stream, sight in found.items())
        needs = self._take(found)
        if not is_new and not needs:
            self._undo()
            return Judgement(verdict=Verdict.KNOWN)
        if not still:
            self._undo()
            return Judgement(verdict=Verdict.MOVING)
        return Judgement(verdict=Verdict.TAKE, new=needs)

    def _take(self, found: Mapping[StreamName, Sight]) -> tuple[Need, ...]:
        """Count a shot; gives what it brings that was missing."""
        before = self.needs
        for stream, sight in found.items():
            self._coverage[stream].take(sight)
        after = self.needs
        return tuple(need for need in before if need not in after)

    def _undo(self) -> None:
        for coverage in self._coverage.values():
            coverage.undo()

    def _is_still(self, found: Mapping[StreamName, Sight], now_ns: int) -> bool:
        """Whether nothing has moved for a while in any picture that shows the board."""
        before, self._before = self._before, found
        passed_s = (now_ns - self._seen_ns) / NS_PER_S
        self._seen_ns = now_ns
        common = [(before[stream], sight) for stream, sight in found.items() if stream in before]
        moved = max((float(np.abs(a.corners - b.corners).max()) for a, b in common), default=np.inf)
        if not 0 < passed_s < _FORGET_S or moved > _STILL_PER_S * passed_s + _JITTER:
            self._still_since_ns = None
            return False
        if self._still_since_ns is None:
            self._still_since_ns = now_ns - round(passed_s * NS_PER_S)
        return now_ns - self._still_since_ns >= _STILL_S * NS_PER_S
