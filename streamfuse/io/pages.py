"""A few small pages for machines over HTTP: made when they are asked for, in a thread of their own."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from streamfuse.io.closing import Closing

__all__ = ["Page", "PageServer", "Probe", "probe_page"]

_REQUEST_TIMEOUT_S: Final = 10.0
"""A client that says nothing for so long is hung up on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An answer."""

    body: bytes
    content_type: str
    status: HTTPStatus = HTTPStatus.OK


Probe = Callable[[], Sequence[str]]
"""Gives the reasons for a no, or nothing."""


def probe_page(probe: Probe) -> Page:
    """200 or 503 and ``{"ok": bool, "reasons": [sentence]}``."""
    reasons = list(probe())
    return Page(
        body=json.dumps({"ok": not reasons, "reasons": reasons}).encode() + b"\n",
        content_type="application/json",
        status=HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK,
    )


class PageServer(Closing):
    """Serves pages by their paths, from the constructor to :meth:`close`.

    Args:
        host: Address to listen on.
        port: TCP port; 0 takes a free one.
        pages: What makes each page, by path; called in the server's threads, once per request.

    Raises:
        OSError: the address cannot be listened on.
    """

    def __init__(self, host: str, port: int, pages: Mapping[str, Callable[[], Page]]) -> None:
        self._pages = pages
        kind = _Server6 if ":" in host else _Server
        self._server = make_server(host, port, self._answer, server_class=kind, handler_class=_Quiet)
        self.port: int = self._server.server_port
        self._thread: Thread | None = Thread(target=self._server.serve_forever, name="pages", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving and free the port; may be called twice."""
        if self._thread is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._thread = None

    def _answer(self, request: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        page = self._page(request["REQUEST_METHOD"], request["PATH_INFO"])
        headers = [
            ("Content-Type", page.content_type),
            ("Content-Length", str(len(page.body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        start(f"{page.status.value} {page.status.phrase}", headers)
        return [] if request["REQUEST_METHOD"] == "HEAD" else [page.body]

    def _page(self, method: str, path: str) -> Page:
        if method not in {"GET", "HEAD"}:
            return _refusal(HTTPStatus.METHOD_NOT_ALLOWED, "only GET is answered")
        if path not in self._pages:
            return _refusal(HTTPStatus.NOT_FOUND, f"there is {', '.join(self._pages)}")
        return self._pages[path]()


def _refusal(status: HTTPStatus, why: str) -> Page:
    return Page(body=f"{why}\n".encode(), content_type="text/plain; charset=utf-8", status=status)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Quiet(WSGIRequestHandler):
    timeout = _REQUEST_TIMEOUT_S

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody wants a line for every scrape."""
