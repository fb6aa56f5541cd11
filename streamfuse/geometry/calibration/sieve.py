"""Which corners and which pictures do not belong to what the others agree on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from streamfuse.geometry.boards.board import Floats
from streamfuse.geometry.calibration.posing import FEWEST_CORNERS

__all__ = ["Kept", "Sieved", "rms", "sieve", "spread_px"]

Kept = npt.NDArray[np.bool_]

_RAYLEIGH_MEDIAN: Final = 1.1774
"""Median distance of points with unit variance in x and y."""
_CORNER_LIMIT: Final = 5.0
"""Standard deviations beyond which a corner is wrong: of normal errors, 4 in a million are."""
_POSE_LIMIT: Final = 3.0
"""So many times the median RMS of all pictures is too much for one."""
_FINEST_PX: Final = 0.1
"""No corner that fits so well is called wrong, however well the others do."""
_WRONG_SHARE: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Sieved:
    """What a look at the residuals says."""

    kept: dict[str, Kept]
    """Of each picture, the corners that are used."""
    left_out: dict[str, str]
    """Pictures that are not used at all, with the reason."""


def rms(offs_px: Floats) -> float:
    """Root of the mean squared distance of Nx2 residuals, pixels; NaN of none."""
    return float(np.sqrt(np.mean(np.sum(offs_px**2, axis=1)))) if len(offs_px) else float("nan")


def spread_px(offs_px: Mapping[str, Floats]) -> float:
    """Standard deviation of a coordinate, from the median distance: a few wrong corners do not move it."""
    distances = np.concatenate([np.linalg.norm(off, axis=1) for off in offs_px.values()])
    return max(float(np.median(distances)) / _RAYLEIGH_MEDIAN, 1e-6)


def sieve(offs_px: Mapping[str, Floats]) -> Sieved:
    """Part good from bad, given the residuals (Nx2, pixels) of every picture to a robust fit."""
    limit = max(_CORNER_LIMIT * spread_px(offs_px), _FINEST_PX)
    kept = {name: np.linalg.norm(off, axis=1) <= limit for name, off in offs_px.items()}
    usual = float(np.median([rms(off) for off in offs_px.values()]))
    left_out = {}
    for name, off in offs_px.items():
        good = kept[name]
        own = rms(off)
        if good.sum() < max(FEWEST_CORNERS, (1 - _WRONG_SHARE) * len(good)):
            left_out[name] = (
                f"{len(good) - good.sum()} of its {len(good)} corners are off by more than {limit:.1f} px "
                f"(RMS {own:.1f} px, usual {usual:.2f}): the board moved or is bent, or what was found is "
                "not it"
            )
        elif rms(off[good]) > max(_POSE_LIMIT * usual, _FINEST_PX):
            left_out[name] = (
                f"its RMS is {own:.2f} px, usual is {usual:.2f}: blurred, or the board moved or is bent"
            )
    return Sieved(kept={n: good for n, good in kept.items() if n not in left_out}, left_out=left_out)
