"""The live pictures of a viewer elsewhere, over HTTP; the only file that asks a viewer."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from threading import Condition, Thread
from typing import Final

from streamfuse.config.fields import split_host_port
from streamfuse.errors import SourceError, UsageError
from streamfuse.io.closing import Closing

__all__ = ["LiveStream", "ViewerAddress", "find_viewer"]

_TIMEOUT_S: Final = 10.0
_HTTPS: Final = "https://"
_MOST_BYTES: Final = 64 * 1024 * 1024
"""Of one picture; more is no picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerAddress:
    """Where the page of a viewer is, and what it takes to be let in."""

    host: str
    port: int
    encrypted: bool = False
    token: str | None = None

    @classmethod
    def of(cls, text: str, *, token: str | None = None) -> ViewerAddress:
        """Read ``HOST:PORT``, or the page's address as a browser has it.

        Raises:
            UsageError: it is neither.
        """
        plain = text.removeprefix(_HTTPS).removeprefix("http://").rstrip("/")
        try:
            host, port = split_host_port(plain)
        except ValueError as error:
            raise UsageError(f'expected host:port, such as 127.0.0.1:8090, got "{text}"') from error
        return cls(host=host, port=port, encrypted=text.startswith(_HTTPS), token=token)

    @property
    def url(self) -> str:
        """Of the page."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.encrypted else 'http'}://{host}:{self.port}/"

    def get(self, path: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Ask for ``path``; the connection is the caller's to close.

        Raises:
            SourceError: nothing answers there, or nothing that speaks HTTP.
        """
        kind = http.client.HTTPSConnection if self.encrypted else http.client.HTTPConnection
        connection = kind(self.host, self.port, timeout=_TIMEOUT_S)
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        try:
            connection.request("GET", path, headers=headers)
            return connection, connection.getresponse()
        except ssl.SSLError as error:
            connection.close()
            raise SourceError(f"{self.url}: no trusted encryption there ({error.reason})") from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise SourceError(
                f"no viewer answers at {self.url} ({error}); is a pipeline with `viewer.web` running there?"
            ) from error


def find_viewer(address: ViewerAddress) -> bool:
    """Make sure that a viewer answers there; says whether it lets us in with the token that we have.

    Raises:
        SourceError: nothing answers, or something that is no viewer.
    """
    connection, answer = address.get("/status.json")
    try:
        if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return False
        known = answer.status == HTTPStatus.OK and "viewer" in json.loads(answer.read())
    except (OSError, ValueError, TypeError):
        known = False
    finally:
        connection.close()
    if not known:
        raise SourceError(f"what answers at {address.url} is no viewer of streamfuse; check the port")
    return True


class LiveStream(Closing):
    """The newest fused picture of a viewer, with its overlay, read in a thread.

    Args:
        address: of the viewer.

    Raises:
        SourceError: the viewer does not answer.
        UsageError: it does not accept the token.
    """

    def __init__(self, address: ViewerAddress) -> None:
        self._connection, self._answer = address.get("/stream.mjpg")
        if self._answer.status != HTTPStatus.OK:
            self._connection.close()
            raise UsageError(
                f"{address.url} refuses ({self._answer.status} {self._answer.reason}); check the token"
            )
        self._news = Condition()
        self._picture: bytes | None = None
        self._ended = False
        self._connection.sock.settimeout(None)  # a camera may be silent for long
        self._connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._thread = Thread(target=self._run, name="mjpeg", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether no more pictures come."""
        return self._ended

    def newest(self, timeout_s: float) -> bytes | None:
        """The newest picture that was not taken yet, as a JPEG file; None when none came in time."""
        with self._news:
            self._news.wait_for(lambda: self._picture is not None or self._ended, timeout_s)
            picture, self._picture = self._picture, None
            return picture

    def close(self) -> None:
        """Leave the viewer; may be called twice."""
        if self._connection.sock is not None:
            with contextlib.suppress(OSError):  # the viewer was faster
                self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._answer.close()
        self._connection.close()

    def _run(self) -> None:
        try:
            while (picture := self._part()) is not None:
                with self._news:
                    self._picture = picture
                    self._news.notify_all()
        except (OSError, ValueError, http.client.HTTPException):
            pass  # the connection is gone: the stream has ended
        finally:
            with self._news:
                self._ended = True
                self._news.notify_all()

    def _part(self) -> bytes | None:
        """The next part of the stream; None at its end."""
        length = 0
        while line := self._answer.readline():
            name, _, value = line.decode("latin-1").partition(":")
            if name.strip().lower() == "content-length":
                length = int(value)
            elif not line.strip() and length:
                break
        if not 0 < length <= _MOST_BYTES:
            return None
        picture = self._answer.read(length)
        return picture if len(picture) == length else None
