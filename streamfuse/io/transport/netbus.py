"""The bus between two machines: the ends of ``io/transport/bus.py`` over TCP, with keys, limits and a watch.

One of the files that know ZeroMQ. The rules: off the loopback nothing travels in plain text; nobody may
send a part longer than declared; whoever does not finish the handshake, or falls silent, is cut off.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

import zmq

from streamfuse.core.packet import PAYLOAD_MAX_BYTES
from streamfuse.core.wire import MESSAGE_MAX_BYTES
from streamfuse.errors import UsageError
from streamfuse.io.closing import Closing
from streamfuse.io.transport.bus import Contexts, Hub, Socket, Spoke, wait
from streamfuse.io.transport.curve import ClientKeys, Gate, Link, LinkWatch, ServerKeys

__all__ = ["NodeHub", "NodeSpoke", "Tcp", "is_on_loopback"]

_ENDPOINT: Final = re.compile(r"tcp://(\*|\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_HANDSHAKE_MS: Final = 2_000
"""Who has not proven its key by then is cut off: it bounds what strangers can hold open."""
_HEARTBEAT_MS: Final = 1_000
_SILENCE_MS: Final = 3_000
"""A peer that does not answer a heartbeat for so long is taken for gone."""
_RECONNECT_MS: Final = 100
_RECONNECT_MAX_MS: Final = 1_000
_CURVE_ROOM: Final = 1_024
"""What encryption adds to a part, and how long the messages of the handshake are (RFC 26: some 300 bytes)."""
_BACKLOG: Final = 64
_GRANTS_KEPT: Final = 100
"""Messages of one consumer that wait for a node that is busy."""


class Tcp:
    """Limits and keys of a socket that leaves this machine."""

    def __init__(self, endpoint: str, keys: ServerKeys | ClientKeys | None, *, part_max: int) -> None:
        self.contexts = Contexts()  # of its own: a context has one gate
        self._is_ipv6 = "[" in endpoint
        self._keys = keys
        self._part_max = part_max
        self.watch: LinkWatch | None = None
        """Follows the connection of a consumer, from its first moment."""

    def prepare(self, socket: Socket) -> None:
        """Set them."""
        for option, value in (
            (zmq.IPV6, int(self._is_ipv6)),
            (zmq.MAXMSGSIZE, self._part_max + _CURVE_ROOM),
            (zmq.HANDSHAKE_IVL, _HANDSHAKE_MS),
            (zmq.HEARTBEAT_IVL, _HEARTBEAT_MS),
            (zmq.HEARTBEAT_TIMEOUT, _SILENCE_MS),
            (zmq.HEARTBEAT_TTL, _SILENCE_MS),
            (zmq.RECONNECT_IVL, _RECONNECT_MS),
            (zmq.RECONNECT_IVL_MAX, _RECONNECT_MAX_MS),
            (zmq.CONNECT_TIMEOUT, _SILENCE_MS),
            (zmq.BACKLOG, _BACKLOG),
        ):
            socket.set(option, value)
        if socket.type == zmq.DEALER:
            self.watch = LinkWatch(socket)
        else:
            socket.set(zmq.RCVHWM, _GRANTS_KEPT)
        if self._keys is not None:
            self._keys.apply(socket)


class NodeHub(Closing):
    """Where a capture node listens. Belongs to one thread, as every end of the bus.

    Args:
        endpoint: ``tcp://ADDRESS:PORT``; port 0 takes a free one, which :attr:`endpoint` tells.
        keys: None only on the loopback.

    Raises:
        UsageError: another endpoint, or plain text off the loopback.
        BusError: the endpoint cannot be bound.
    """

    def __init__(self, endpoint: str, *, keys: ServerKeys | None) -> None:
        if not is_on_loopback(endpoint) and keys is None:
            raise UsageError(
                f"{endpoint}: other machines can reach this address, so keys are needed: make them with "
                "`streamfuse keys` and give --key and --allow, or listen at 127.0.0.1"
            )
        network = Tcp(endpoint, keys, part_max=MESSAGE_MAX_BYTES)
        self._contexts = network.contexts
        self.gate = None if keys is None else Gate(self._contexts.open(zmq.REP), keys.allowed)
        try:
            self._hub = Hub(endpoint, network=network)
        except BaseException:
            self._close_gate()
            raise

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return self._hub.endpoint

    @property
    def pollables(self) -> tuple[Hub | Gate, ...]:
        """What to :func:`~.bus.wait` for; then :meth:`receive` until it returns None."""
        return (self._hub,) if self.gate is None else (self._hub, self.gate)

    def receive(self) -> tuple[bytes, bytes] | None:
        """The next message with the route back to its sender; None when there is none."""
        if self.gate is not None:
            self.gate.serve()
        return self._hub.receive()

    def send(self, route: bytes, *parts: bytes) -> bool:
        """Send a message along a route; False when its connection is gone. Never blocks."""
        return self._hub.send(route, *parts)

    def close(self) -> None:
        """End all connections; what was handed over gets a moment to leave."""
        self._hub.close()
        self._close_gate()

    def _close_gate(self) -> None:
        if self.gate is not None:
            self._contexts.close(self.gate.socket)


class NodeSpoke:
    """A consumer's connection to a capture node.

    Args:
        endpoint: ``tcp://HOST:PORT``.
        window: Frames that it will grant.
        keys: None only on the loopback.
        part_max: Longest payload that is accepted, in bytes.

    Raises:
        UsageError: another endpoint, or plain text off the loopback.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        window: int,
        keys: ClientKeys | None,
        part_max: int = PAYLOAD_MAX_BYTES,
    ) -> None:
        if not is_on_loopback(endpoint) and keys is None:
            raise UsageError(
                f"{endpoint}: nothing goes to another machine in plain text: make keys with "
                "`streamfuse keys` and name them as `keys: {own: …, node: …}` of this source"
            )
        network = Tcp(endpoint, keys, part_max=part_max)
        self._spoke = Spoke(endpoint, window=window, network=network)
        assert network.watch is not None  # made for every socket of this kind
        self._watch = network.watch

    @property
    def link(self) -> Link:
        """How the connection stands."""
        return self._watch.state()

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._spoke.closed

    def wait(self, timeout_ms: int) -> bool:
        """Wait until something has come or the time is over; whether something has."""
        return bool(wait([self._spoke], timeout_ms))

    def receive(self) -> list[bytes] | None:
        """The parts of the next message; None when there is none."""
        return self._spoke.receive()

    def send(self, message: bytes) -> bool:
        """Send a message; False when so many wait that no more are taken."""
        return self._spoke.send(message)

    def close(self) -> None:
        """End the connection; may be called twice."""
        if not self._spoke.closed:
            self._watch.close()
            self._spoke.close()


def is_on_loopback(endpoint: str) -> bool:
    """Whether an address stays on this machine.

    Raises:
        UsageError: it is no ``tcp://HOST:PORT``.
    """
    match = _ENDPOINT.fullmatch(endpoint)
    if match is None or int(match[2]) > 65_535:
        raise UsageError(f"{endpoint}: expected tcp://ADDRESS:PORT such as tcp://0.0.0.0:5555")
    host = match[1].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
