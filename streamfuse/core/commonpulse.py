"""One sign of life of several workers: it beats only while all of them do."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CommonPulse"]


class CommonPulse:
    """Counts how often each of several numbers has moved; fed with them all the time."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._moved: set[str] = set()
        self._beats = 0

    def beat(self, progress: Mapping[str, int]) -> int:
        """The count; it grows once every number of ``progress`` has changed since it last grew."""
        self._moved |= {name for name, number in progress.items() if number != self._seen.get(name)}
        self._seen.update(progress)
        if progress and self._moved >= progress.keys():
            self._beats += 1
            self._moved.clear()
        return self._beats
