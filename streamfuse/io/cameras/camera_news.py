"""What a live camera tells its owner: frames and events, in order, and never more than can be kept."""

from __future__ import annotations

import itertools
import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from streamfuse.frames import DropCause, Image
from streamfuse.io.source import SourceInfo

__all__ = ["CameraEvent", "CameraFrame", "News"]

_FRAMES_MAX: Final = 4
"""Frames kept for an owner who is late; older ones make room."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CameraFrame:
    """One image in the planned size and format, with its times."""

    image: Image
    pts_ns: int
    """Time in the source's own clock; begins anew when the camera is opened anew."""
    capture_ns: int
    """Monotonic time at which the scene was seen, by the best clock there is; never runs backwards."""
    arrival_ns: int
    """Monotonic time at which the source gave it out."""
    shutter_closed: bool = False
    """The camera says that it repeats an old image."""
    lost: Mapping[DropCause, int] = field(default_factory=dict)
    """Frames missing between the one before and this, by cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraEvent:
    """Something that a person should know, as one sentence without the stream's name."""

    kind: Literal["opened", "lost", "refused", "resized", "clock"]
    text: str
    info: SourceInfo | None = None
    """``opened``: what the camera gives now, before it is made fit."""
    retry_s: float | None = None
    """``lost`` and ``refused``: seconds until it is tried again."""


class News:
    """From the camera's thread to its owner's. When frames pile up, the oldest is dropped and counted."""

    def __init__(self) -> None:
        self._items: deque[CameraFrame | CameraEvent] = deque()
        self._frames = 0
        self._lock = threading.Lock()

    def put(self, item: CameraFrame | CameraEvent) -> None:
        """Add one; never blocks."""
        with self._lock:
            self._items.append(item)
            if isinstance(item, CameraFrame):
                self._frames += 1
                if self._frames > _FRAMES_MAX:
                    self._drop_oldest()

    def take(self) -> list[CameraFrame | CameraEvent]:
        """All that there is, in order; never blocks."""
        with self._lock:
            items = list(self._items)
            self._items.clear()
            self._frames = 0
        return items

    def _drop_oldest(self) -> None:
        """The frame after it tells of it."""
        frames = ((n, item) for n, item in enumerate(self._items) if isinstance(item, CameraFrame))
        (place, oldest), (next_place, heir) = itertools.islice(frames, 2)
        lost = Counter(heir.lost) + Counter(oldest.lost) + Counter({DropCause.SUPERSEDED: 1})
        self._items[next_place] = replace(heir, lost=lost)
        del self._items[place]
        self._frames -= 1
