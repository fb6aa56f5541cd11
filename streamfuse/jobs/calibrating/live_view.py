"""The newest pictures of one camera, or of both at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Final, Self

from streamfuse.clock import NS_PER_MS, NS_PER_S, Clock
from streamfuse.config.sources import SourceConfig
from streamfuse.errors import SourceError
from streamfuse.frames import StreamName
from streamfuse.io.cameras.camera_news import CameraEvent, CameraFrame
from streamfuse.io.sources import redact
from streamfuse.io.transport.bus import wait
from streamfuse.jobs.capturing.feed import Feed, open_feed

__all__ = ["LiveView"]

_SILENT_S: Final = 20.0
"""After so long without a picture somebody should look at the cable."""
_TURN_MS: Final = 50
"""Longest wait of the loop: how soon it heeds a signal."""


class LiveView:
    """Cameras, or recordings played as if they were: what they see now. Use it as a context.

    Args:
        sources: One or both streams.
        clock: Times the frames.
        max_skew_ms: Frames that were captured further apart are not one moment.

    Raises:
        SourceError: a recording cannot be opened. A camera is waited for.
        UsageError: a kind of source that is not supported.
    """

    def __init__(
        self, sources: Mapping[StreamName, SourceConfig], *, clock: Clock, max_skew_ms: float = 50.0
    ) -> None:
        self._clock = clock
        self._max_skew_ns = round(max_skew_ms * NS_PER_MS)
        self._labels = {stream: f"{stream}: {redact(config.uri)}" for stream, config in sources.items()}
        self._newest: dict[StreamName, CameraFrame] = {}
        self._heard_ns = dict.fromkeys(sources, clock.now_ns())
        self._trouble: dict[StreamName, str] = {}
        self._feeds: dict[StreamName, Feed] = {}
        with ExitStack() as stack:
            for stream, config in sources.items():
                feed = open_feed(config, stream=stream, clock=clock)
                stack.callback(feed.close)
                self._feeds[stream] = feed
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def next(self, timeout_s: float) -> dict[StreamName, CameraFrame] | None:
        """A frame of each stream that was not given before, all of one moment.

        Returns:
            None when ``timeout_s`` is over, or when a recording has ended (see :attr:`has_ended`).

        Raises:
            SourceError: a camera has been silent for too long.
        """
        until_ns = self._clock.now_ns() + round(timeout_s * NS_PER_S)
        while True:
            self._take()
            if self._is_complete():
                moment, self._newest = self._newest, {}
                return moment
            now_ns = self._clock.now_ns()
            self._check_silence(now_ns)
            left_ms = (until_ns - now_ns) // NS_PER_MS
            if left_ms <= 0 or self.has_ended:
                return None
            idle = [ms for feed in self._feeds.values() if (ms := feed.idle_ms()) is not None]
            wait([feed.waker for feed in self._feeds.values()], timeout_ms=min(_TURN_MS, left_ms, *idle))

    @property
    def has_ended(self) -> bool:
        """Whether no further moment can come."""
        return any(feed.has_ended for feed in self._feeds.values())

    def close(self) -> None:
        """Release the cameras."""
        self._stack.close()

    def _take(self) -> None:
        for stream, feed in self._feeds.items():
            for news in feed.take():
                if isinstance(news, CameraEvent):
                    self._trouble[stream] = news.text
                elif not news.shutter_closed:
                    self._newest[stream] = news
                    self._heard_ns[stream] = news.arrival_ns

    def _is_complete(self) -> bool:
        """Whether there is a frame of each; of two that are too far apart, the older one is given up."""
        if len(self._newest) < len(self._feeds):
            return False
        times_ns = {stream: frame.capture_ns for stream, frame in self._newest.items()}
        if max(times_ns.values()) - min(times_ns.values()) <= self._max_skew_ns:
            return True
        del self._newest[min(times_ns, key=times_ns.__getitem__)]
        return False

    def _check_silence(self, now_ns: int) -> None:
        for stream, heard_ns in self._heard_ns.items():
            if now_ns - heard_ns > _SILENT_S * NS_PER_S and not self._feeds[stream].has_ended:
                why = self._trouble.get(stream, "it is open and gives no picture")
                raise SourceError(f"{self._labels[stream]}: no picture for {_SILENT_S:g} s ({why})")
