"""Stand-ins for the world, to test pipelines and plug-ins without cameras and without waiting."""

from __future__ import annotations

from streamfuse.clock import NS_PER_MS

__all__ = ["FakeClock"]


class FakeClock:
    """A :class:`streamfuse.clock.Clock` that moves only when it is told to."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """The time it was last moved to, in nanoseconds."""
        return self._now_ns

    def advance_ms(self, milliseconds: float) -> None:
        """Let time pass.

        Raises:
            ValueError: ``milliseconds`` is negative; monotonic time does not go back.
        """
        if milliseconds < 0:
            raise ValueError(f"a monotonic clock cannot go back, got {milliseconds} ms")
        self._now_ns += round(milliseconds * NS_PER_MS)
