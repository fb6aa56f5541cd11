"""A live picture of the run for browsers.

One thread runs the server. The run hands over frames; their images become JPEGs only when a browser asks,
once for all of them. Each browser takes the newest picture when it has drawn the last one, so a slow browser
skips pictures, and neither the run nor another browser ever waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Thread
from typing import Final

from streamfuse.clock import Clock, SystemClock, UtcFollower
from streamfuse.config.fields import is_loopback
from streamfuse.core.stats import RateMeter
from streamfuse.errors import OutputError
from streamfuse.frames import FusedFrame
from streamfuse.io.closing import Closing
from streamfuse.io.viewer.access import Access, own_names
from streamfuse.io.viewer.app import viewer_app
from streamfuse.io.viewer.eventlog import EventLog
from streamfuse.io.viewer.guard import Guard
from streamfuse.io.viewer.library import Library
from streamfuse.io.viewer.screen import Picture, Screen, status_of
from streamfuse.io.viewer.serving import Serving, listen, prepare
from streamfuse.io.viewer.settings import ViewerSettings

__all__ = ["WebViewer"]

_log = logging.getLogger(__name__)

_ENCODERS: Final = 3
"""Threads: one for each image of a frame."""


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
        self._loop: asyncio.AbstractEventLoop | None = None
        self._serving: Serving | None = None
        self._thread: Thread | None = None

    @property
    def port(self) -> int:
        """The port listened on, or asked for before ``start``."""
        return self._settings.port

    @property
    def url(self) -> str:
        """Where a browser of this machine finds the page."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._settings.host, self._settings.host)  # noqa: S104 - read, not bound
        scheme = "https" if self._settings.encrypted else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}/"

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
        assert self._thread is None, "started twice"
        listener = listen(self._settings)
        try:
            self._settings = replace(self._settings, port=listener.getsockname()[1])
            self._serving = prepare(self._app(), listener, self._settings)
        except BaseException:
            listener.close()
            raise
        runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop = runner.get_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(_ENCODERS, thread_name_prefix="viewer-encode"))
        self._thread = Thread(target=self._run, args=(runner, self._serving), name="viewer", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Make sure that the page is still served.

        Raises:
            OutputError: its thread has ended by itself.
        """
        if self._thread is not None and not self._thread.is_alive() and not self._screen.closed.is_set():
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
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody looks any more
                self._loop.call_soon_threadsafe(self._screen.announce)

    def close(self, *, timeout_s: float = 5.0) -> None:
        """End all streams, stop serving and free the port; may be called twice.

        Args:
            timeout_s: deadline for the server's thread; one that misses it is left behind with a warning.
        """
        if self._thread is None or self._loop is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(self._screen.close)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            _log.warning("the viewer did not stop within %.1f s", timeout_s)

    def _app(self) -> Guard:
        settings = self._settings
        local = is_loopback(settings.host)
        access = Access(
            settings.token,
            names=() if local else own_names() | {settings.host},
            origins=settings.origins,
            encrypted=settings.encrypted,
            addresses=not local,
        )
        return viewer_app(
            settings,
            self._screen,
            Library(settings.recordings, self._events, self._clock),
            access=access,
            # Cookies know no ports: two viewers of one machine must not share one.
            cookie=f"streamfuse-{settings.port}",
            viewer_id=secrets.token_hex(4),
            clock=self._clock,
        )

    def _run(self, runner: asyncio.Runner, serving: Serving) -> None:
        with runner:
            runner.run(serving.until(self._screen.closed))


def _owned(frame: FusedFrame) -> FusedFrame:
    """The frame with images that nobody else writes into."""
    layers = {layer: image.copy() for layer, image in frame.layers.items()}
    return replace(frame, image=frame.image.copy(), layers=layers)
