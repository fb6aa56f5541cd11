"""Where the evidence for a displacement and a lag is highest, between the places where it was computed."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["Drift", "drift_of", "vertex"]

_HALF: Final = 3
"""Lags to each side of the highest that the parabola goes through."""
_PART_S: Final = 5.0
"""A part of the recording whose lag is looked at on its own."""
_SURE: Final = 5.0
"""Standard errors from 0 from which a drift is believed."""

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How the offset changes over a recording."""

    ppm: float
    """Microseconds a second by which the offset grows."""
    error_ppm: float
    """Its standard error, from how far the parts lie from the line."""


def vertex(evidence: Doubles) -> tuple[float, float, float] | None:
    """The top of the paraboloid through the values around the highest one.

    Args:
        evidence: (3, 3, lags): displacements of -1, 0, 1 down and across; lags of an odd number, 0 in
            the middle.

    Returns:
        Rows, columns and lags from the middle; None where the best lag is one of the last, or
        where there is no top: nothing moved in two directions, and a lag cannot be told from a displacement.
    """
    top = int(np.argmax(evidence[1, 1]))
    if not _HALF <= top < evidence.shape[2] - _HALF:
        return None
    near = evidence[:, :, top - _HALF : top + _HALF + 1]
    _, *gradient, yy, xx, tt, yx, yt, xt = (_design() @ near.ravel()).tolist()
    bend = np.array([[2 * yy, yx, yt], [yx, 2 * xx, xt], [yt, xt, 2 * tt]])
    if np.linalg.eigvalsh(bend)[-1] >= 0:
        return None
    step = np.linalg.solve(bend, -np.array(gradient)) * (1, 1, _HALF)
    if np.any(np.abs(step) > (1.5, 1.5, 1.5 * _HALF)):
        return None
    down, across, lag = step.tolist()
    return down, across, top - evidence.shape[2] // 2 + lag


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
