"""How frames are to be paired."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from streamfuse.frames import StreamName

__all__ = ["JITTER_MS", "OnMissing", "PairingMode", "PairingPolicy"]

JITTER_MS = 5.0
"""How far a frame may be from its nominal time without anything being wrong."""

_EXACT_MS = 2.0
"""How far the stamps of two cameras on one trigger lie apart: exposures begin together, stamps nearly do."""


class PairingMode(enum.StrEnum):
    """Which frame of the other stream a base frame is matched with; values as in YAML.

    A match never lies further apart than the skew limit.
    """

    BASE = "base"
    """The nearest; one frame may serve several base frames."""
    NEAREST = "nearest"
    """The nearest, and each frame at most once: it goes to the nearest of the base frames that want it."""
    EXACT = "exact"
    """As ``nearest`` for cameras on one trigger: the automatic skew limit is 2 ms, so that a lost frame is
    never made up for by its neighbour."""
    HOLD = "hold"
    """The nearest of those that are there, at once, up to ``max_hold_ms`` old whatever ``on_missing`` says.
    With ``every_frame`` nobody is late, and the newest that is not after the base frame is taken."""
    SLOWEST = "slowest"
    """As ``base``, and the slower stream is the base: by its nominal rate at first, then as measured."""

    @property
    def once(self) -> bool:
        """Whether a frame is matched once at most."""
        return self in {PairingMode.NEAREST, PairingMode.EXACT}


class OnMissing(enum.StrEnum):
    """What becomes of a base frame without a match; values as in YAML."""

    HOLD = "hold"
    """It goes with the newest older partner up to ``max_hold_ms`` of age, and alone after that."""
    SINGLE = "visible_only"
    """It goes alone (alone is the infrared frame where infrared is the base)."""
    DROP = "drop"
    """It is dropped: only matched pairs come out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairingPolicy:
    """How frames are paired.

    Raises:
        ValueError: a rate is not positive, or a time is negative or not finite.
    """

    visible_fps: float
    """Nominal rate of the visible stream in frames per second."""
    infrared_fps: float
    mode: PairingMode = PairingMode.BASE
    base: StreamName = StreamName.VISIBLE
    """The stream whose frames look for partners; ``slowest`` decides it anew."""
    max_skew_ms: float | None = None
    """Largest time between the frames of a matched pair; None: half the slower period plus 5 ms, with
    ``hold`` a whole one plus 5 ms, and 2 ms with ``exact``. Live, the slower period is the measured one
    once 17 frames have come, so that a camera that gives less than it says is matched all the same."""
    max_wait_ms: float = 20.0
    """How long a base frame waits for its partner after its push (``realtime`` only)."""
    on_missing: OnMissing = OnMissing.HOLD
    max_hold_ms: float = 250.0
    offset_ms: float = 0.0
    """Added to infrared capture times; positive when the infrared clock is behind."""
    every_frame: bool = False
    """Files: wait for as long as it takes, so that the result does not depend on who came first."""

    def __post_init__(self) -> None:
        for name in ("visible_fps", "infrared_fps"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"{name} must be a positive number, got {getattr(self, name)}")
        for name in ("max_wait_ms", "max_hold_ms", "skew_limit_ms"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ValueError(f"{name} must be a number of at least 0, got {getattr(self, name)}")
        if not math.isfinite(self.offset_ms):
            raise ValueError(f"offset_ms must be a finite number, got {self.offset_ms}")

    @property
    def skew_limit_ms(self) -> float:
        """``max_skew_ms`` with the automatic value of the nominal rates filled in."""
        return self.skew_limit_ms_of(1000.0 / min(self.visible_fps, self.infrared_fps))

    def skew_limit_ms_of(self, slower_period_ms: float) -> float:
        """``max_skew_ms`` with the automatic value filled in, given the period of the slower stream."""
        if self.max_skew_ms is not None:
            return self.max_skew_ms
        if self.mode is PairingMode.EXACT:
            return _EXACT_MS
        # Who cannot wait for the next frame gets one that is up to a whole period old.
        return slower_period_ms * (1.0 if self.mode is PairingMode.HOLD else 0.5) + JITTER_MS

    def fps(self, stream: StreamName) -> float:
        """Nominal rate of a stream in frames per second."""
        return self.visible_fps if stream is StreamName.VISIBLE else self.infrared_fps
