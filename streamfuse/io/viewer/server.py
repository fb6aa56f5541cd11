"""A live picture of the run for browsers.

One thread runs the server. The run hands over frames; their images become JPEGs only when a browser asks,
once for all of them. Each browser takes the newest picture when it has drawn the last one, so a slow browser
skips pictures, and neither the run nor another browser ever waits for it.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

from starlette.types import ASGIApp

from streamfuse.clock import Clock, SystemClock, UtcFollower
from streamfuse.core.stats import RateMeter
from streamfuse.errors import OutputError
from streamfuse.frames import FusedFrame
from streamfuse.io.closing import Closing
from streamfuse.io.viewer.access import Access
from streamfuse.io.viewer.app import viewer_app
from streamfuse.io.viewer.eventlog import EventLog
from streamfuse.io.viewer.hosting import Hosting
from streamfuse.io.viewer.library import Library
from streamfuse.io.viewer.screen import Picture, Screen, status_of
from streamfuse.io.viewer.settings import ViewerSettings

__all__ = ["WebViewer"]


class WebViewer(Closing):
    """Serves the live page; :mod:`streamfuse.io.viewer.app` has its routes.

    Args:
        settings: where, for whom, and what.
        clock: tells ages; the host's clock when None.
    """

    def __init__(self, settings: ViewerSettings, *, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self._screen = Screen()
        self._events = EventLog()
        self._utc = UtcFollower()
        self._rate = RateMeter()
        self._shown = 0
        self._encoded = 0
        self._hosting = Hosting(settings, self._app, closed=self._screen.closed, farewell=self._screen.close)

    @property
    def port(self) -> int:
        """The port listened on, or asked for before ``start``."""
        return self._hosting.port

    @property
    def url(self) -> str:
        """Where a browser of this machine finds the page."""
        return self._hosting.url

    @property
    def viewers(self) -> int:
        """Browsers that look at live pictures at the moment."""
        return self._screen.viewers

    @property
    def encoded(self) -> int:
        """JPEGs made so far."""
        picture = self._screen.picture
        return self._encoded + (picture.encoded if picture else 0)

    def start(self) -> None:
        """Listen and serve in a thread; requests are answered from here on. Once in a lifetime.

        Raises:
            OutputError: the address cannot be listened on, for example because the port is in use, or
                the certificate cannot be used.
            MachineError: the page is not installed.
        """
        self._hosting.start()

    def check(self) -> None:
        """Make sure that the page is still served.

        Raises:
            OutputError: its thread has ended by itself.
        """
        if self._hosting.has_died:
            raise OutputError(f"the viewer on {self.url} has stopped; the log says why")

    def show(self, frame: FusedFrame) -> None:
        """Make this the newest picture. Returns at once, however many browsers look; one caller at a time.

        Args:
            frame: is copied, so the caller may use its memory again.
        """
        now_ns = self._clock.now_ns()
        self._utc.follow(now_ns)
        self._rate.tick(now_ns)
        self._events.see(frame, self._utc)
        self._shown += 1
        self._encoded = self.encoded
        fps = self._rate.recent_fps(now_ns)
        self._screen.picture = Picture(
            self._shown,
            _owned(frame),
            status=status_of(frame, pipeline=self._settings.pipeline, fps=fps),
            utc=self._utc,
            quality=self._settings.quality,
            shown_ns=now_ns,
        )
        self._hosting.call(self._screen.announce)

    def close(self, *, timeout_s: float = 5.0) -> None:
        """End all streams, stop serving and free the port; may be called twice.

        Args:
            timeout_s: deadline for the server's thread; one that misses it is left behind with a warning.
        """
        self._hosting.close(timeout_s=timeout_s)

    def _app(self, access: Access, cookie: str) -> ASGIApp:
        return viewer_app(
            self._settings,
            self._screen,
            Library(self._settings.recordings, self._events, self._clock),
            access=access,
            cookie=cookie,
            viewer_id=secrets.token_hex(4),
            clock=self._clock,
        )


def _owned(frame: FusedFrame) -> FusedFrame:
    """The frame with images that nobody else writes into."""
    layers = {layer: image.copy() for layer, image in frame.layers.items()}
    return replace(frame, image=frame.image.copy(), layers=layers)
