"""When a frame was seen, in the host's monotonic time, from the best clock that its camera offers."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from streamfuse.clock import NS_PER_MS, NS_PER_S
from streamfuse.core.envelope import LowerEnvelope

__all__ = ["CaptureClock", "ClockReport", "Stamp", "TimeSource"]

_AHEAD_S: Final = 0.1
"""A point so far under the line was not early (nothing is): the camera's clock jumped forward."""
_BACK_NS: Final = NS_PER_S // 2
"""Frames may change places on their way; a clock that goes back further than this has been set."""
_LATE_S: Final = 0.02
"""A point so far over the line is late, or its clock was set back or stood still; only time can tell."""
_STUCK_S: Final = 2.0
"""A backlog melts away; what stays late for so long is a clock that was set back."""
_STUCK_S2: Final = 0.4
"""The smaller the lateness, the longer it may be a busy network: seconds late times seconds waited."""
_PROOF: Final = 3
"""Frames in a row that a new line needs before the old one is given up: fewer are outliers."""
_DRIVER_MAX_AGE_NS: Final = NS_PER_S
"""A driver's stamp is older than this only if it is not by the host's monotonic clock."""


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
    """Mean height of the arrivals over the fitted line: what the fit has taken out."""
    samples: int
    """Frames that the fit rests on."""


class CaptureClock:
    """Tells when a frame was seen, from its stamp and its arrival.

    Each kind of clock that the camera offers has its own fitted line, kept while others are in use; so
    a better clock may come late or go away, and an old one is taken up again where it was left. A clock
    that is set (reboot, NTP, wrap) starts a new line from the first frame on, with the drift known so far.

    Args:
        latency_ms: what passes between the light and the earliest possible arrival; taken off.

    Raises:
        ValueError: a negative latency.
    """

    def __init__(self, *, latency_ms: float = 0.0) -> None:
        if latency_ms < 0:
            raise ValueError(f"latency must not be negative, got {latency_ms} ms")
        self.steps = 0
        """How often a clock of the camera was found to have been set."""
        self._latency_ns = round(latency_ms * NS_PER_MS)
        self._tracks: dict[TimeSource, _Track] = {}
        self._source = TimeSource.ARRIVAL
        self._newest_ns: int | None = None
        self._arrivals = 0

    def capture_ns(self, stamp: Stamp | None, *, arrival_ns: int) -> int:
        """Monotonic time at which the frame was seen, the latency taken off.

        Arrivals come in order. The answer is never after the arrival and never before the last answer.
        """
        self._arrivals += 1
        self._source = TimeSource.ARRIVAL if stamp is None else stamp.source
        seen_ns = arrival_ns if stamp is None else self._seen_ns(stamp, arrival_ns)
        seen_ns -= self._latency_ns
        if self._newest_ns is not None:
            seen_ns = max(seen_ns, self._newest_ns)
        self._newest_ns = min(seen_ns, arrival_ns)
        return self._newest_ns

    def restart(self) -> None:
        """Forget the camera's clocks: it was opened anew and they may have other origins."""
        self._tracks.clear()
        self._source = TimeSource.ARRIVAL
        self._arrivals = 0

    def report(self) -> ClockReport:
        """How the clock of the newest frame stands."""
        track = self._tracks.get(self._source)
        if track is None:
            return ClockReport(
                source=TimeSource.ARRIVAL, offset_ms=0.0, drift_ppm=0.0, jitter_ms=0.0, samples=self._arrivals
            )
        line = track.line
        offset_ns = line.host_ns(line.newest_ns) - line.newest_ns - self._latency_ns
        return ClockReport(
            source=self._source,
            offset_ms=offset_ns / NS_PER_MS,
            drift_ppm=(1 / (1 + line.slope) - 1) * 1e6,
            jitter_ms=line.mean_delay_s * 1e3,
            samples=line.samples,
        )

    def _seen_ns(self, stamp: Stamp, arrival_ns: int) -> int:
        track = self._tracks.setdefault(stamp.source, _Track())
        seen_ns, stepped = track.follow(stamp.time_ns, arrival_ns)
        self.steps += stepped
        if stamp.source is TimeSource.DRIVER and 0 <= arrival_ns - stamp.time_ns <= _DRIVER_MAX_AGE_NS:
            return stamp.time_ns
        return seen_ns


class _Track:
    """One clock of a camera: its line, and the line that may replace it."""

    def __init__(self) -> None:
        self.line = LowerEnvelope()
        self._rival: LowerEnvelope | None = None
        self._late: tuple[int, float] | None = None
        """Since when the frames have been late without getting less so, and by how many seconds."""

    def follow(self, camera_ns: int, arrival_ns: int) -> tuple[int, bool]:
        """Host time of this camera time, and whether the clock proved to have been set."""
        if self._fits(self.line, camera_ns, arrival_ns) and not self._is_stuck(camera_ns, arrival_ns):
            self._rival = None
            self.line.add(camera_ns, arrival_ns)
            return self.line.host_ns(camera_ns), False
        rival = self._rival
        if rival is None or not self._fits(rival, camera_ns, arrival_ns):
            rival = self._rival = LowerEnvelope(slope=self.line.slope)
        rival.add(camera_ns, arrival_ns)
        if rival.samples < _PROOF:
            return rival.host_ns(camera_ns), False
        self.line, self._rival, self._late = rival, None, None
        return rival.host_ns(camera_ns), True

    @staticmethod
    def _fits(line: LowerEnvelope, camera_ns: int, arrival_ns: int) -> bool:
        if not line.samples:
            return True
        back_ns = line.newest_ns - camera_ns
        return back_ns <= _BACK_NS and line.residual_s(camera_ns, arrival_ns) >= -_AHEAD_S

    def _is_stuck(self, camera_ns: int, arrival_ns: int) -> bool:
        """Whether the frames stay late: a backlog would have become less, at least by a tenth of the time."""
        late_s = self.line.residual_s(camera_ns, arrival_ns)
        if late_s < _LATE_S:
            self._late = None
            return False
        if self._late is None:
            self._late = (arrival_ns, late_s)
        since_ns, first_s = self._late
        waited_s = (arrival_ns - since_ns) / NS_PER_S
        if first_s - late_s > _LATE_S + 0.1 * waited_s:
            self._late = (arrival_ns, late_s)
            return False
        return waited_s >= max(_STUCK_S, _STUCK_S2 / late_s)
