"""The page of a live calibration: what the cameras see, what is covered, what to do next; a stop button."""

from __future__ import annotations

from threading import Event

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from streamfuse.io.calibrating.hosted import HostedPage, sync

__all__ = ["LivePage"]


class LivePage(HostedPage):
    """Serves the page; the job tells the news.

    News: ``words`` (what to do), ``verdict``, ``shots``, ``wanted`` (null: as many as it takes), ``progress``
    (0..1), ``needs`` (orders, the next in front), ``finished``, and ``cameras``: of each ``name``, ``size``
    (width and height), ``points`` ([x, y] each) and ``map`` (rows of counts). Pictures have their names.

    Args:
        address: ``HOST:PORT``; port 0 takes a free one.
    """

    def __init__(self, address: str) -> None:
        self.stopped = Event()
        """Set when somebody has pressed the button."""
        super().__init__(
            address, index="live.html", routes=[Route("/stop", sync(self._stop), methods=["POST"])]
        )

    def _stop(self, _: Request) -> Response:
        self.stopped.set()
        return PlainTextResponse("stopping\n")
