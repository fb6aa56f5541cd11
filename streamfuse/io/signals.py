"""Ctrl-C and SIGTERM as numbers that a loop looks at."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

__all__ = ["Signals", "caught_signals"]


@dataclass(slots=True)
class Signals:
    """How often each has come; the handlers do nothing else than count."""

    interrupts: int = 0
    """Ctrl-C (SIGINT)."""
    terminations: int = 0
    """SIGTERM."""

    @property
    def count(self) -> int:
        """How often somebody asked to stop."""
        return self.interrupts + self.terminations

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """The handler of both."""
        if number == signal.SIGINT:
            self.interrupts += 1
        else:
            self.terminations += 1


@contextmanager
def caught_signals() -> Iterator[Signals]:
    """Count the signals while the block runs; afterwards they do what they did before."""
    signals = Signals()
    before = {number: signal.signal(number, signals.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
