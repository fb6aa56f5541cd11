"""How a live camera is doing, in a word and a few numbers."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from streamfuse.core.clockfit import ClockReport

__all__ = ["CameraHealth", "CameraState"]


class CameraState(enum.StrEnum):
    """Whether a camera gives pictures."""

    STARTING = "starting"
    """It is being opened for the first time."""
    LIVE = "live"
    FROZEN = "frozen"
    """It repeats an old image, as behind a closed shutter."""
    LOST = "lost"
    """It is away, or gives what cannot be used, and is tried again."""

    @property
    def code(self) -> int:
        """How it is written where only numbers are kept; above 0, which means that there is no camera."""
        return tuple(CameraState).index(self) + 1

    @classmethod
    def of_code(cls, code: int) -> CameraState | None:
        """The way back; None for 0."""
        return tuple(cls)[code - 1] if code else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraHealth:
    """A camera at one moment of a run."""

    state: CameraState
    reconnects: int
    """How often it came back."""
    clock: ClockReport | None
    """How its clock stands to the host's; None before its first frame."""

    def as_dict(self) -> dict[str, Any]:
        """In JSON's types."""
        clock = self.clock and {
            "source": self.clock.source.value,
            "offset_ms": round(self.clock.offset_ms, 3),
            "drift_ppm": round(self.clock.drift_ppm, 2),
            "jitter_ms": round(self.clock.jitter_ms, 3),
        }
        return {"state": self.state.value, "reconnects": self.reconnects, "clock": clock}
