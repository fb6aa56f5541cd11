"""What a run says about itself: percentiles, rates and the account of every frame."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streamfuse.clock import NS_PER_S
from streamfuse.frames import DropCause

__all__ = ["RELATIVE_ERROR", "Accounting", "Histogram", "RateMeter"]

RELATIVE_ERROR = 0.01
"""Largest relative error of a quantile of :class:`Histogram`."""

_SMALLEST = 1e-3
"""Values below this share a bucket and read as this: a microsecond when the unit is milliseconds."""

_GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)


class Histogram:
    """Quantiles of a long stream in little memory, mergeable between processes.

    Bucket *i* holds the values in (g^(i-1), g^i] with g = (1+a)/(1-a), and stands for
    2*g^i/(g+1), so that no quantile is wrong by more than the fraction a = ``RELATIVE_ERROR``
    (DDSketch; Masson, Rim and Lee, VLDB 2019). Count, mean, least and largest value are exact.
    """

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self._count = 0
        self._sum = 0.0
        self._min = math.inf
        self._max = -math.inf

    def add(self, value: float) -> None:
        """Count one value.

        Raises:
            ValueError: the value is negative or not finite.
        """
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"a histogram counts finite values of at least 0, got {value}")
        self._buckets[math.ceil(math.log(max(value, _SMALLEST)) / math.log(_GROWTH))] += 1
        self._count += 1
        self._sum += value
        self._min = min(self._min, value)
        self._max = max(self._max, value)

    def merge(self, other: Histogram) -> None:
        """Count all values of another histogram too."""
        self._buckets.update(other._buckets)
        self._count += other._count
        self._sum += other._sum
        self._min = min(self._min, other._min)
        self._max = max(self._max, other._max)

    def quantile(self, q: float) -> float | None:
        """The smallest value that a fraction ``q`` (0..1) of all do not exceed; None when empty."""
        if not 0.0 <= q <= 1.0:
            raise ValueError(f"a quantile is within 0..1, got {q}")
        rank = max(1, math.ceil(q * self._count))
        seen = 0
        for index in sorted(self._buckets):
            seen += self._buckets[index]
            if seen >= rank:
                middle = 2 * _GROWTH**index / (_GROWTH + 1)
                return min(max(middle, self._min), self._max)
        return None

    def at_most(self, bounds: Sequence[float]) -> list[int]:
        """How many values do not exceed each of ``bounds``, which ascend; as exact as the quantiles."""
        counts = []
        for bound in bounds:
            # The bucket that a bound lies in counts when what it stands for does not exceed the bound.
            last = math.log(max(bound, _SMALLEST) * (_GROWTH + 1) / 2) / math.log(_GROWTH)
            counts.append(sum(count for index, count in self._buckets.items() if index <= last))
        return counts

    @property
    def count(self) -> int:
        """How many values were counted."""
        return self._count

    @property
    def total(self) -> float:
        """Exact sum."""
        return self._sum

    @property
    def mean(self) -> float | None:
        """Exact mean; None when empty."""
        return self._sum / self._count if self._count else None

    @property
    def max(self) -> float | None:
        """Exact largest value; None when empty."""
        return self._max if self._count else None

    @property
    def p50(self) -> float | None:
        """Median."""
        return self.quantile(0.50)

    @property
    def p95(self) -> float | None:
        """95th percentile."""
        return self.quantile(0.95)

    @property
    def p99(self) -> float | None:
        """99th percentile."""
        return self.quantile(0.99)

    def as_dict(self) -> dict[str, Any]:
        """Everything, in JSON's types; :meth:`from_dict` is the way back."""
        extremes = [self._min, self._max] if self._count else None
        buckets = [[index, self._buckets[index]] for index in sorted(self._buckets)]
        return {"sum": self._sum, "extremes": extremes, "buckets": buckets}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Histogram:
        """A histogram from what :meth:`as_dict` gave."""
        histogram = cls()
        histogram._buckets = Counter(dict(data["buckets"]))
        histogram._count = histogram._buckets.total()
        histogram._sum = data["sum"]
        if data["extremes"] is not None:
            histogram._min, histogram._max = data["extremes"]
        return histogram


class RateMeter:
    """Events per second: n events span n - 1 intervals."""

    def __init__(self, window_s: float = 2.0) -> None:
        self._window_ns = round(window_s * NS_PER_S)
        self._recent_ns: deque[int] = deque()
        self._first_ns: int | None = None
        self._last_ns: int | None = None
        self._count = 0

    def tick(self, now_ns: int) -> None:
        """Count an event."""
        if self._first_ns is None:
            self._first_ns = now_ns
        self._last_ns = now_ns
        self._count += 1
        self._recent_ns.append(now_ns)
        self._forget(now_ns)

    @property
    def count(self) -> int:
        """Events counted."""
        return self._count

    @property
    def fps(self) -> float:
        """Rate from the first to the last event; 0 for fewer than two."""
        if self._first_ns is None or self._last_ns is None:
            return 0.0
        return _rate(self._count, self._last_ns - self._first_ns)

    def recent_fps(self, now_ns: int) -> float:
        """Rate of the events within the window before now; 0 when the stream has stopped."""
        self._forget(now_ns)
        return (
            _rate(len(self._recent_ns), self._recent_ns[-1] - self._recent_ns[0]) if self._recent_ns else 0.0
        )

    def _forget(self, now_ns: int) -> None:
        while self._recent_ns and now_ns - self._recent_ns[0] > self._window_ns:
            self._recent_ns.popleft()


def _rate(events: int, span_ns: int) -> float:
    return (events - 1) * NS_PER_S / span_ns if span_ns > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounting:
    """Where the frames of one stream went.

    Raises:
        ValueError: a count is negative.
    """

    captured: int
    emitted: int
    dropped: Mapping[DropCause, int]
    in_flight: int

    def __post_init__(self) -> None:
        counts = {"captured": self.captured, "emitted": self.emitted, "in_flight": self.in_flight}
        counts |= {cause.value: count for cause, count in self.dropped.items()}
        for name, count in counts.items():
            if count < 0:
                raise ValueError(f"{name} counts frames and cannot be negative, got {count}")

    @property
    def balance(self) -> int:
        """Frames nobody accounts for: 0 unless a promise was broken."""
        return self.captured - self.emitted - sum(self.dropped.values()) - self.in_flight

    def as_dict(self) -> dict[str, Any]:
        """The stream's entry in the run summary; causes that never happened are left out."""
        return {
            "captured": self.captured,
            "emitted": self.emitted,
            "dropped": {cause.value: count for cause, count in self.dropped.items() if count},
            "in_flight": self.in_flight,
        }
