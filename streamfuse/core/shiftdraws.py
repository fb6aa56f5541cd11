"""Where the evidence for a lag is highest, between the lags where it was computed, and how sure that is."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["Drift", "drift_of", "redrawn", "summit"]

_HALF: Final = 3
"""Lags to each side of the highest that the parabola goes through."""
_PART_S: Final = 5.0
"""A part of the recording whose lag is looked at on its own."""
_SURE: Final = 5.0
"""Standard errors from 0 from which a drift is believed."""

_DRAWS: Final = 300

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How the offset changes over a recording."""

    ppm: float
    """Microseconds a second by which the offset grows."""
    error_ppm: float
    """Its standard error, from how far the parts lie from the line."""


def summit(evidence: Doubles) -> tuple[float, float, float] | None:
    """The top of the parabola, or paraboloid, through the values around the highest one.

    Args:
        evidence: (lags,) or (3, 3, lags), then for displacements of -1, 0, 1 down and across; lags of an odd
            number, 0 in the middle.

    Returns:
        Rows, columns and lags from the middle; None where the best lag is one of the last, or
        where there is no top: nothing moved in two directions, and a lag cannot be told from a displacement.
    """
    flat = evidence.ndim == 1
    top = int(np.argmax(evidence if flat else evidence[1, 1]))
    if not _HALF <= top < evidence.shape[-1] - _HALF:
        return None
    near = evidence[..., top - _HALF : top + _HALF + 1]
    step = _parabola(near) if flat else _paraboloid(near)
    if step is None or np.any(np.abs(step) > (1.5, 1.5, 1.5 * _HALF)):
        return None
    down, across, lag = step
    return down, across, top - evidence.shape[-1] // 2 + lag


def redrawn(evidence: Doubles) -> float:
    """Standard deviation of the best lag over as many windows and regions again, drawn with repetition.

    Args:
        evidence: (windows, regions, …, lags), as :func:`summit` takes it for each.

    Returns:
        In lags; infinite where most draws have no summit.
    """
    units = evidence.reshape(-1, *evidence.shape[2:])
    rng = np.random.default_rng(0)
    counts = rng.multinomial(len(units), np.full(len(units), 1.0 / len(units)), size=_DRAWS)
    drawn = np.tensordot(counts.astype(np.float64), units, axes=1)
    lags = [found[2] for found in map(summit, drawn) if found is not None]
    return float(np.std(lags)) if len(lags) > _DRAWS // 2 else np.inf


def _parabola(near: Doubles) -> tuple[float, float, float] | None:
    bend, slope, _ = np.polyfit(np.arange(-_HALF, _HALF + 1), near, 2).tolist()
    return (0.0, 0.0, -slope / (2 * bend)) if bend < 0 else None


def _paraboloid(near: Doubles) -> tuple[float, float, float] | None:
    _, *gradient, yy, xx, tt, yx, yt, xt = (_design() @ near.ravel()).tolist()
    bend = np.array([[2 * yy, yx, yt], [yx, 2 * xx, xt], [yt, xt, 2 * tt]])
    if np.linalg.eigvalsh(bend)[-1] >= 0:
        return None
    down, across, lag = np.linalg.solve(bend, -np.array(gradient)).tolist()
    return down, across, lag * _HALF


@cache
def _design() -> Doubles:
    """From the 3x3x7 values around a place to the ten numbers of their paraboloid, by least squares."""
    near = (-1.0, 0.0, 1.0)
    lags = (np.arange(-_HALF, _HALF + 1) / _HALF).tolist()
    y, x, t = np.array(list(itertools.product(near, near, lags))).T
    terms = np.stack([np.ones_like(y), y, x, t, y * y, x * x, t * t, y * x, y * t, x * t], axis=1)
    inverse: Doubles = np.linalg.pinv(terms)
    return inverse


def drift_of(evidence: Doubles, *, window_s: float, rate_hz: float) -> Drift | None:
    """A line through the lags of the parts of a recording, None: none to be seen.

    Args:
        evidence: (windows, lags).
        window_s: length of a window.
        rate_hz: steps of the lag in a second.
    """
    count = int(len(evidence) * window_s // _PART_S)
    if count < 4:
        return None
    edges = np.linspace(0, len(evidence), count + 1).round().astype(int)
    times_s, offsets_ms = [], []
    for begin, end in itertools.pairwise(edges):
        lags = evidence[begin:end].sum(axis=0)
        top = int(np.argmax(lags))
        if 0 < top < len(lags) - 1:
            left, best, right = lags[top - 1 : top + 2]
            between = 0.5 * (left - right) / (left - 2 * best + right)
            times_s.append((begin + end) / 2 * window_s)
            offsets_ms.append(-(top + between) / rate_hz * 1e3)
    if len(times_s) < 4:
        return None
    return _line(np.array(times_s), np.array(offsets_ms))


def _line(times_s: Doubles, offsets_ms: Doubles) -> Drift | None:
    centred = times_s - times_s.mean()
    slope = float(centred @ offsets_ms / (centred @ centred))
    left = offsets_ms - offsets_ms.mean() - slope * centred
    error = float(np.sqrt(left @ left / (len(times_s) - 2) / (centred @ centred)))
    return Drift(ppm=slope * 1e3, error_ppm=error * 1e3) if abs(slope) > _SURE * error else None
