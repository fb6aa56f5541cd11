"""The constant time offset between two recorded streams, from what moves in both, to a tenth of a frame.

Whatever moves changes the brightness of the same place in both pictures at the same moment, but brighter in
one may be darker in the other. So each cell of the picture and each window of time is correlated on its own,
with its sign, and the evidence for a lag is the log-likelihood of that correlation, ``-T/2 log(1 - r**2)``
(two Gaussian signals against independent ones), which knows no sign and weighs cells by what they say.
Unlike the energy of motion, brightness itself is linear in the scene: its delay is that of the stream.

Where the pictures are not quite registered, an object reaches a cell earlier in one of them, which looks like
a delay: 3 pixels at 300 pixels a second are 10 ms. Things that move there and back again tell the two apart;
so a displacement in space is looked for together with the lag.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from streamfuse.clock import NS_PER_S
from streamfuse.core.motiontrack import COLUMNS, RATE_HZ, ROWS, MotionTrack
from streamfuse.core.offset import OffsetEstimator
from streamfuse.core.shiftdraws import Drift, drift_of, vertex
from streamfuse.errors import CalibrationError
from streamfuse.frames import StreamName

__all__ = ["MAX_OFFSET_S", "MIN_CONFIDENCE", "MIN_OVERLAP_S", "TimeShift", "find_shift"]

MAX_OFFSET_S: Final = 2.0
"""Offsets beyond this are not looked for."""
MIN_OVERLAP_S: Final = 4.5
"""Both streams must cover as much time together."""
MIN_CONFIDENCE: Final = 0.6
"""How far the best lag must stand out of all others: recordings of different scenes reach 0.53."""

_WINDOW_S: Final = 2.0
_REGIONS: Final = (3, 4)
"""Parts of the picture, down and across, whose evidence is drawn anew for the uncertainty."""
_COARSE: Final = 4
"""Samples of a side of a cell where the lag is found, and of a step in space."""
_FINE: Final = 4
_NEAR_S: Final = 0.2
"""Lags that belong to one peak."""
_FINE_LAGS: Final = 9
_CLIMBS: Final = 4
"""Steps of one sample from the coarse displacement to the best one."""
_MAX_SPREAD_MS: Final = 15.0
_MAX_DRIFT_MS: Final = 15.0
"""Over the recording: less cannot be told from objects at different distances."""
_MAX_APART_MS: Final = 80.0
"""Between two estimates of different kinds, of which the rougher one is good to a frame or two."""
_DRAWS: Final = 300
_AROUND: Final = tuple(itertools.product((-1, 0, 1), repeat=2))

Singles = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Signals = tuple[Singles, npt.NDArray[np.bool_]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeShift:
    """What must be added to infrared times, and how sure that is.

    Raises:
        ValueError: an interval that does not hold the offset, or a confidence outside 0..1.
    """

    offset_ms: float
    """Milliseconds to add to the infrared capture times."""
    interval_ms: tuple[float, float]
    """95 % of redrawn sets of windows and regions lie between these."""
    spread_ms: float
    """Standard deviation of the redrawn offsets."""
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


def find_shift(visible: MotionTrack, infrared: MotionTrack) -> TimeShift:
    """Compare two recordings; some seconds of work for a minute.

    Raises:
        CalibrationError: too short, too little moves in both, the motion repeats itself, or the clocks drift.
    """
    grid_s = _common_grid(visible, infrared)
    interval_s = max(visible.interval_s, infrared.interval_s)
    signals = visible.on(grid_s, interval_s=interval_s), infrared.on(grid_s, interval_s=interval_s)
    lag, start, confidence = _coarse(*signals)
    place, cube = _climb(*signals, lag=lag, start=start)
    found = vertex(cube.sum(axis=(0, 1)))
    if found is None:
        raise CalibrationError(_TOO_LITTLE)
    _check_energy(visible, infrared, -(found[2] + lag) / RATE_HZ * 1e3)
    drift = drift_of(cube[:, :, 1, 1].sum(axis=1), window_s=_WINDOW_S, rate_hz=RATE_HZ)
    _check_drift(drift, len(grid_s) / RATE_HZ)
    draws_ms = -(_draws(cube) + lag) / RATE_HZ * 1e3
    offset_ms = -(found[2] + lag) / RATE_HZ * 1e3
    spread_ms = float(np.std(draws_ms)) if len(draws_ms) > _DRAWS // 2 else np.inf
    if spread_ms > _MAX_SPREAD_MS:
        raise CalibrationError(_TOO_LITTLE)
    low, high = np.percentile(draws_ms, (2.5, 97.5)).tolist()
    return TimeShift(
        offset_ms=offset_ms,
        interval_ms=(min(low, offset_ms), max(high, offset_ms)),
        spread_ms=spread_ms,
        confidence=confidence,
        displacement=((place[1] + found[1]) / COLUMNS, (place[0] + found[0]) / ROWS),
        overlap_s=len(grid_s) / RATE_HZ,
    )


_TOO_LITTLE: Final = (
    "too little moves in both streams to tell their time offset; record 20 s in which people walk and wave "
    "in several parts of the picture"
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


def _coarse(first: Signals, second: Signals) -> tuple[int, tuple[int, int], float]:
    """Lag in steps, displacement in samples, and how far it stands out."""
    most = round(min(MAX_OFFSET_S, len(first[1]) / RATE_HZ / 3) * RATE_HZ)
    steps = (-_COARSE, 0, _COARSE)
    best: tuple[float, tuple[int, int], Doubles] | None = None
    for place in itertools.product(steps, steps):
        total = _evidence(first, second, cell=_COARSE, place=place, lags=(0, most)).sum(axis=(0, 1))
        if best is None or total.max() > best[0]:
            best = float(total.max()), place, total
    assert best is not None
    _, place, total = best
    peak = int(np.argmax(total))
    elsewhere = np.abs(np.arange(len(total)) - peak) > round(_NEAR_S * RATE_HZ)
    usual = float(np.median(total))
    height = total[peak] - usual
    confidence = float((total[peak] - total[elsewhere].max()) / height) if height > 0 else 0.0
    if confidence < MIN_CONFIDENCE or not 0 < peak < len(total) - 1:
        raise CalibrationError(_why(total, elsewhere, peak))
    return peak - most, place, min(confidence, 1.0)


def _climb(
    first: Signals, second: Signals, *, lag: int, start: tuple[int, int]
) -> tuple[tuple[int, int], Doubles]:
    """The best displacement, and the evidence around it: (windows, regions, 3 down, 3 across, lags)."""
    known: dict[tuple[int, int], Doubles] = {}
    place = start
    for climb in range(_CLIMBS):
        around = [(place[0] + down, place[1] + across) for down, across in _AROUND]
        for each in around:
            if each not in known:
                known[each] = _evidence(first, second, cell=_FINE, place=each, lags=(lag, _FINE_LAGS))
        best = max(around, key=lambda each: float(known[each].sum(axis=(0, 1)).max()))
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


def _evidence(
    first: Signals, second: Signals, *, cell: int, place: tuple[int, int], lags: tuple[int, int]
) -> Doubles:
    """Log-likelihood (windows, regions, lags) that the second signal is the first one, later by a lag.

    Args:
        first: samples (60, 80, steps), and where they were seen.
        second: the same of the other stream.
        cell: samples to a side of what is correlated.
        place: samples down and across by which the second picture is displaced.
        lags: the middle one and how many to each side, in steps.
    """
    left, right = _cells(first[0], second[0], cell, place)
    down, across, steps = left.shape
    middle, reach = lags
    regions = _regions(down, across)
    windows = []
    for begin, end in itertools.pairwise(_edges(steps)):
        here = slice(begin, end)
        low, high = begin + middle - reach, end + middle + reach
        around = np.pad(right[..., max(low, 0) : max(high, 0)], ((0, 0), (0, 0), _outside(low, high, steps)))
        seen = np.pad(second[1][max(low, 0) : max(high, 0)], _outside(low, high, steps))
        r2, share = _coherence((left[..., here], first[1][here]), (around, seen), 2 * reach + 1)
        said = -0.5 * share * _WINDOW_S * np.log1p(-np.minimum(r2, 0.98)).reshape(down * across, -1)
        windows.append(np.stack([said[regions == region].sum(axis=0) for region in range(np.prod(_REGIONS))]))
    return np.array(windows)


def _edges(steps: int) -> Iterable[int]:
    count = max(1, round(steps / (_WINDOW_S * RATE_HZ)))
    return (round(steps * place / count) for place in range(count + 1))


def _outside(low: int, high: int, steps: int) -> tuple[int, int]:
    """How much of low..high lies before the start and after the end."""
    return min(max(-low, 0), high - low), min(max(high - steps, 0), high - low)


def _cells(first: Singles, second: Singles, cell: int, place: tuple[int, int]) -> tuple[Singles, Singles]:
    """Means of cell x cell samples of both, the second one taken from where it is displaced to."""
    parts = []
    for samples, (down, across) in ((first, (-place[0], -place[1])), (second, place)):
        rows, columns = ROWS - abs(down), COLUMNS - abs(across)
        rows, columns = rows // cell * cell, columns // cell * cell
        part = samples[max(down, 0) :, max(across, 0) :][:rows, :columns]
        parts.append(part.reshape(rows // cell, cell, columns // cell, cell, -1).mean(axis=(1, 3)))
    return parts[0], parts[1]


def _regions(down: int, across: int) -> npt.NDArray[np.intp]:
    rows = np.arange(down) * _REGIONS[0] // down
    columns = np.arange(across) * _REGIONS[1] // across
    return (rows[:, None] * _REGIONS[1] + columns).ravel()


def _coherence(short: Signals, long: Signals, lags: int) -> tuple[Singles, Doubles]:
    """Squared correlation of a window with each part of a longer one (cells…, lags), and the share seen."""
    (a, seen_a), (b, seen_b) = short, long
    size = 1 << (b.shape[-1] - 1).bit_length()

    def sliding(x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> Singles:
        spectrum = np.conj(np.fft.rfft(x, size)) * np.fft.rfft(y, size)
        return np.asarray(np.fft.irfft(spectrum, size)[..., :lags], np.float32)

    mask_a, mask_b = seen_a.astype(np.float32), seen_b.astype(np.float32)
    power = sliding(a * a, mask_b) * sliding(mask_a, b * b)
    product = sliding(a, b)
    floor = 1e-6 * power.max(initial=0.0) + np.finfo(np.float32).tiny
    share = np.maximum(sliding(mask_a, mask_b), 0.0) / len(seen_a)
    return product * product / np.maximum(power, floor), share.astype(np.float64)


def _draws(cube: Doubles) -> Doubles:
    """Lags (in steps from the middle) of as many windows and regions again, drawn with repetition."""
    units = cube.reshape(-1, *cube.shape[2:])
    rng = np.random.default_rng(0)
    counts = rng.multinomial(len(units), np.full(len(units), 1.0 / len(units)), size=_DRAWS)
    drawn = np.tensordot(counts.astype(np.float64), units, axes=1)
    return np.array([found[2] for found in map(vertex, drawn) if found is not None])


def _check_drift(drift: Drift | None, span_s: float) -> None:
    if drift is not None and abs(drift.ppm) * 1e-3 * span_s > _MAX_DRIFT_MS:
        total_ms = drift.ppm * 1e-3 * span_s
        raise CalibrationError(
            f"the offset drifts by {drift.ppm:+.0f} ppm ({total_ms:+.0f} ms over {span_s:.0f} s), so that no "
            "constant fits; use capture times of one clock, or `sync.offset_ms: auto`"
        )


def _check_energy(visible: MotionTrack, infrared: MotionTrack, offset_ms: float) -> None:
    """Light that runs ahead of a car is brightness that does not move with it; ask how much moves, too."""
    estimator = OffsetEstimator()
    for stream, track in ((StreamName.VISIBLE, visible), (StreamName.INFRARED, infrared)):
        estimator.add(stream, None, round(track.times_s[0] * NS_PER_S))
        for energy, time_ns in track.energies():
            estimator.add(stream, energy, time_ns)
    other = estimator.estimate()
    if other is not None and abs(other.offset_ms - offset_ms) > _MAX_APART_MS:
        raise CalibrationError(
            f"brightness and motion disagree ({offset_ms:+.0f} and {other.offset_ms:+.0f} ms), as where "
            "light or shadows run ahead of things; record another scene, with people who walk"
        )
