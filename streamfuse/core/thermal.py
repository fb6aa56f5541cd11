"""Thermal cameras: frozen images and 16 bits squeezed into 8.

A thermal camera closes its shutter every few minutes to correct itself (FFC) and repeats its last
image meanwhile; :class:`FreezeDetector` tells. Automatic gain control (AGC) maps the few hundred
counts that a scene uses to the 256 grey levels that networks and people see.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Hashable

import numpy as np
import numpy.typing as npt

from streamfuse.clock import NS_PER_MS, NS_PER_S

__all__ = ["FreezeDetector", "SteadyAgc", "agc_percentile", "image_digest"]

_SAMPLES = 16_384
"""Pixels looked at for a percentile; its rank is then off by 0.1 % in the mean."""

_MIN_SPAN = 16.0
"""Counts that always fill the grey scale together, so that a blank wall does not become noise."""


def image_digest(plane: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> int:
    """CRC-32 of the samples: sensor noise gives every live thermal image one of its own."""
    return zlib.crc32(np.ascontiguousarray(plane).data)


class FreezeDetector:
    """Tells the repeats of a frozen camera from those of one that merely delivers images twice."""

    def __init__(self, min_frozen_ms: float) -> None:
        if not (math.isfinite(min_frozen_ms) and min_frozen_ms >= 0):
            raise ValueError(f"min_frozen_ms must be a number of at least 0, got {min_frozen_ms}")
        self._min_frozen_ns = round(min_frozen_ms * NS_PER_MS)
        self._digest: Hashable = None
        self._since_ns: int | None = None

    def is_frozen(self, digest: Hashable, capture_ns: int) -> bool:
        """Whether a frame repeats an image first seen at least ``min_frozen_ms`` before it.

        Args:
            digest: Equal for equal images, see :func:`image_digest`.
            capture_ns: Capture time of the frame; frames come in order.
        """
        if self._since_ns is None or digest != self._digest:
            self._digest, self._since_ns = digest, capture_ns
            return False
        return capture_ns - self._since_ns >= self._min_frozen_ns


def agc_percentile(
    counts: npt.NDArray[np.uint16], *, low_percent: float = 1.0, high_percent: float = 99.0
) -> npt.NDArray[np.uint8]:
    """Stretch a thermal image so that two percentiles of its counts become black and white.

    Args:
        counts: HxW uint16.
        low_percent: Share of pixels that may drown in black, 0..100.
        high_percent: Percentile that becomes white, above ``low_percent``.

    Returns:
        HxW uint8, 0..255. Scenes of less than 16 counts are not stretched to full contrast.
    """
    return _stretch(counts, *_limits(counts, low_percent, high_percent))


class SteadyAgc:
    """:func:`agc_percentile` with limits that follow the scene slowly, so that video does not pump.

    The limits approach those of each image as exp(-dt / time constant), whatever the frame rate.
    """

    def __init__(
        self, time_constant_s: float = 1.0, *, low_percent: float = 1.0, high_percent: float = 99.0
    ) -> None:
        if not (math.isfinite(time_constant_s) and time_constant_s > 0):
            raise ValueError(f"time_constant_s must be a positive number, got {time_constant_s}")
        _check_percents(low_percent, high_percent)
        self._time_constant_ns = time_constant_s * NS_PER_S
        self._percents = (low_percent, high_percent)
        self._limits: tuple[float, float] | None = None
        self._capture_ns = 0

    @property
    def limits(self) -> tuple[float, float] | None:
        """Counts shown black and white at present; None before the first image."""
        return self._limits

    def apply(self, counts: npt.NDArray[np.uint16], capture_ns: int) -> npt.NDArray[np.uint8]:
        """Map an HxW uint16 image, captured at ``capture_ns``, to HxW uint8."""
        low, high = _limits(counts, *self._percents)
        if self._limits is not None:
            elapsed_ns = max(0, capture_ns - self._capture_ns)
            keep = math.exp(-elapsed_ns / self._time_constant_ns)
            low += keep * (self._limits[0] - low)
            high += keep * (self._limits[1] - high)
        self._limits, self._capture_ns = (low, high), capture_ns
        return _stretch(counts, low, high)


def _check_percents(low_percent: float, high_percent: float) -> None:
    if not 0.0 <= low_percent < high_percent <= 100.0:
        raise ValueError(f"percentiles must rise within 0..100, got {low_percent} and {high_percent}")


def _limits(counts: npt.NDArray[np.uint16], low_percent: float, high_percent: float) -> tuple[float, float]:
    """Counts at two percentiles, from an even grid of samples, at least ``_MIN_SPAN`` apart."""
    _check_percents(low_percent, high_percent)
    if counts.dtype != np.uint16 or counts.ndim != 2 or not counts.size:
        raise ValueError(f"AGC needs an HxW uint16 image, got {counts.dtype} {counts.shape}")
    step = max(1, math.isqrt(counts.size // _SAMPLES))
    low, high = np.percentile(counts[::step, ::step], (low_percent, high_percent))
    widen = max(0.0, _MIN_SPAN - (high - low)) / 2
    return float(low - widen), float(high + widen)


def _stretch(counts: npt.NDArray[np.uint16], low: float, high: float) -> npt.NDArray[np.uint8]:
    grey = counts.astype(np.float32)
    grey -= np.float32(low)
    grey *= np.float32(255.0 / (high - low))
    np.clip(np.rint(grey, out=grey), 0, 255, out=grey)
    return grey.astype(np.uint8)
