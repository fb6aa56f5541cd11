"""The engine's times and rates, told to the supervisor once a second."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streamfuse.clock import NS_PER_MS, NS_PER_S
from streamfuse.core.stats import Histogram, RateMeter
from streamfuse.frames import FramePair

__all__ = ["Meter"]

_EVERY_S: Final = 1.0


class Meter:
    """Collects what the summary says about time.

    Args:
        from_arrival: measure latency from a frame's arrival rather than its capture. Without pacing
            the capture times of a file are not moments of this run.
    """

    def __init__(self, *, from_arrival: bool) -> None:
        self._from_arrival = from_arrival
        self._latency_ms = Histogram()
        self._skew_ms = Histogram()
        self._batch = Histogram()
        self._stages = {"pair": Histogram()}
        self._rate = RateMeter()
        self._due_ns = 0

    def paired(self, pair: FramePair, now_ns: int) -> None:
        """A pair was made: how long its base frame had waited for that."""
        self._stages["pair"].add(max(0, now_ns - pair.base.arrival_ns) / NS_PER_MS)

    def computed(self, took_ms: Mapping[str, float], *, size: int) -> None:
        """Pairs were computed in a batch of ``size``: how long each step took."""
        self._batch.add(size)
        for name, milliseconds in took_ms.items():
            self._stages.setdefault(name, Histogram()).add(milliseconds)

    def emitted(self, pair: FramePair, now_ns: int) -> None:
        """A fused frame was handed to the sinks."""
        since_ns = pair.base.arrival_ns if self._from_arrival else pair.base.capture_ns
        self._latency_ms.add(max(0, now_ns - since_ns) / NS_PER_MS)
        if pair.skew_ms is not None:
            self._skew_ms.add(abs(pair.skew_ms))
        self._rate.tick(now_ns)

    def is_due(self, now_ns: int) -> bool:
        """Whether it is time to tell the supervisor again; true once a second."""
        if now_ns < self._due_ns:
            return False
        self._due_ns = now_ns + round(_EVERY_S * NS_PER_S)
        return True

    def stats(self) -> dict[str, Any]:
        """Everything so far, as the fields of a ``stats`` event."""
        return {
            "fps": self._rate.fps,
            "latency_ms": self._latency_ms.as_dict(),
            "skew_ms": self._skew_ms.as_dict(),
            "batch": self._batch.as_dict(),
            "stages": {name: times.as_dict() for name, times in self._stages.items()},
        }
