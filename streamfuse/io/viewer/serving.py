"""Sockets and requests: uvicorn in an event loop, with limits that strangers cannot wear out.

The only file that knows uvicorn.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import Counter
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from streamfuse.errors import OutputError
from streamfuse.io.viewer.settings import ViewerSettings

__all__ = ["Serving", "listen", "prepare"]

_SEND_BUFFER_BYTES: Final = 128 * 1024
"""Of each connection. The default grows to megabytes: seconds of old pictures for a slow browser."""
_UNREAD_MS: Final = 60_000
"""For this long a browser may leave what was sent to it unread; then its connection is cut."""
_MESSAGE_BYTES: Final = 1024
"""Of what a browser says on the WebSocket at most."""
_HEADER_BYTES: Final = 16 * 1024
"""Of a request's headers at most."""
_CONNECTIONS: Final = 256
"""Beyond which plain requests are answered with 503."""
_SILENT_S: Final = 10
"""For this long a connection may be open without a whole request."""
_GRACE_S: Final = 1.0
"""How long connections may finish by themselves when the viewer stops."""


class Serving:
    """A server on a socket that listens already.

    Args:
        server: answers.
        listener: is closed with the server.
    """

    def __init__(self, server: uvicorn.Server, listener: socket.socket) -> None:
        self._server = server
        self._listener = listener

    async def until(self, closed: asyncio.Event) -> None:
        """Serve until the event is set, or the server ends by itself; then end all connections."""
        # Off the main thread uvicorn leaves the signal handlers alone.
        serving = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        sweeping, closing = asyncio.create_task(self._sweep()), asyncio.create_task(closed.wait())
        await asyncio.wait({serving, closing}, return_when=asyncio.FIRST_COMPLETED)
        sweeping.cancel()
        closing.cancel()
        self._server.should_exit = True
        await asyncio.wait({serving}, timeout=_GRACE_S)
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()  # a browser that does not read would hold the server for ever
        await serving

    async def _sweep(self) -> None:
        """Cut connections that send no request: uvicorn would wait for it for ever."""
        silent_s: Counter[H11Protocol] = Counter()
        while True:
            await asyncio.sleep(1)
            connections = self._server.server_state.connections
            plain = {connection for connection in connections if isinstance(connection, H11Protocol)}
            silent = {connection for connection in plain if _is_silent(connection)}
            silent_s = Counter({connection: silent_s[connection] + 1 for connection in silent})
            for connection, waited_s in silent_s.items():
                if waited_s > _SILENT_S:
                    connection.transport.abort()


def prepare(app: ASGIApp, listener: socket.socket, settings: ViewerSettings) -> Serving:
    """A server for ``app``.

    Raises:
        OutputError: the certificate cannot be used.
    """
    config = uvicorn.Config(
        app,
        loop="none",
        http="h11",
        ws="websockets-sansio",
        ws_max_size=_MESSAGE_BYTES,
        ws_per_message_deflate=False,  # JPEGs do not shrink
        lifespan="off",
        log_config=None,
        log_level=logging.ERROR,  # what strangers send is not worth a line each
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        h11_max_incomplete_event_size=_HEADER_BYTES,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.key,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise OutputError(
            f"viewer.tls: {settings.certificate} and {settings.key} cannot be used "
            f"({error.strerror or error}); they must be a PEM certificate and its key"
        ) from error
    return Serving(uvicorn.Server(config), listener)


def listen(settings: ViewerSettings) -> socket.socket:
    """A socket on which browsers can connect.

    Raises:
        OutputError: the address cannot be listened on.
    """
    where = f"{settings.host}:{settings.port}"
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            "127.0.0.1" if settings.host == "localhost" else settings.host,
            settings.port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )[0]
        listener = socket.socket(family, kind)
    except OSError as error:
        raise OutputError(
            f"the viewer cannot listen on {where}: {error.strerror}; change viewer.web"
        ) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MS)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        raise OutputError(
            f"the viewer cannot listen on {where}: {error.strerror}; "
            "stop what uses the port or choose another in viewer.web"
        ) from error
    return listener


def _is_silent(connection: H11Protocol) -> bool:
    """Whether it has no request under way."""
    return connection.cycle is None or connection.cycle.response_complete
