"""A page of ours in a thread: its socket, its event loop, who may see it, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Thread
from typing import Final

from starlette.types import ASGIApp

from streamfuse.config.fields import is_loopback
from streamfuse.io.closing import Closing
from streamfuse.io.viewer.access import Access, own_names
from streamfuse.io.viewer.serving import Serving, listen, prepare
from streamfuse.io.viewer.settings import ViewerSettings

__all__ = ["Hosting"]

_log = logging.getLogger(__name__)

_ENCODERS: Final = 3
"""Threads: one for each image of a frame."""


class Hosting(Closing):
    """Serves one application.

    Args:
        settings: where, and for whom.
        app: makes it, from who judges requests and the name of our cookie.
        closed: serving ends when it is set.
        farewell: called in the event loop when the page is closed; sets ``closed`` and sends all away.
    """

    def __init__(
        self,
        settings: ViewerSettings,
        app: Callable[[Access, str], ASGIApp],
        *,
        closed: asyncio.Event,
        farewell: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._app = app
        self._closed = closed
        self._farewell = farewell
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
    def has_died(self) -> bool:
        """Whether its thread has ended by itself."""
        return self._thread is not None and not self._thread.is_alive() and not self._closed.is_set()

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
            # Cookies know no ports: two pages of one machine must not share one.
            app = self._app(_access(self._settings), f"streamfuse-{self.port}")
            self._serving = prepare(app, listener, self._settings)
        except BaseException:
            listener.close()
            raise
        runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop = runner.get_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(_ENCODERS, thread_name_prefix="viewer-encode"))
        self._thread = Thread(target=self._run, args=(runner, self._serving), name="viewer", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], None]) -> None:
        """Have something called in the event loop; nothing happens before ``start`` and after the end."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody looks any more
                self._loop.call_soon_threadsafe(function)

    def close(self, *, timeout_s: float = 5.0) -> None:
        """End all streams, stop serving and free the port; may be called twice.

        Args:
            timeout_s: deadline for the server's thread; one that misses it is left behind with a warning.
        """
        if self._thread is None:
            return
        self.call(self._farewell)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            _log.warning("the viewer did not stop within %.1f s", timeout_s)

    def _run(self, runner: asyncio.Runner, serving: Serving) -> None:
        with runner:
            runner.run(serving.until(self._closed))


def _access(settings: ViewerSettings) -> Access:
    local = is_loopback(settings.host)
    return Access(
        settings.token,
        names=() if local else own_names() | {settings.host},
        origins=settings.origins,
        encrypted=settings.encrypted,
        addresses=not local,
    )
