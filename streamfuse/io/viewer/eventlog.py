"""What the live pictures tell of events: there is a list of them even where nothing is recorded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import Any

from streamfuse.clock import Utc, utc_text
from streamfuse.frames import Event, EventPhase, FusedFrame

__all__ = ["EventLog"]


class EventLog:
    """Remembers the newest events, from any thread.

    Args:
        most: events remembered; beyond it the oldest is forgotten.
    """

    def __init__(self, *, most: int = 200) -> None:
        self._most = most
        self._lock = Lock()
        self._entries: OrderedDict[str, Mapping[str, Any]] = OrderedDict()
        self._going: frozenset[str] = frozenset()

    def see(self, frame: FusedFrame, utc: Utc) -> None:
        """Take in what a frame says; an event that it does not name any more is over."""
        going = frozenset(event.id for event in frame.events if event.phase is not EventPhase.ENDED)
        if going == self._going and not frame.events:
            return
        now = utc_text(utc.utc_of(frame.capture_ns))
        with self._lock:
            for event in frame.events:
                self._entries.setdefault(event.id, _entry(event, utc))
            over = (self._going | {event.id for event in frame.events}) - going
            for event_id in over & self._entries.keys():
                self._entries[event_id] = {**self._entries[event_id], "ended_utc": now, "is_open": False}
            self._going = going
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)

    def entries(self) -> dict[str, Mapping[str, Any]]:
        """All that is remembered, by the event's id, in the form of the page's list."""
        with self._lock:
            return dict(self._entries)


def _entry(event: Event, utc: Utc) -> dict[str, Any]:
    return {
        "id": event.id,
        "rule": event.rule,
        "began_utc": utc_text(utc.utc_of(event.began_ns)),
        "ended_utc": None,
        "nbytes": 0,
        "is_open": True,
        "has_clip": False,
        "has_thumbnail": False,
    }
