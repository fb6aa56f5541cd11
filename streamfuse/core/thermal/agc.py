"""Automatic gain control: the few hundred counts that a thermal scene uses, as 256 grey levels.

``percentile`` draws a straight line between two percentiles. ``plateau`` equalises the histogram, so
that the ground and a hot car both show their detail, with the share that any one level may claim
limited (V. E. Vickers, "Plateau equalization algorithm for real-time display of high-quality
infrared imagery", Optical Engineering 35, 1996). Both follow the scene slowly, because a picture whose
background darkens when somebody walks in pumps, and both go along at once with an offset that all
counts get together: the camera's flat-field correction (FFC), not the scene.
"""

from __future__ import annotations

import math
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from streamfuse.clock import NS_PER_S
from streamfuse.config.sources import Agc

__all__ = ["PlateauAgc", "SteadyAgc", "ToGray", "agc_percentile", "make_agc"]

Counts = npt.NDArray[np.uint16]
Gray = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

_SAMPLES: Final = 16_384
"""Pixels looked at for a percentile; its rank is then off by 0.1 % in the mean."""
_MIN_SPAN: Final = 16.0
"""Counts that always fill the grey scale together, so that a blank wall does not become noise."""
_CODES: Final = 65_536
"""Values that a count can have."""
_MAX_BINS: Final = 256
"""Levels whose share of the pixels is counted."""
_NOISE_LEVELS: Final = 8.0
"""``plateau``: grey levels of noise (one standard deviation) that contrast may cost."""
_LINEAR_SHARE: Final = 0.25
"""``plateau``: part of the curve that is a straight line, so that a small hot thing stands out by its
heat rather than by its number of pixels."""
_ALIKE: Final = 0.5
"""An offset is common to all pixels when the middle half of them moved by this much of the median."""


class ToGray(Protocol):
    """Brings the counts of one stream to 8 bits."""

    def apply(self, counts: Counts, capture_ns: int) -> Gray:
        """Map an HxW uint16 image, captured at ``capture_ns``, to HxW uint8; hotter is never darker."""


def make_agc(config: Agc) -> ToGray:
    """The AGC that a pipeline file describes, for one stream."""
    if config.method == "plateau":
        return PlateauAgc(config)
    return SteadyAgc(config.time_constant_s, low_percent=config.low_percent, high_percent=config.high_percent)


def agc_percentile(counts: Counts, *, low_percent: float = 1.0, high_percent: float = 99.0) -> Gray:
    """Stretch a thermal image so that two percentiles of its counts become black and white.

    Args:
        counts: HxW uint16.
        low_percent: Share of pixels that may drown in black, 0..100.
        high_percent: Percentile that becomes white, above ``low_percent``.

    Returns:
        HxW uint8, 0..255. Scenes of less than 16 counts are not stretched to full contrast.
    """
    _check_percents(low_percent, high_percent)
    return _stretch(counts, *_limits(_sampled(counts), low_percent, high_percent))


class SteadyAgc:
    """:func:`agc_percentile` with limits that follow the scene slowly, so that video does not pump.

    The limits approach those of each image as exp(-dt / time constant), whatever the frame rate.
    """

    def __init__(
        self, time_constant_s: float = 1.0, *, low_percent: float = 1.0, high_percent: float = 99.0
    ) -> None:
        _check_percents(low_percent, high_percent)
        self._damping = _Damping(time_constant_s)
        self._offset = _CommonOffset()
        self._percents = (low_percent, high_percent)
        self._limits: tuple[float, float] | None = None

    @property
    def limits(self) -> tuple[float, float] | None:
        """Counts shown black and white at present; None before the first image."""
        return self._limits

    def apply(self, counts: Counts, capture_ns: int) -> Gray:
        """Map an HxW uint16 image, captured at ``capture_ns``, to HxW uint8."""
        sampled = _sampled(counts)
        keep = self._damping.keep(capture_ns)
        if self._limits is None or keep < 1.0:
            offset = self._offset.since_last(sampled)
            low, high = _limits(sampled, *self._percents)
            held_low, held_high = self._limits or (low, high)
            low += keep * (held_low + offset - low)
            high += keep * (held_high + offset - high)
            self._limits = (low, high)
        return _stretch(counts, *self._limits)


class PlateauAgc:
    """Plateau equalisation whose tone curve follows the scene slowly.

    The curve approaches that of each image as exp(-dt / time constant), whatever the frame rate; so one
    count never changes by more than 255 (1 - exp(-dt / time constant)) levels between two images.
    """

    def __init__(self, config: Agc) -> None:
        self._config = config
        self._damping = _Damping(config.time_constant_s)
        self._offset = _CommonOffset()
        self._curve: Floats | None = None
        """Grey level of each count; None before the first image."""
        self._levels = np.empty(_CODES, np.uint8)
        """The curve in whole levels."""

    def apply(self, counts: Counts, capture_ns: int) -> Gray:
        """Map an HxW uint16 image, captured at ``capture_ns``, to HxW uint8."""
        sampled = _sampled(counts)
        keep = self._damping.keep(capture_ns)
        if self._curve is None or keep < 1.0:
            offset = self._offset.since_last(sampled)
            target = self._target(counts, sampled)
            held = target if self._curve is None else _moved(self._curve, round(offset))
            self._curve = held + np.float32(1.0 - keep) * (target - held)
            self._levels = np.rint(self._curve).astype(np.uint8)
        return np.take(self._levels, counts)

    def _target(self, counts: Counts, sampled: Counts) -> Floats:
        """The curve that suits this image alone: 65536 grey levels, rising."""
        config, noise = self._config, _noise(counts)
        min_span = max(_MIN_SPAN, 255.0 / _NOISE_LEVELS * noise)
        limits = _limits(sampled, config.low_percent, config.high_percent, min_span=min_span)
        low, high = max(0, math.floor(limits[0])), min(_CODES - 1, math.ceil(limits[1]))
        bins = min(_MAX_BINS, high - low)
        edges = np.linspace(low, high, bins + 1)
        below = np.searchsorted(np.sort(sampled, axis=None), edges)
        shares = np.minimum(np.diff(below) / sampled.size, config.plateau_percent / 100.0)
        total = float(shares.sum())
        rise = shares * (255.0 / total) if total else np.zeros(bins)
        # Where noise would be seen, the curve is less steep, and what is left over is spread evenly.
        np.minimum(rise, 255.0 / min_span * (high - low) / bins, out=rise)
        straight = 255.0 - (1.0 - _LINEAR_SHARE) * float(rise.sum())
        rise = (1.0 - _LINEAR_SHARE) * rise + straight / bins
        return _between(np.concatenate(([0.0], np.cumsum(rise))), edges)


class _Damping:
    """How much of the past stays, from the time that went by."""

    def __init__(self, time_constant_s: float) -> None:
        if not (math.isfinite(time_constant_s) and time_constant_s > 0):
            raise ValueError(f"time_constant_s must be a positive number, got {time_constant_s}")
        self._time_constant_ns = time_constant_s * NS_PER_S
        self._last_ns: int | None = None

    def keep(self, capture_ns: int) -> float:
        """Weight of the past, 0..1, at an image captured at ``capture_ns``; 0 at the first."""
        last_ns, self._last_ns = self._last_ns, capture_ns
        if last_ns is None:
            return 0.0
        return math.exp(-max(0, capture_ns - last_ns) / self._time_constant_ns)


class _CommonOffset:
    """Finds the offset that all pixels of an image got together since the image before.

    Things that move change some pixels, and differently; a flat-field correction moves all alike.
    """

    def __init__(self) -> None:
        self._last: npt.NDArray[np.int32] | None = None

    def since_last(self, sampled: Counts) -> float:
        """Counts by which the image has moved as a whole, 0.0 where it has not."""
        last, self._last = self._last, sampled.astype(np.int32)
        if last is None or last.shape != sampled.shape:
            return 0.0
        moved = (self._last - last).ravel()
        quarter, half = moved.size // 4, moved.size // 2
        ranks = np.partition(moved, (quarter, half, moved.size - 1 - quarter))
        median = float(ranks[half])
        least = min(math.copysign(1.0, median) * float(ranks[rank]) for rank in (quarter, -1 - quarter))
        return median if least > _ALIKE * abs(median) else 0.0


def _check_percents(low_percent: float, high_percent: float) -> None:
    if not 0.0 <= low_percent < high_percent <= 100.0:
        raise ValueError(f"percentiles must rise within 0..100, got {low_percent} and {high_percent}")


def _sampled(counts: Counts) -> Counts:
    """An even grid of some 16 000 pixels."""
    if counts.dtype != np.uint16 or counts.ndim != 2 or not counts.size:
        raise ValueError(f"AGC needs an HxW uint16 image, got {counts.dtype} {counts.shape}")
    step = _step(counts)
    return counts[::step, ::step]


def _step(counts: Counts) -> int:
    return max(1, math.isqrt(counts.size // _SAMPLES))


def _noise(counts: Counts) -> float:
    """Standard deviation in counts, from the median difference of neighbours, which edges hardly touch."""
    step = _step(counts)
    left, right = counts[::step, :-1:step], counts[::step, 1::step]
    if not left.size:
        return 0.0
    return float(np.median(np.abs(right.astype(np.int32) - left))) / (0.6745 * math.sqrt(2.0))


def _limits(
    sampled: Counts, low_percent: float, high_percent: float, *, min_span: float = _MIN_SPAN
) -> tuple[float, float]:
    """Counts at two percentiles, at least ``min_span`` apart."""
    low, high = np.percentile(sampled, (low_percent, high_percent))
    widen = max(0.0, min_span - (high - low)) / 2
    return float(low - widen), float(high + widen)


def _stretch(counts: Counts, low: float, high: float) -> Gray:
    grey = counts.astype(np.float32)
    grey -= np.float32(low)
    grey *= np.float32(255.0 / (high - low))
    np.clip(np.rint(grey, out=grey), 0, 255, out=grey)
    return grey.astype(np.uint8)


def _between(levels: npt.NDArray[np.float64], edges: npt.NDArray[np.float64]) -> Floats:
    """The curve through ``levels`` at ``edges``, for the middle of every count; level outside."""
    low, high = int(edges[0]), int(edges[-1])
    curve = np.empty(_CODES, np.float32)
    curve[:low], curve[high:] = levels[0], levels[-1]
    curve[low:high] = np.interp(np.arange(low, high) + 0.5, edges, levels)
    return curve


def _moved(curve: Floats, offset: int) -> Floats:
    """The curve for counts that have all grown by ``offset``."""
    return curve[np.clip(np.arange(_CODES) - offset, 0, _CODES - 1)] if offset else curve
