"""Steady contrast: the stretch of each frame of a video that gives full contrast without flicker.

The published SeAFusion chain stretches every image by its own darkest and brightest value. In video
these two are the noisiest numbers there are, and the whole picture breathes with them.
:class:`SteadyContrast` aims at the same two numbers and moves towards them slowly. Time is an argument, in
nanoseconds, so the result does not depend on the frame rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from streamfuse.clock import NS_PER_S

__all__ = ["Limits", "SteadyContrast", "Survey", "scene_change", "tails"]

LEVELS: Final = 256

_STRAY_SHARE: Final = 1e-5
"""Share of pixels left outside the limits aimed at: 3 of 640x480, so that dead pixels do not count."""
_MIN_SPAN: Final = 64.0
"""Levels that are always shown as full contrast together: noise in fog is amplified 4 times at most."""
_STEP_CAP: Final = 8.0
"""Levels between two tiles from which on a step counts no more: a lamp is no stronger than a kerb."""
_STEP_NOISE: Final = 1.0
"""Levels between two tiles that mean nothing; keeps blank scenes from looking like cuts."""
_TINY: Final = 1e-9
"""In place of 0 below a fraction bar, where 0 stands above it too."""
_CUT: Final = 0.5
"""Scene change from which on it is a cut. Fused frames of one video (M3SVD) stay below 0.2 at 30
and below 0.49 at 3 per second, doubled brightness is at 0.3, unrelated streets (MSRS) are above 0.53."""


class Limits(NamedTuple):
    """Levels that become black and white, 0..255."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Survey:
    """What is to be known of a frame before it is stretched.

    Raises:
        ValueError: histograms that are not 256 counts of the same pixels, or a sketch without edges.
    """

    dark: npt.NDArray[np.int64]
    """Pixels by the level of their darkest channel, (256,)."""
    bright: npt.NDArray[np.int64]
    """Pixels by the level of their brightest channel, (256,); for a grey image equal to ``dark``."""
    sketch: npt.NDArray[np.float32]
    """Mean brightness of the tiles that the image is divided into, rows x columns, 0..255."""

    def __post_init__(self) -> None:
        if self.dark.shape != (LEVELS,) or self.bright.shape != (LEVELS,):
            raise ValueError(
                f"histograms must have {LEVELS} bins, got {self.dark.shape} and {self.bright.shape}"
            )
        if not 0 < self.dark.sum() == self.bright.sum():
            raise ValueError(
                f"histograms must count the same pixels, got {self.dark.sum()} and {self.bright.sum()}"
            )
        if self.sketch.ndim != 2:
            raise ValueError(f"the sketch must be rows x columns, got {self.sketch.shape}")


class SteadyContrast:
    """The limits of one video, frame after frame.

    - They approach the extremes of the present frame as exp(-dt / ``adapt_s``).
    - While more than ``burnt_share`` of the pixels lie beyond one of them, it gives way faster, as
      exp(-dt / ``relieve_s``), towards the level that leaves just this share beyond.
    - The first frame, and the first after a cut, is stretched by its own extremes at once.

    So between cuts a limit moves by at most 255 (1 - exp(-dt / ``relieve_s``)) levels in ``dt``.

    On M3SVD videos 2 s leave 1/30 of the published stretch's brightness jitter, or less. With 1 s the worst
    frame jumps more than twice as far; 4 s take little more away and follow a scene half as fast.
    """

    def __init__(self, *, adapt_s: float = 2.0, relieve_s: float = 0.2, burnt_share: float = 0.01) -> None:
        if not 0.0 < relieve_s <= adapt_s < math.inf:
            raise ValueError(f"expected 0 < relieve_s <= adapt_s, got {relieve_s} and {adapt_s}")
        if not _STRAY_SHARE <= burnt_share < 0.5:
            raise ValueError(f"burnt_share must be within {_STRAY_SHARE}..0.5, got {burnt_share}")
        self._adapt_ns = adapt_s * NS_PER_S
        self._relieve_ns = relieve_s * NS_PER_S
        self._burnt_share = burnt_share
        self._limits: Limits | None = None
        self._sketch: npt.NDArray[np.float32] | None = None
        self._time_ns = 0

    def limits(self, frame: Survey, time_ns: int) -> Limits:
        """What to stretch a frame by.

        Args:
            frame: the frame as fused, not stretched.
            time_ns: its time on any clock. A frame that is not later than the one before finds that no
                time has passed.
        """
        aim = _extremes(frame)
        if self._limits is None or self._sketch is None or _is_cut(self._sketch, frame.sketch):
            self._limits = aim
        else:
            elapsed_ns = max(0, time_ns - self._time_ns)
            eased = _towards(self._limits, aim, elapsed_ns / self._adapt_ns)
            self._limits = self._relieved(eased, frame, elapsed_ns)
        self._sketch, self._time_ns = frame.sketch, time_ns
        return self._limits

    def _relieved(self, eased: Limits, frame: Survey, elapsed_ns: int) -> Limits:
        assert self._limits is not None  # the caller's
        bound = tails(frame, self._burnt_share)
        hurried = _towards(self._limits, bound, elapsed_ns / self._relieve_ns)
        return Limits(
            min(eased.low, hurried.low) if bound.low < self._limits.low else eased.low,
            max(eased.high, hurried.high) if bound.high > self._limits.high else eased.high,
        )


def tails(frame: Survey, share: float) -> Limits:
    """The levels below and above which at most ``share`` of the pixels lie, as far apart as that needs."""
    allowed = share * float(frame.dark.sum())
    low = np.searchsorted(np.cumsum(frame.dark), allowed, side="right")
    high = LEVELS - 1 - np.searchsorted(np.cumsum(frame.bright[::-1]), allowed, side="right")
    return Limits(float(low), float(high))


def scene_change(before: npt.NDArray[np.float32], after: npt.NDArray[np.float32]) -> float:
    """How much of the structure of two sketches differs: 0 for none, above 0.5 for unrelated scenes.

    It compares the steps between neighbouring tiles. They stay when all gets brighter, which is what an
    infrared camera's flat-field correction does; they grow together when a light comes on; and a lamp changes
    few of them. With a and b the steps before and after, in levels::

        sum w |a - b| / (|a| + |b|)  /  sum (w + 1)        w = min(max(|a|, |b|), 8)
    """
    changed = whole = 0.0
    for axis in (0, 1):
        a, b = np.diff(before, axis=axis), np.diff(after, axis=axis)
        sizes = np.abs(a), np.abs(b)
        weight = np.minimum(np.maximum(*sizes), _STEP_CAP)
        changed += float((weight * np.abs(a - b) / np.maximum(sizes[0] + sizes[1], _TINY)).sum())
        whole += float(weight.sum()) + _STEP_NOISE * a.size
    return changed / whole if whole else 0.0


def _is_cut(before: npt.NDArray[np.float32], after: npt.NDArray[np.float32]) -> bool:
    return before.shape != after.shape or scene_change(before, after) > _CUT


def _extremes(frame: Survey) -> Limits:
    """Darkest and brightest level, stray pixels left out, at least ``_MIN_SPAN`` apart within 0..255."""
    low, high = tails(frame, _STRAY_SHARE)
    half = max(high - low, _MIN_SPAN) / 2
    middle = min(max((low + high) / 2, half), LEVELS - 1 - half)
    return Limits(middle - half, middle + half)


def _towards(start: Limits, end: Limits, time_constants: float) -> Limits:
    keep = math.exp(-time_constants)
    return Limits(end.low + keep * (start.low - end.low), end.high + keep * (start.high - end.high))
