"""When a frame was seen, in the host's monotonic time, from the best clock that its camera offers."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["ClockReport", "Stamp", "TimeSource"]


class TimeSource(enum.StrEnum):
    """Where a capture time comes from, best first."""

    DEVICE = "device"
    """The camera's own clock, stamped at exposure (GenICam, PTP)."""
    RTCP = "rtcp"
    """The camera's clock, as its RTCP sender reports tell it."""
    DRIVER = "driver"
    """The host's monotonic clock, stamped by the kernel driver (V4L2)."""
    NODE = "node"
    """The monotonic clock of a capture node."""
    PTS = "pts"
    """Presentation times of the stream: even, but with an origin that means nothing."""
    ARRIVAL = "arrival"
    """The moment at which the frame reached us."""
    FILE = "file"
    """A recording played by its own times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """One frame's time by a clock that is better than its arrival."""

    source: TimeSource
    time_ns: int
    """In that clock; its origin is its own affair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReport:
    """How a camera's clock stands to the host's monotonic clock."""

    source: TimeSource
    offset_ms: float
    """Host minus camera at the newest frame; for clocks of another origin only its changes mean something."""
    drift_ppm: float
    """How much faster the camera's clock runs than the host's, in parts per million."""
    jitter_ms: float
    """Spread of the arrivals around the fitted line: what the fit has taken out."""
    samples: int
    """Frames that the fit rests on."""
