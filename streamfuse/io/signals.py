"""Ctrl-C, SIGTERM and SIGHUP as numbers that a loop looks at."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

__all__ = ["Signals", "caught_signals", "hangups_ignored"]


@dataclass(slots=True)
class Signals:
    """How often each has come; the handlers do nothing else than count."""

    interrupts: int = 0
    """Ctrl-C (SIGINT)."""
    terminations: int = 0
    """SIGTERM."""
    hangups: int = 0
    """SIGHUP: read the configuration again, or the terminal's window was closed."""

    @property
    def count(self) -> int:
        """How often somebody asked to stop."""
        return self.interrupts + self.terminations

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """The handler of all."""
        if number == signal.SIGINT:
            self.interrupts += 1
        elif number == signal.SIGHUP:
            self.hangups += 1
        else:
            self.terminations += 1


@contextlib.contextmanager
def hangups_ignored() -> Iterator[None]:
    """Let SIGHUP do nothing while the block runs, where nobody within catches it.

    It would end a program that is still on its way to where it listens to it.
    """
    before = signal.getsignal(signal.SIGHUP)
    if before is signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGHUP, lambda *_: None)  # not SIG_IGN: that would be taken for nohup
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


@contextlib.contextmanager
def caught_signals(*, hangups: bool = False) -> Iterator[Signals]:
    """Count the signals while the block runs; afterwards they do what they did before.

    Args:
        hangups: count SIGHUP too, unless it is ignored, as under ``nohup``.
    """
    signals = Signals()
    numbers = {signal.SIGINT, signal.SIGTERM}
    if hangups and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.add(signal.SIGHUP)
    before = {number: signal.signal(number, signals.handle) for number in numbers}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
