"""How far a score may be trusted: the images drawn again and again, with replacement.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentile intervals). All
sets of images are scored on the same draws, so that what is hard for all of them cancels out in a difference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamfuse.errors import UsageError

__all__ = ["Resampling", "Score"]

Floats = npt.NDArray[np.float64]

_TAILS = (2.5, 97.5)
"""Percentiles between which 95 of 100 draws lie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampling:
    """How often the images are drawn, and from which seed.

    Raises:
        UsageError: a negative number of draws or seed.
    """

    draws: int = 2000
    """0: no intervals."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.draws < 0 or self.seed < 0:
            raise UsageError(
                f"resamples and seed must not be negative, got {self.draws} resamples and seed {self.seed}"
            )

    def counts(self, images: int) -> npt.NDArray[np.int64]:
        """(draws, images), how often each draw of as many images as there are holds each of them."""
        rng = np.random.default_rng(self.seed)
        return rng.multinomial(images, np.full(images, 1.0 / images), size=self.draws)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Score:
    """A score of all images, and the same score of each draw."""

    value: float
    """NaN where there is nothing to score."""
    draws: Floats
    """(R,); NaN for a draw in which there is nothing to score, which then has no say."""

    @property
    def interval(self) -> tuple[float, float] | None:
        """Between what 95 of 100 draws lie; None without draws."""
        valid = self.draws[~np.isnan(self.draws)]
        if np.isnan(self.value) or not len(valid):
            return None
        low, high = np.percentile(valid, _TAILS).tolist()
        return low, high

    def minus(self, other: Score) -> Score:
        """The difference, draw by draw; both must be of the same draws."""
        return Score(value=self.value - other.value, draws=self.draws - other.draws)
