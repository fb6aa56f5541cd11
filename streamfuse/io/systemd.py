"""Tells systemd how the service is doing, over the datagram socket of ``sd_notify(3)``.

Outside a service, or in one whose ``Type`` is not ``notify``, there is no socket and nothing is said.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from typing import Final

from streamfuse.io.closing import Closing

__all__ = ["Notifier"]

_SEND_TIMEOUT_S: Final = 0.5
_US_PER_S: Final = 1_000_000


class Notifier(Closing):
    """The service's line to its manager; every method does nothing when there is none.

    Args:
        environ: ``NOTIFY_SOCKET`` (a path, or ``@name`` for an abstract one), ``WATCHDOG_USEC`` and
            ``WATCHDOG_PID`` are looked at.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._socket: socket.socket | None = None
        self.watchdog_s = _watchdog_s(environ)
        """The manager acts when it hears no :meth:`alive` for so long; None when it does not watch."""
        address = environ.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):
            return
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(_SEND_TIMEOUT_S)

    @property
    def is_heard(self) -> bool:
        """Whether there is a manager to talk to."""
        return self._socket is not None

    def ready(self, status: str) -> None:
        """The service does its work from now on (again, after :meth:`reloading`)."""
        self._send(READY="1", STATUS=status)

    def reloading(self, now_ns: int) -> None:
        """It reads its configuration again, since ``now_ns`` of the monotonic clock."""
        self._send(RELOADING="1", MONOTONIC_USEC=str(now_ns // 1000))

    def stopping(self) -> None:
        """It is ending."""
        self._send(STOPPING="1")

    def alive(self) -> None:
        """It works: the watchdog begins to count anew."""
        self._send(WATCHDOG="1")

    def status(self, text: str) -> None:
        """A line for ``systemctl status``."""
        self._send(STATUS=text)

    def close(self) -> None:
        """Hang up; may be called twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, **words: str) -> None:
        if self._socket is None:
            return
        lines = (f"{name}={' '.join(value.split())}\n" for name, value in words.items())
        with contextlib.suppress(OSError):  # a manager that does not listen is no reason to stop working
            self._socket.sendto("".join(lines).encode(), self._address)


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """The watchdog's patience in seconds, when it watches this very process."""
    meant = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    text = environ.get("WATCHDOG_USEC", "")
    return int(text) / _US_PER_S if meant and text.isdecimal() and int(text) > 0 else None
