"""How the way to one receiver stands: told when it changes, and what was lost meanwhile."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final, Literal

from streamfuse.clock import NS_PER_S, Clock, SystemClock

__all__ = ["News", "Standing"]

_TELL_EVERY_S: Final = 30.0
"""Seconds between two sentences about messages that are being lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """A sentence that people should read."""

    text: str
    level: Literal["info", "warning"]


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
        self._why: str | None = None
        """What is wrong, while something is."""
        self._failing_since_ns = 0
        self._lost_before = 0
        self._lost_told = 0
        self._told_ns: int | None = None
        self._left = 0
        self._news: list[News] = []

    def lose(self, count: int = 1) -> None:
        """So many messages will not be sent any more."""
        with self._lock:
            self.lost += count

    def leave(self, count: int = 1) -> None:
        """So many messages are lost because the end came before they were delivered."""
        with self._lock:
            self.lost += count
            self._left += count

    def fail(self, why: str) -> None:
        """The receiver does not take messages at present."""
        with self._lock:
            if self._why is None:
                self._why = why
                self._failing_since_ns = self._clock.now_ns()
                self._lost_before = self.lost
                self._tell(f"{why}; trying on", "warning")

    def work(self) -> None:
        """The receiver takes messages."""
        with self._lock:
            if self._why is not None:
                self._why = None
                lost = _messages_were(self.lost - self._lost_before)
                self._tell(f"works again after {self._away_s():.1f} s; {lost} lost", "info")
                self._lost_told = self.lost

    def finish(self) -> None:
        """There will be no more messages: the losses that nobody was told of are told."""
        with self._lock:
            if self._left:
                total = f"; {self.lost} were lost in all" if self.lost > self._left else ""
                self._tell(f"{_messages_were(self._left)} not delivered{total}", "warning")
            elif self.lost > self._lost_told:
                self._tell(f"{_messages_were(self.lost)} lost in all", "warning")
            self._left, self._lost_told = 0, self.lost

    def take_news(self) -> list[News]:
        """What people should know, since the last call."""
        with self._lock:
            self._tell_losses()
            news, self._news = self._news, []
        return news

    def _tell_losses(self) -> None:
        """Say so when messages are being lost, though not with each of them."""
        now_ns = self._clock.now_ns()
        has_rested = self._told_ns is None or now_ns - self._told_ns >= _TELL_EVERY_S * NS_PER_S
        if self._left or self.lost == self._lost_told or not has_rested:
            return
        if self._why is None:
            self._tell(f"takes messages too slowly; {_messages_were(self.lost)} lost so far", "warning")
        else:
            away = f"for {self._away_s():.0f} s now"
            self._tell(f"{self._why}, {away}; {_messages_were(self.lost)} lost so far", "warning")
        self._lost_told = self.lost

    def _tell(self, what: str, level: Literal["info", "warning"]) -> None:
        self._told_ns = self._clock.now_ns()
        self._news.append(News(text=f"{self.where}: {what}", level=level))

    def _away_s(self) -> float:
        return (self._clock.now_ns() - self._failing_since_ns) / NS_PER_S


def _messages_were(count: int) -> str:
    return "1 message was" if count == 1 else f"{count} messages were"
