"""The constant time offset between two recorded streams, from what moves in both, to a tenth of a frame.

Whatever moves covers and uncovers the same places in both pictures at the same moment. The lag is the one
with the most evidence, cell by cell and window by window, that one stream's motion is the other's.

Where the pictures are not registered, an object reaches a cell earlier in one of them, which looks like a
delay: 3 pixels at 300 pixels a second are 10 ms. Things that move there and back again tell the two apart, so
a displacement in space is then looked for together with the lag; but one displacement is not a registration,
and what is left of it stays in the lag. What two spectra show of a thing is not quite the same outline
either, so the interval is never narrower than that.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from streamfuse.core.motiontrack import COLUMNS, RATE_HZ, ROWS, MotionTrack
from streamfuse.core.shiftdraws import Drift, drift_of, redrawn, summit
from streamfuse.core.shiftevidence import CELL, WINDOW_S, Signals, evidence
from streamfuse.errors import CalibrationError

__all__ = ["MAX_OFFSET_S", "MIN_CONFIDENCE", "MIN_OVERLAP_S", "TimeShift", "find_shift"]

MAX_OFFSET_S: Final = 2.0
"""Offsets beyond this are not looked for."""
MIN_OVERLAP_S: Final = 4.5
"""Both streams must cover as much time together."""
MIN_CONFIDENCE: Final = 0.6
"""How far the best lag must stand out of all others: recordings of different scenes reach 0.48."""

_NEAR_S: Final = 0.2
"""Lags that belong to one peak."""
_FINE_LAGS: Final = 9
_CLIMBS: Final = 4
"""Steps of one sample from the coarse displacement to the best one."""
_OUTLINE_MS: Final = 2.5
"""Standard deviation of what different outlines of one thing in two spectra do to the offset."""
_UNREGISTERED_MS: Final = 7.0
"""The same, with what is left of the displacement of pictures that are not registered."""
_MAX_SPREAD_MS: Final = 15.0
_MAX_DRIFT_MS: Final = 15.0
"""Over the recording: less cannot be told from objects at different distances."""
_AROUND: Final = tuple(itertools.product((-1, 0, 1), repeat=2))

Doubles = npt.NDArray[np.float64]
Place = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeShift:
    """What must be added to infrared times, and how sure that is.

    Raises:
        ValueError: an interval that does not hold the offset, or a confidence outside 0..1.
    """

    offset_ms: float
    """Milliseconds to add to the infrared capture times."""
    interval_ms: tuple[float, float]
    """The offset is between these in 95 of 100 recordings."""
    spread_ms: float
    """Standard deviation: of the offsets of redrawn windows and regions, and of different outlines."""
    confidence: float
    """How far the best lag stands out: 1 = nothing else correlates, 0 = another one as well."""
    displacement: tuple[float, float]
    """How far infrared things lie to the right of and below visible ones, in parts of the picture's sides."""
    overlap_s: float
    """Time that both streams cover."""

    def __post_init__(self) -> None:
        low, high = self.interval_ms
        if not low <= self.offset_ms <= high:
            raise ValueError(f"the interval {low}..{high} ms must hold the offset {self.offset_ms} ms")
        if not 0.0 <= self.confidence <= 1.0:
            raise ValueError(f"confidence must be within 0..1, got {self.confidence}")


def find_shift(visible: MotionTrack, infrared: MotionTrack, *, registered: bool) -> TimeShift:
    """Compare two recordings of cameras that stand still; some seconds of work for a minute.

    Args:
        visible: of the visible stream.
        infrared: of the infrared stream.
        registered: the pictures lie on each other, so that no displacement is looked for.

    Raises:
        CalibrationError: too short, too little moves in both, the motion repeats itself, or the clocks drift.
    """
    grid_s = _common_grid(visible, infrared)
    interval_s = max(visible.interval_s, infrared.interval_s)
    signals = visible.on(grid_s, interval_s=interval_s), infrared.on(grid_s, interval_s=interval_s)
    lag, start, confidence = _coarse(*signals, registered=registered)
    place, cube = _around(*signals, lag=lag, start=start, registered=registered)
    found = summit(cube.sum(axis=(0, 1)))
    if found is None:
        raise CalibrationError(_TOO_LITTLE if registered else _PLACE_OR_TIME)
    span_s = len(grid_s) / RATE_HZ
    here = cube if registered else cube[:, :, 1, 1]
    _check_drift(drift_of(here.sum(axis=1), window_s=WINDOW_S, rate_hz=RATE_HZ), span_s)
    offset_ms = -(found[2] + lag) / RATE_HZ * 1e3
    redrawn_ms = redrawn(cube) / RATE_HZ * 1e3
    spread_ms = float(np.hypot(redrawn_ms, _OUTLINE_MS if registered else _UNREGISTERED_MS))
    if spread_ms > _MAX_SPREAD_MS:
        raise CalibrationError(_TOO_LITTLE if registered else _PLACE_OR_TIME)
    return TimeShift(
        offset_ms=offset_ms,
        interval_ms=(offset_ms - 1.96 * spread_ms, offset_ms + 1.96 * spread_ms),
        spread_ms=spread_ms,
        confidence=confidence,
        displacement=((place[1] + found[1]) / COLUMNS, (place[0] + found[0]) / ROWS),
        overlap_s=span_s,
    )


_TOO_LITTLE: Final = (
    "too little moves in both streams to tell their time offset; record 20 s in which people walk and wave "
    "in several parts of the picture"
)
_PLACE_OR_TIME: Final = (
    "the pictures are not registered, and what moves here does not tell a displacement from a delay; run "
    "`streamfuse calibrate align` with this rig file first"
)


def _common_grid(visible: MotionTrack, infrared: MotionTrack) -> Doubles:
    if min(len(visible), len(infrared)) < 2:
        raise CalibrationError(_TOO_LITTLE)
    start_s = float(max(visible.times_s[0], infrared.times_s[0]))
    span_s = min(visible.times_s[-1], infrared.times_s[-1]) - start_s
    if span_s < MIN_OVERLAP_S:
        raise CalibrationError(
            f"the streams share {max(span_s, 0.0):.1f} s and {MIN_OVERLAP_S:g} s are needed; "
            "record longer, 20 s are good"
        )
    grid_s: Doubles = start_s + np.arange(0.0, span_s, 1 / RATE_HZ)
    return grid_s


def _coarse(first: Signals, second: Signals, *, registered: bool) -> tuple[int, Place, float]:
    """Lag in steps, displacement in samples, and how far it stands out."""
    most = round(min(MAX_OFFSET_S, len(first[1]) / RATE_HZ / 3) * RATE_HZ)
    places = [(0, 0)] if registered else [(down * CELL, across * CELL) for down, across in _AROUND]
    totals = {each: evidence(first, second, place=each, lags=(0, most)).sum(axis=(0, 1)) for each in places}
    place, total = max(totals.items(), key=lambda item: float(item[1].max()))
    peak = int(np.argmax(total))
    elsewhere = np.abs(np.arange(len(total)) - peak) > round(_NEAR_S * RATE_HZ)
    height = total[peak] - float(np.median(total))
    confidence = float((total[peak] - total[elsewhere].max()) / height) if height > 0 else 0.0
    if confidence < MIN_CONFIDENCE or not 0 < peak < len(total) - 1:
        raise CalibrationError(_why(total, elsewhere, peak))
    return peak - most, place, min(confidence, 1.0)


def _around(
    first: Signals, second: Signals, *, lag: int, start: Place, registered: bool
) -> tuple[Place, Doubles]:
    """The best displacement, and the evidence there: (windows, regions, lags).

    Where a displacement is looked for, that around it, too: (windows, regions, 3 down, 3 across, lags).
    """
    if registered:
        return start, evidence(first, second, place=start, lags=(lag, _FINE_LAGS))
    known: dict[Place, Doubles] = {}
    place = start
    for climb in range(_CLIMBS):
        near = [(place[0] + down, place[1] + across) for down, across in _AROUND]
        for each in near:
            if each not in known:
                known[each] = evidence(first, second, place=each, lags=(lag, _FINE_LAGS))
        best = max(near, key=lambda each: float(known[each].sum(axis=(0, 1)).max()))
        if best == place or climb == _CLIMBS - 1:
            break
        place = best
    cube = np.stack([known[place[0] + down, place[1] + across] for down, across in _AROUND], axis=2)
    return place, cube.reshape(*cube.shape[:2], 3, 3, -1)


def _why(total: Doubles, elsewhere: npt.NDArray[np.bool_], peak: int) -> str:
    """Two peaks high above the rest are motion that repeats itself; else there is just too little."""
    noise = float(np.median(np.abs(total - np.median(total))))
    rival = int(np.argmax(np.where(elsewhere, total, -np.inf)))
    if noise > 0 and total[rival] - np.median(total) > 6 * noise:
        apart_ms = abs(rival - peak) / RATE_HZ * 1e3
        return (
            f"the motion repeats itself: offsets {apart_ms:.0f} ms apart fit nearly as well; record "
            "something irregular, such as people who walk about and wave"
        )
    return _TOO_LITTLE


def _check_drift(drift: Drift | None, span_s: float) -> None:
    if drift is not None and abs(drift.ppm) * 1e-3 * span_s > _MAX_DRIFT_MS:
        total_ms = drift.ppm * 1e-3 * span_s
        raise CalibrationError(
            f"the offset drifts by {drift.ppm:+.0f} ppm ({total_ms:+.0f} ms over {span_s:.0f} s), so that no "
            "constant fits; use capture times of one clock, or `sync.offset_ms: auto`"
        )
