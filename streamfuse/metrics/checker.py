"""CHECKER: the one-pixel checkerboard that gradient-based losses and metrics cannot see."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamfuse.metrics.arrays import Gray, Sources

__all__ = ["checkerboard"]


def checkerboard(sources: Sources, fused: Gray) -> float:
    """CHECKER: one-pixel checkerboard of the fused image beyond that of its sources, in grey levels.

    0 is clean. mean max(0, |d(F)| - max(|d(A)|, |d(B)|)) with d = [[1, -1], [-1, 1]]. Sobel's gradients are
    0 on a checkerboard, so Qabf and a gradient loss are blind to it, while VIF and SF reward it. A
    checkerboard of levels m - a and m + a gives 4a on flat sources. A measure of this project.
    """
    in_sources = np.maximum(_twist(sources[0]), _twist(sources[1]))
    return float(np.maximum(_twist(fused) - in_sources, 0).mean())


def _twist(image: Gray) -> NDArray[np.int16]:
    """|d| of every 2x2 pixels."""
    levels = image.astype(np.int16)
    return np.asarray(np.abs(levels[:-1, :-1] - levels[:-1, 1:] - levels[1:, :-1] + levels[1:, 1:]))
