"""How well one stream's motion is the other's, later by a lag: by place and by time.

Each cell of the picture and each window of time is correlated on its own, and the evidence for a lag is the
log-likelihood of that correlation, ``-T/2 log(1 - r**2)`` (two Gaussian signals against independent ones),
which weighs cells by what they say. A correlation below zero is none: what arrives in one picture arrives
in the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from streamfuse.core.motiontrack import COLUMNS, RATE_HZ, ROWS

__all__ = ["CELL", "WINDOW_S", "Signals", "evidence"]

WINDOW_S: Final = 2.0
CELL: Final = 4
"""Samples to a side of what is correlated."""
_REGIONS: Final = (3, 4)
"""Parts of the picture, down and across, whose evidence is drawn anew for the uncertainty."""

Singles = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Signals = tuple[Singles, npt.NDArray[np.bool_]]
"""Samples (60, 80, steps), and at which steps they were seen."""


def evidence(first: Signals, second: Signals, *, place: tuple[int, int], lags: tuple[int, int]) -> Doubles:
    """Log-likelihood (windows, regions, lags) that the second signal is the first one, later by a lag.

    Args:
        first: of one stream.
        second: of the other one.
        place: samples down and across by which the second picture is displaced.
        lags: the middle one and how many to each side, in steps.
    """
    left, right = _cells(first[0], second[0], place)
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
        said = -0.5 * share * WINDOW_S * np.log1p(-np.minimum(r2, 0.98)).reshape(down * across, -1)
        windows.append(np.stack([said[regions == region].sum(axis=0) for region in range(np.prod(_REGIONS))]))
    return np.array(windows)


def _edges(steps: int) -> Iterable[int]:
    count = max(1, round(steps / (WINDOW_S * RATE_HZ)))
    return (round(steps * place / count) for place in range(count + 1))


def _outside(low: int, high: int, steps: int) -> tuple[int, int]:
    """How much of low..high lies before the start and after the end."""
    return min(max(-low, 0), high - low), min(max(high - steps, 0), high - low)


def _cells(first: Singles, second: Singles, place: tuple[int, int]) -> tuple[Singles, Singles]:
    """Means of the samples of each cell of both, the second one taken from where it is displaced to."""
    parts = []
    for samples, (down, across) in ((first, (-place[0], -place[1])), (second, place)):
        rows, columns = ROWS - abs(down), COLUMNS - abs(across)
        rows, columns = rows // CELL * CELL, columns // CELL * CELL
        part = samples[max(down, 0) :, max(across, 0) :][:rows, :columns]
        parts.append(part.reshape(rows // CELL, CELL, columns // CELL, CELL, -1).mean(axis=(1, 3)))
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
    product = np.maximum(sliding(a, b), 0.0)
    floor = 1e-6 * power.max(initial=0.0) + np.finfo(np.float32).tiny
    share = np.maximum(sliding(mask_a, mask_b), 0.0) / len(seen_a)
    return product * product / np.maximum(power, floor), share.astype(np.float64)
