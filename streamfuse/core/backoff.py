"""When to try again."""

from __future__ import annotations

import random

__all__ = ["Backoff"]


class Backoff:
    """Delays that grow exponentially up to a cap, spread at random.

    The spread keeps cameras that failed together from coming back together.

    Raises:
        ValueError: the delays would not be positive, would shrink, or could not be spread.
    """

    def __init__(
        self,
        first_s: float = 0.5,
        *,
        factor: float = 2.0,
        max_s: float = 30.0,
        jitter: float = 0.2,
        rng: random.Random | None = None,
    ) -> None:
        if not 0 < first_s <= max_s:
            raise ValueError(f"delays need 0 < first_s <= max_s, got {first_s} and {max_s}")
        if factor < 1:
            raise ValueError(f"factor must be at least 1, got {factor}")
        if not 0 <= jitter < 1:
            raise ValueError(f"jitter is a fraction within 0..1, got {jitter}")
        self._first_s = first_s
        self._factor = factor
        self._max_s = max_s
        self._jitter = jitter
        self._rng = rng or random.Random()  # noqa: S311 - spreads retries, guards no secret
        self._nominal_s = first_s

    def next_delay_s(self) -> float:
        """Seconds to wait before the next attempt, within ±jitter of its nominal and never over ``max_s``."""
        nominal_s = self._nominal_s
        self._nominal_s = min(nominal_s * self._factor, self._max_s)
        longest_s = min(nominal_s * (1 + self._jitter), self._max_s)
        return self._rng.uniform(nominal_s * (1 - self._jitter), longest_s)

    def reset(self) -> None:
        """An attempt succeeded: the next failure starts from ``first_s`` again."""
        self._nominal_s = self._first_s
