"""Tells the system's service manager how the run is: one word for all of its pipelines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from streamfuse.clock import NS_PER_S, Clock
from streamfuse.io.closing import Closing
from streamfuse.io.systemd import Notifier
from streamfuse.runtime.status import Status

__all__ = ["Service", "words_of"]

_NOTIFY_EVERY_S: Final = 2.0


class Service(Closing):
    """Takes the status of the pipelines twice a second and passes it on, where a service manager listens."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._notified_ns: int | None = None
        self._announced = False
        self._ending = False
        self._notifier = Notifier()

    def show(self, statuses: Mapping[str, Status]) -> None:
        """Pass on how the pipelines are at this moment; the watchdog is kept as long as all are healthy."""
        if not self._notifier.is_heard or self._ending:
            return
        words, now_ns = words_of(statuses), self._clock.now_ns()
        if not self._announced and all(status.begun for status in statuses.values()):
            self._announced = True
            self._notifier.ready(words)
        patience_s = self._notifier.watchdog_s
        every_s = _NOTIFY_EVERY_S if patience_s is None else min(_NOTIFY_EVERY_S, patience_s / 4)
        if self._notified_ns is not None and now_ns - self._notified_ns < every_s * NS_PER_S:
            return
        self._notified_ns = now_ns
        self._notifier.status(words)
        if all(status.health.healthy for status in statuses.values()):
            self._notifier.alive()

    def reloading(self) -> None:
        """The configuration is being read again; the next :meth:`show` says that it is done."""
        self._notifier.reloading(self._clock.now_ns())
        self._announced = False

    def ending(self) -> None:
        """The run is coming to its end."""
        if not self._ending:
            self._ending = True
            self._notifier.stopping()

    def close(self) -> None:
        """Stop telling; may be called twice."""
        self._notifier.close()


def words_of(statuses: Mapping[str, Status]) -> str:
    """All pipelines in one line, for ``systemctl status``; one that is alone needs no name."""
    if len(statuses) == 1:
        return "".join(map(_words, statuses.values()))
    return " | ".join(f"{name}: {_words(status)}" for name, status in statuses.items())


def _words(status: Status) -> str:
    troubles = "; ".join((*status.health.not_ready, *status.health.not_healthy))
    if not status.begun:
        return troubles
    return f"{status.summary.fused} fused at {status.summary.fps:.1f} fps{'; ' if troubles else ''}{troubles}"
