"""A live picture of the run for the browsers of this machine.

One thread runs an event loop with uvicorn and Starlette. The run hands over JPEGs that are encoded
already; each browser takes the newest picture when it has taken its last one, so a slow browser
skips pictures and neither the run nor another browser ever waits for it.

There is no login: the viewer listens on loopback only, answers only to loopback host names (a page
that points its own name at 127.0.0.1 gets nothing) and forbids other sites to embed it. To look from
another machine, forward the port: ``ssh -L 8090:127.0.0.1:8090 edge-box``.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import logging
import re
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from streamfuse.clock import NS_PER_MS, Clock, SystemClock
from streamfuse.errors import OutputError, UsageError

__all__ = ["WebViewer"]

_log = logging.getLogger(__name__)

_PAGE = Path(__file__).with_name("viewer_page.html")
_LOOPBACK = {"127.0.0.1": "127.0.0.1", "::1": "::1", "localhost": "127.0.0.1"}
_HOST_HEADERS = ["127.0.0.1", "[::1]", "localhost"]
_BOUNDARY = "streamfuse-picture"
_SEND_BUFFER_BYTES = 128 * 1024
"""Of each connection. The default grows to megabytes: seconds of old pictures for a slow browser."""
_GRACE_S = 1.0
"""How long connections may finish by themselves when the viewer stops."""


class WebViewer:
    """Serves the newest fused picture and its numbers as a web page on loopback.

    Routes: ``/`` the page, ``/stream.mjpg`` the live pictures (``multipart/x-mixed-replace``),
    ``/snapshot.jpg`` the newest one (503 before the first), ``/status.json``
    (``{"viewer": id of this server, "frame": pictures shown so far, "age_ms": age of the newest or null,
    "status": what show() was given}``) and ``/healthz``.

    Args:
        host: ``127.0.0.1``, ``::1`` or ``localhost`` (which means 127.0.0.1).
        port: TCP port 0..65535; 0 takes a free one, see ``port``.
        clock: tells the age of the picture; the host's clock when None.

    Raises:
        UsageError: the host is not loopback or the port is out of range.
    """

    def __init__(self, host: str, port: int, *, clock: Clock | None = None) -> None:
        if host not in _LOOPBACK:
            raise UsageError(
                f"the viewer has no login, so its host must be one of {', '.join(_LOOPBACK)}, got {host!r}; "
                "forward its port with ssh -L to look from elsewhere"
            )
        if not 0 <= port <= 65535:
            raise UsageError(f"the viewer's port must be within 0..65535, got {port}")
        self._host = _LOOPBACK[host]
        self._port = port
        self._clock = clock or SystemClock()
        self._screen = _Screen()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None

    @property
    def port(self) -> int:
        """The port listened on, or asked for before ``start``."""
        return self._port

    @property
    def url(self) -> str:
        """Where a browser finds the page."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}/"

    def start(self) -> None:
        """Listen and serve in a thread; requests are answered from here on. Once in a lifetime.

        Raises:
            OutputError: the address cannot be listened on, for example because the port is in use.
        """
        assert self._thread is None, "started twice"
        server = uvicorn.Server(_server_config(_app(self._screen, self._clock)))
        listener = _listen(self._host, self._port)
        self._port = listener.getsockname()[1]
        runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop = runner.get_loop()
        self._thread = Thread(target=self._run, args=(runner, server, listener), name="viewer", daemon=True)
        self._thread.start()

    def show(self, jpeg: bytes, status: Mapping[str, object]) -> None:
        """Make this the newest picture. Returns at once, however many browsers look; one caller at a time.

        Args:
            jpeg: an encoded image; it is sent to every browser as it is.
            status: what the page shows beside it, all optional: ``state``, ``skew_ms``,
                ``infrared_age_ms``, ``fps``, ``latency_ms``, ``detections`` (a number). None, not NaN,
                stands for what is not known.

        Raises:
            ValueError: the status cannot be written as JSON.
        """
        last = self._screen.picture
        self._screen.picture = _Picture(
            number=last.number + 1 if last else 1,
            jpeg=jpeg,
            status_json=json.dumps(status, allow_nan=False),
            shown_ns=self._clock.now_ns(),
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

    def _run(self, runner: asyncio.Runner, server: uvicorn.Server, listener: socket.socket) -> None:
        with runner:
            runner.run(self._serve(server, listener))

    async def _serve(self, server: uvicorn.Server, listener: socket.socket) -> None:
        # Off the main thread uvicorn leaves the signal handlers alone.
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await self._screen.closed.wait()
        server.should_exit = True
        await asyncio.wait({serving}, timeout=_GRACE_S)
        for connection in list(server.server_state.connections):
            connection.transport.abort()  # a browser that does not read would hold the server for ever
        await serving


@dataclass(frozen=True, slots=True, kw_only=True)
class _Picture:
    number: int
    """1 for the first one shown."""
    jpeg: bytes
    status_json: str
    shown_ns: int


class _Screen:
    """The newest picture and those who wait for a newer one.

    ``picture`` may be set from any thread; all else belongs to the event loop.
    """

    def __init__(self) -> None:
        self.picture: _Picture | None = None
        self.closed = asyncio.Event()
        self._changed = asyncio.Event()

    def announce(self) -> None:
        """Wake all who wait."""
        self._changed.set()
        self._changed = asyncio.Event()

    def close(self) -> None:
        """Send all who wait away, now and from now on."""
        self.closed.set()
        self.announce()

    async def next_after(self, number: int) -> _Picture | None:
        """The newest picture once it has another number, or None when the screen is closed."""
        while not self.closed.is_set():
            picture = self.picture
            if picture is not None and picture.number != number:
                return picture
            await self._changed.wait()
        return None


def _app(screen: _Screen, clock: Clock) -> Starlette:
    page = _PAGE.read_text(encoding="utf-8")
    page_headers = {"Content-Security-Policy": _content_security_policy(page)}
    viewer_id = secrets.token_hex(4)

    async def index(_: Request) -> Response:
        return HTMLResponse(page, headers=page_headers)

    async def stream(request: Request) -> Response:
        media_type = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
        if request.method == "HEAD":
            return Response(media_type=media_type)
        return StreamingResponse(_parts(screen), media_type=media_type)

    async def snapshot(_: Request) -> Response:
        picture = screen.picture
        if picture is None:
            return PlainTextResponse("no picture yet\n", status_code=503, headers={"Retry-After": "1"})
        return Response(picture.jpeg, media_type="image/jpeg")

    async def status(_: Request) -> Response:
        picture = screen.picture
        if picture is None:
            return JSONResponse({"viewer": viewer_id, "frame": 0, "age_ms": None, "status": {}})
        age_ms = round((clock.now_ns() - picture.shown_ns) / NS_PER_MS, 1)
        status = json.loads(picture.status_json)
        return JSONResponse(
            {"viewer": viewer_id, "frame": picture.number, "age_ms": age_ms, "status": status}
        )

    async def health(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    return Starlette(
        routes=[
            Route("/", index),
            Route("/stream.mjpg", stream),
            Route("/snapshot.jpg", snapshot),
            Route("/status.json", status),
            Route("/healthz", health),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=_HOST_HEADERS, www_redirect=False)],
    )


async def _parts(screen: _Screen) -> AsyncIterator[bytes]:
    delimiter = f"\r\n--{_BOUNDARY}\r\n".encode()
    yield delimiter
    number = 0
    while (picture := await screen.next_after(number)) is not None:
        number = picture.number
        head = f"Content-Type: image/jpeg\r\nContent-Length: {len(picture.jpeg)}\r\n\r\n"
        yield head.encode() + picture.jpeg
        # On its own, for two reasons: browsers draw a picture only when they see the delimiter after
        # it, and uvicorn takes it only when the browser has taken the picture: then the next is chosen.
        yield delimiter


def _server_config(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="none",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        headers=[
            ("Cache-Control", "no-store"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
        ],
    )


def _content_security_policy(page: str) -> str:
    """Allow the page its own inline style and script, by hash, and its own server; nothing else."""
    sources = {
        tag: " ".join(_csp_hash(block) for block in re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL))
        for tag in ("style", "script")
    }
    return (
        f"default-src 'none'; style-src {sources['style']}; script-src {sources['script']}; "
        "img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _csp_hash(block: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()}'"


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        listener.bind((host, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise OutputError(
            f"the viewer cannot listen on {host}:{port}: {error.strerror}; "
            "stop what uses the port or choose another in viewer.web"
        ) from error
    return listener
