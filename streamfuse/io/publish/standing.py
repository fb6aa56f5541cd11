"""How the way to one receiver stands: told once when it changes, and what was lost meanwhile."""

from __future__ import annotations

import threading
from typing import Final

from streamfuse.clock import NS_PER_S, Clock, SystemClock

__all__ = ["Standing"]

_TELL_EVERY_S: Final = 10.0
"""Seconds between two sentences about a receiver that is too slow."""


class Standing:
    """Keeps the books of one receiver. Any thread may write and read them.

    Args:
        where: the receiver as people know it, without secrets.
        clock: tells how long it was away.
    """

    def __init__(self, where: str, *, clock: Clock | None = None) -> None:
        self.where = where
        self.lost = 0
        """Messages so far that the receiver never got."""
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._failing_since_ns: int | None = None
        self._lost_before = 0
        self._told_ns: int | None = None
        self._news: list[str] = []

    def lose(self, count: int = 1) -> None:
        """So many messages will not be sent any more."""
        with self._lock:
            self.lost += count
            now_ns = self._clock.now_ns()
            rested = self._told_ns is None or now_ns - self._told_ns >= _TELL_EVERY_S * NS_PER_S
            if self._failing_since_ns is None and count and rested:
                self._told_ns = now_ns
                self._news.append(f"{self.where}: takes messages too slowly; {self.lost} lost so far")

    def fail(self, why: str) -> None:
        """The receiver does not take messages at present."""
        with self._lock:
            if self._failing_since_ns is None:
                self._failing_since_ns = self._clock.now_ns()
                self._lost_before = self.lost
                self._news.append(f"{self.where}: {why}; trying on")

    def work(self) -> None:
        """The receiver takes messages."""
        with self._lock:
            if self._failing_since_ns is not None:
                away_s = (self._clock.now_ns() - self._failing_since_ns) / NS_PER_S
                self._failing_since_ns = None
                lost = self.lost - self._lost_before
                self._news.append(
                    f"{self.where}: works again after {away_s:.1f} s; {lost} messages were lost"
                )

    def take_news(self) -> list[str]:
        """Sentences that people should read, since the last call."""
        with self._lock:
            news, self._news = self._news, []
        return news
