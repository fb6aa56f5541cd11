"""The bus: frames from one producer process to its consumers.

With ``curve.py`` and ``netbus.py``, which take it beyond this host, and ``pubsub.py`` the only file that
knows ZeroMQ.

The producer's :class:`~streamfuse.io.transport.outlet.Outlet` listens at a :class:`Hub` (ROUTER), each
consumer's :class:`~streamfuse.io.transport.inlet.Inlet` is the end of a :class:`Spoke` (DEALER)::

    Inlet ──grant (window, consumed)──► Outlet          pixels: Outlet ──► ring ──► Inlet
    Inlet ◄──descriptor, meta────────── Outlet

A descriptor leaves only against a credit (:mod:`streamfuse.core.flow`), so no queue hides in ZeroMQ. Either
side may be killed and started again: the consumer repeats its grant, and ordinals tell it what never came.
With ledgers that outlive the processes, per consumer and when nothing is under way,
``offered = delivered + overrun + lost + Σ dropped``.

An end of the bus belongs to one thread; other threads reach it through a :class:`Waker`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import zmq

from streamfuse.core.wire import MESSAGE_MAX_BYTES
from streamfuse.errors import BusError, MachineError, UsageError
from streamfuse.io.closing import Closing

__all__ = ["Contexts", "Hub", "Network", "Pollable", "Socket", "Spoke", "Waker", "listen", "wait"]

Socket = zmq.Socket[bytes]

_LINGER_MS = 200
"""How long the last words of a closing socket may take to reach the kernel."""
_GRANTS_MAX = 1000
"""Grants kept for a producer that is away; ZeroMQ learns late that it has room again, so not too few."""
_RECONNECT_MS = 20
_UNBINDABLE = {
    errno.EADDRINUSE: "the address is in use; stop what listens there, or choose another port",
    errno.EADDRNOTAVAIL: "this machine has no such address; give one of its own, or 0.0.0.0 for all",
}
_RECONNECT_MAX_MS = 250
_READABLE = int(zmq.POLLIN)
_MORE = zmq.DONTWAIT | zmq.SNDMORE


class Contexts:
    """A ZeroMQ context that is made with its first socket and ended with the last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._context: zmq.Context[Socket] | None = None
        self._sockets = 0

    def open(self, kind: int) -> Socket:
        """A new socket."""
        with self._lock:
            if self._context is None:
                self._context = zmq.Context()
            self._sockets += 1
            return self._context.socket(kind)

    def close(self, socket: Socket) -> None:
        """Close a socket of this context; may be repeated."""
        if socket.closed:
            return
        socket.close(linger=_LINGER_MS)
        with self._lock:
            self._sockets -= 1
            if self._sockets == 0 and self._context is not None:
                self._context.term()
                self._context = None


_CONTEXTS = Contexts()


class Network(Protocol):
    """What takes an end of the bus beyond this host."""

    contexts: Contexts
    """Where its socket belongs."""

    def prepare(self, socket: Socket) -> None:
        """Set keys, limits and time-outs on a socket that is not connected yet."""


class _End(Closing):
    """The owner of one socket."""

    def __init__(self, kind: int, endpoint: str, network: Network | None) -> None:
        scheme, _, rest = endpoint.partition("://")
        if network is None and (scheme not in {"ipc", "inproc"} or not rest):
            raise UsageError(f"{endpoint}: the bus stays on one host, use ipc://PATH or inproc://NAME")
        self.endpoint = endpoint
        self._file = Path(rest) if scheme == "ipc" else None
        self._contexts = _CONTEXTS if network is None else network.contexts
        self.socket = self._contexts.open(kind)

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self.socket.closed

    def close(self) -> None:
        """End the connections; what was handed to ZeroMQ gets a moment to leave."""
        self._contexts.close(self.socket)

    def _receive(self) -> list[bytes] | None:
        # Asked first: to learn from an exception that nothing has come takes three times as long.
        if not int(self.socket.get(zmq.EVENTS)) & _READABLE:
            return None
        return self.socket.recv_multipart(zmq.DONTWAIT)


def listen(socket: Socket, endpoint: str) -> None:
    """Bind a socket.

    Raises:
        MachineError: the address is in use, or is none of this machine's.
        BusError: the endpoint cannot be bound.
    """
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        if error.errno in _UNBINDABLE:
            raise MachineError(f"{endpoint}: {_UNBINDABLE[error.errno]}") from error
        raise BusError(f"{endpoint}: cannot listen there: {zmq.strerror(error.errno or 0)}") from error


class Hub(_End):
    """Where a producer listens for its consumers.

    Raises:
        UsageError: an endpoint of another kind than ``ipc://`` and ``inproc://``, without a ``network``.
        MachineError: the address is in use, or is none of this machine's.
        BusError: the endpoint cannot be bound.
    """

    def __init__(self, endpoint: str, *, network: Network | None = None) -> None:
        super().__init__(zmq.ROUTER, endpoint, network)
        self.socket.set(zmq.ROUTER_MANDATORY, 1)  # a consumer that is gone is an error, not a silent drop
        self.socket.set(zmq.MAXMSGSIZE, MESSAGE_MAX_BYTES)
        self.socket.set(zmq.SNDHWM, 0)  # the windows are the limit; ZeroMQ's own count lags and would refuse
        if network is not None:
            network.prepare(self.socket)
        try:
            listen(self.socket, endpoint)
            if self._file is not None:
                self._file.chmod(0o600)
        except OSError as error:
            self.close()
            raise BusError(f"{endpoint}: cannot listen there: {error.strerror}") from error
        except (MachineError, BusError):
            self.close()
            raise
        self.endpoint = self.socket.get_string(zmq.LAST_ENDPOINT) if self._file is None else endpoint
        self._poller = zmq.Poller()  # made once: the socket's own poll() makes one for every call
        self._poller.register(self.socket, zmq.POLLIN)

    def poll(self, timeout_ms: int) -> None:
        """Wait until a message has come or the time is over."""
        self._poller.poll(timeout_ms)

    def receive(self) -> tuple[bytes, bytes] | None:
        """The next message with the route back to its sender; None when there is none."""
        parts = self._receive()
        return None if parts is None else (parts[0], b"".join(parts[1:]))

    def send(self, route: bytes, *parts: bytes) -> bool:
        """Send a message along a route; False when its connection is gone. Never blocks.

        Raises:
            BusError: ZeroMQ will not take it.
        """
        try:
            self.socket.send(route, _MORE)
            for part in parts[:-1]:
                self.socket.send(part, _MORE)
            self.socket.send(parts[-1], zmq.DONTWAIT)
        except zmq.ZMQError as error:
            if error.errno == errno.EHOSTUNREACH:
                return False
            raise BusError(f"{self.endpoint}: cannot send: {error}") from error
        return True


class Spoke(_End):
    """A consumer's connection to a producer, which may come later, go and come again.

    Raises:
        UsageError: an endpoint of another kind than ``ipc://`` and ``inproc://``, without a ``network``.
        BusError: an endpoint that ZeroMQ does not take.
    """

    def __init__(self, endpoint: str, *, window: int, network: Network | None = None) -> None:
        super().__init__(zmq.DEALER, endpoint, network)
        self.socket.set(zmq.RCVHWM, window + 1)
        self.socket.set(zmq.SNDHWM, _GRANTS_MAX)
        self.socket.set(zmq.RECONNECT_IVL, _RECONNECT_MS)
        self.socket.set(zmq.RECONNECT_IVL_MAX, _RECONNECT_MAX_MS)
        if network is not None:
            network.prepare(self.socket)
        try:
            self.socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise BusError(f"{endpoint}: cannot connect there: {error}") from error

    def receive(self) -> list[bytes] | None:
        """The parts of the next message; None when there is none."""
        return self._receive()

    def send(self, message: bytes) -> bool:
        """Send a message; False when so many wait for the producer that no more are taken."""
        try:
            self.socket.send(message, zmq.DONTWAIT)
        except zmq.Again:
            return False
        return True


class Waker:
    """Lets another thread end a :func:`wait`."""

    def __init__(self) -> None:
        self.socket = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def wake(self) -> None:
        """End the wait, now or as soon as it begins; callable from any thread."""
        os.eventfd_write(self.socket, 1)

    def clear(self) -> None:
        """Forget the wake-ups so far."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.socket)

    def close(self) -> None:
        """Give the file descriptor back; the other threads must be done with it."""
        os.close(self.socket)


class Pollable(Protocol):
    """Anything with a socket or file descriptor that becomes readable: Inlet, Outlet, Waker."""

    @property
    def socket(self) -> Socket | int:
        """What to poll."""


_P = TypeVar("_P", bound=Pollable)


def wait(sources: Sequence[_P], timeout_ms: int) -> list[_P]:
    """Wait until one of ``sources`` is readable or the time is over; returns the readable ones.

    Wakers among them are cleared.
    """
    poller = zmq.Poller()
    for source in sources:
        poller.register(source.socket, zmq.POLLIN)
    readable = dict(poller.poll(timeout_ms))
    ready = [source for source in sources if source.socket in readable]
    for source in ready:
        if isinstance(source, Waker):
            source.clear()
    return ready
