"""What is left of the time offset between the streams, seen from the motion in both images.

Whatever moves, moves in both images at the same moment. The motion of both streams
(:class:`~streamfuse.core.motion.MotionEnergy`) is put on a common time line, freed from what changes
slowly (light, gain, sensor noise), and correlated for every lag up to half a second. An estimate is
given only where one lag stands out from all others: a still scene, or steps as regular as a walker's,
say nothing.

Two cameras side by side see a passing object at different places; what moves in one direction only
can make the estimate wrong by the distance of the cameras over the speed of the object.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from streamfuse.clock import NS_PER_S
from streamfuse.core.motion import Energy
from streamfuse.frames import StreamName

__all__ = ["MAX_OFFSET_MS", "MIN_CONFIDENCE", "OffsetEstimate", "OffsetEstimator", "OffsetSteering"]

MAX_OFFSET_MS: Final = 500.0
"""Offsets beyond this are not looked for."""
MIN_CONFIDENCE: Final = 0.2
"""Estimates less sure than this are not given: with noise alone it is hardly ever above 0.1."""

_WINDOW_S: Final = 20.0
_MIN_SPAN_S: Final = 8.0
_STEP_S: Final = 0.02
_LAGS: Final = round(MAX_OFFSET_MS / 1e3 / _STEP_S)
_SMOOTH: Final = 5
"""Steps averaged, twice: a tenth of a second evens out repeated and key frames."""
_SLOW: Final = 51
"""Steps whose average is taken off: what changes within a second is not motion."""
_USUAL: Final = 0.95
"""Share of the values of a channel that are taken as they are; the rest is cut to the largest of them."""
_NEAR: Final = round(0.2 / _STEP_S)
"""Steps around the best lag that belong to its peak."""
_MAX_GAP_S: Final = 0.35
"""Frames further apart than this say nothing about the time between: a shutter, an outage."""
_MAX_SILENCE_S: Final = 5.0
"""When one stream stays behind the other for so long, what is known is out of date."""
_MIN_SEEN: Final = 0.5
"""Share of the window in which both streams must have been seen."""

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetEstimate:
    """What would have to be added to the infrared capture times, and how much that stands out.

    Raises:
        ValueError: a confidence outside 0..1.
    """

    offset_ms: float
    confidence: float
    """Correlation at the best lag, less the best one elsewhere; 0..1."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.confidence <= 1.0:
            raise ValueError(f"confidence must be within 0..1, got {self.confidence}")


class OffsetEstimator:
    """Keeps the motion of the last seconds of both streams and compares them when asked."""

    def __init__(self) -> None:
        self._tracks = {stream: _Track() for stream in StreamName}

    def add(self, stream: StreamName, energy: Energy | None, capture_ns: int) -> None:
        """Take in the motion between the last image of a stream and the one captured now.

        None stands for an image without a comparison (the first) or without news (a repeat).
        Frames whose time does not go forward begin a new track.
        """
        self._tracks[stream].add(energy, capture_ns)

    def estimate(self) -> OffsetEstimate | None:
        """What the last 20 seconds say; None: unknown. A few milliseconds of work."""
        visible, infrared = (self._tracks[stream] for stream in (StreamName.VISIBLE, StreamName.INFRARED))
        if not (visible.moments_ns and infrared.moments_ns):
            return None
        end_ns = min(visible.moments_ns[-1], infrared.moments_ns[-1])
        if max(visible.moments_ns[-1], infrared.moments_ns[-1]) - end_ns > _MAX_SILENCE_S * NS_PER_S:
            return None
        start_ns = max(visible.moments_ns[0], infrared.moments_ns[0], end_ns - round(_WINDOW_S * NS_PER_S))
        if end_ns - start_ns < _MIN_SPAN_S * NS_PER_S:
            return None
        grid_s = np.arange(0.0, (end_ns - start_ns) / NS_PER_S, _STEP_S)
        first, seen_first = visible.on(grid_s, start_ns)
        second, seen_second = infrared.on(grid_s, start_ns)
        if np.mean(seen_first & seen_second) < _MIN_SEEN:
            return None
        return _best_lag(_correlation(first, second))


class _Track:
    """The motion of one stream in the last seconds."""

    def __init__(self) -> None:
        self.moments_ns: deque[int] = deque()
        self._energies: deque[Energy] = deque()
        self._before_ns: int | None = None

    def add(self, energy: Energy | None, capture_ns: int) -> None:
        before_ns = self._before_ns
        if before_ns is not None and capture_ns <= before_ns:
            self.moments_ns.clear()
            self._energies.clear()
            before_ns = None
        if before_ns is None or energy is not None:
            self._before_ns = capture_ns
        # A change over an outage is a change, but nobody knows when it happened.
        if before_ns is None or energy is None or capture_ns - before_ns > _MAX_GAP_S * NS_PER_S:
            return
        # What changed between two images happened, on the average, half-way between them.
        self.moments_ns.append((before_ns + capture_ns) // 2)
        self._energies.append(energy)
        oldest_ns = self.moments_ns[-1] - round((_WINDOW_S + 2 * MAX_OFFSET_MS / 1e3) * NS_PER_S)
        while self.moments_ns[0] < oldest_ns:
            self.moments_ns.popleft()
            self._energies.popleft()

    def on(self, grid_s: Doubles, start_ns: int) -> tuple[Doubles, npt.NDArray[np.bool_]]:
        """What is quick in the motion, (steps, channels), and at which steps the stream was seen."""
        times_s = (np.array(self.moments_ns) - start_ns) / NS_PER_S
        energies = np.stack(self._energies)
        after = np.clip(np.searchsorted(times_s, grid_s), 1, len(times_s) - 1)
        gap_s = times_s[after] - times_s[after - 1]
        share = np.clip((grid_s - times_s[after - 1]) / gap_s, 0.0, 1.0)[:, None]
        motion = energies[after - 1] * (1.0 - share) + energies[after] * share
        even = _averaged(_averaged(motion, _SMOOTH), _SMOOTH)
        quick = even - _averaged(even, _SLOW)
        most = np.quantile(np.abs(quick), _USUAL, axis=0)  # a cut or a flash must not outweigh the rest
        seen = gap_s <= _MAX_GAP_S
        return np.clip(quick, -most, most) * seen[:, None], seen


def _averaged(values: Doubles, steps: int) -> Doubles:
    """The running mean over an odd number of steps along the first axis, the ends repeated."""
    half = steps // 2
    padded = np.pad(values, ((half + 1, half), (0, 0)), mode="edge")
    sums = np.cumsum(padded, axis=0)
    mean: Doubles = (sums[steps:] - sums[:-steps]) / steps
    return mean


def _correlation(first: Doubles, second: Doubles) -> Doubles:
    """The normalised correlation at every lag of ``second``, from -MAX_OFFSET_MS to MAX_OFFSET_MS."""
    count = len(first)
    values = np.zeros(2 * _LAGS + 1)
    for place in range(len(values)):
        lag = place - _LAGS
        early = first[max(0, -lag) : count - max(0, lag)]
        late = second[max(0, lag) : count - max(0, -lag)]
        power = float(np.vdot(early, early)) * float(np.vdot(late, late))
        values[place] = np.vdot(early, late) / np.sqrt(power) if power > 0 else 0.0
    return values


def _best_lag(correlation: Doubles) -> OffsetEstimate | None:
    best = int(np.argmax(correlation))
    if not 0 < best < len(correlation) - 1:
        return None
    elsewhere = np.abs(np.arange(len(correlation)) - best) > _NEAR
    confidence = float(correlation[best] - max(0.0, np.max(correlation[elsewhere])))
    if confidence < MIN_CONFIDENCE:
        return None
    left, middle, right = correlation[best - 1 : best + 2]
    between = 0.5 * (left - right) / (left - 2 * middle + right)  # the vertex of the parabola through them
    lag_ms = (best + between - _LAGS) * _STEP_S * 1e3
    return OffsetEstimate(offset_ms=float(-lag_ms), confidence=min(1.0, confidence))


class OffsetSteering:
    """Turns estimates into what is applied: pairs must not jump, and one estimate in five may be wrong.

    An estimate is good to about a frame. So a difference below ``dead_zone_ms`` is left alone; a greater
    one is taken out in steps of at most ``max_change_ms``.
    """

    def __init__(self, *, dead_zone_ms: float = 30.0, max_change_ms: float = 20.0) -> None:
        if dead_zone_ms < 0 or max_change_ms <= 0:
            raise ValueError(
                f"dead_zone_ms must be at least 0, max_change_ms above; got {dead_zone_ms}, {max_change_ms}"
            )
        self.applied_ms = 0.0
        self._dead_zone_ms = dead_zone_ms
        self._max_change_ms = max_change_ms
        self._recent_ms: deque[float] = deque(maxlen=5)
        self._moves = False

    def step(self, estimate: OffsetEstimate | None) -> float:
        """What to apply after one more estimate, in milliseconds; without one nothing changes."""
        if estimate is None:
            return self.applied_ms
        self._recent_ms.append(estimate.offset_ms)
        if len(self._recent_ms) < 3:
            return self.applied_ms
        missing_ms = float(np.median(self._recent_ms)) - self.applied_ms
        self._moves = abs(missing_ms) > (1.0 if self._moves else self._dead_zone_ms)
        if self._moves:
            self.applied_ms += max(-self._max_change_ms, min(self._max_change_ms, missing_ms))
        return self.applied_ms
